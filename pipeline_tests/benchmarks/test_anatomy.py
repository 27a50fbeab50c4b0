"""Where the CPU seconds go: nothing is counted twice, and the engine is still watched at the right places."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.anatomy import FITS, ORIGINS, SEARCH, Clock, spent
from pipeline_tests.training.shop import Shop, sales_of


def burn(seconds: float) -> None:
    """Use a processor for so long."""
    begun = time.process_time()
    while time.process_time() - begun < seconds:
        pass


def test_a_step_within_a_step_counts_once() -> None:
    """What an inner step takes is not the outer one's, and a watched function is left as it was found."""
    module = ModuleType("oven")
    module.bake = bake = burn  # type: ignore[attr-defined]
    clock = Clock()
    with clock.watching(module, "bake", "inner", lambda seconds: f"{seconds}"), clock.step("outer", "all"):
        burn(0.1)
        module.bake(0.3)
    assert module.bake is bake
    assert clock.spent["outer", "all"] == pytest.approx(0.1, abs=0.08)
    assert clock.spent["inner", "0.3"] == pytest.approx(0.3, abs=0.08)


def test_every_step_of_a_training_is_seen(tmp_path: Path) -> None:
    """A small shop's training has searches and fits of every family at past origins, and fits at the end."""
    shop = Shop(tmp_path)
    shop.sell(sales_of())
    found = {(part, what): seconds for part, what, seconds in spent(shop.installation, "bakery")}
    shop.close()
    assert {(ORIGINS, name) for name in ("linear", "lightgbm", "ets", "theta", "tsb", SEARCH)} <= set(found)
    assert {(FITS, name) for name in ("linear", "prophet", "lightgbm", "ets", "theta", "tsb", SEARCH)} <= set(found)
    assert all(seconds >= -1e-6 for seconds in found.values())
