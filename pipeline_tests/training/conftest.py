"""A trained shop, made once a session and copied for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.training.job import Job
from pipeline.training.trainer import Done
from pipeline_tests.training.shop import Shop, sales_of


@dataclass(frozen=True)
class Training:
    """One finished training of a shop; not to be changed by a test."""

    shop: Shop
    done: list[Done]
    job: Job


@pytest.fixture(scope="session")
def fresh_template(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop with extracted sales and an empty registry, to copy."""
    shop = Shop(tmp_path_factory.mktemp("fresh"))
    shop.sell(sales_of())
    return shop


@pytest.fixture(scope="session")
def training(fresh_template: Shop, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """The shop's first training."""
    shop = fresh_template.copy_to(tmp_path_factory.mktemp("trained") / "shop")
    return Training(shop, *shop.train())


@pytest.fixture
def fresh(fresh_template: Shop, tmp_path: Path) -> Iterator[Shop]:
    """A shop with sales and nothing trained."""
    shop = fresh_template.copy_to(tmp_path / "fresh")
    yield shop
    shop.close()


@pytest.fixture
def trained(training: Training, tmp_path: Path) -> Iterator[Shop]:
    """A shop with a model of every product that can have one, about which nothing is decided."""
    shop = training.shop.copy_to(tmp_path / "trained")
    yield shop
    shop.close()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real sales that PIPELINE_REAL_DATA names."""
    if "PIPELINE_REAL_DATA" not in os.environ:
        pytest.skip("PIPELINE_REAL_DATA names no folder of real sales")
    return Path(os.environ["PIPELINE_REAL_DATA"])
