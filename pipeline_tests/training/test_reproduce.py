"""Models made again from their manifests."""

from __future__ import annotations

import pandas as pd
import pytest

from pipeline.errors import RegistryError
from pipeline.training import reproduce as reproducing
from pipeline.training.reproduce import Reproduction, reproduce
from pipeline_tests.training.shop import LENGTH, TRAINABLE, Shop, sales_of


def remade(shop: Shop, product: str, **changes: object) -> Reproduction:
    """Make a product's newest model again; `changes` replace what its manifest says."""
    opened = shop.installation
    version = opened.registry.latest("bakery")[product].version
    manifest = opened.registry.manifest("bakery", product, version).model_copy(update=changes)
    return reproduce(manifest, shop.data(), opened.store, opened.settings)


@pytest.mark.parametrize("product", TRAINABLE)
def test_a_model_can_be_made_again(trained: Shop, product: str) -> None:
    """On the same sales, settings, code and libraries every file is the same, byte for byte, and nothing differs."""
    made = remade(trained, product)
    assert made.differences == ()
    assert {one.family: (one.same_files, one.difference, one.fault) for one in made.members} == {
        one.family: (True, 0.0, None) for one in made.members
    }
    assert made.same
    assert made.members


def test_newer_sales_are_left_out(trained: Shop) -> None:
    """Sales after the model's origin change nothing."""
    trained.sell(sales_of(LENGTH + 20))
    made = remade(trained, "baguette")
    assert (made.same, made.differences) == (True, ())


def test_corrected_sales_are_named(trained: Shop) -> None:
    """Where sales before the origin were corrected, the model is another, by how much, and the reason is said."""
    corrected = sales_of()
    corrected["baguette"] = corrected["baguette"] * 1.2
    trained.sell(corrected)
    made = remade(trained, "baguette")
    assert not made.same
    assert made.differences == (f"sales up to {made.manifest.origin} were corrected since",)
    by_family = {one.family: one for one in made.members}
    assert by_family["linear"].same_files  # It stores settings alone, and is solved anew each day.
    for family in ("prophet", "lightgbm"):
        assert not by_family[family].same_files
        assert (by_family[family].difference or 0.0) > 1


def test_other_code_and_libraries_are_named(trained: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code, libraries and settings that are not those of the training are named with both versions."""
    trained.configure(zero_share_error=0.8)
    monkeypatch.setattr(reproducing, "CODE_VERSION", "now")
    made = remade(trained, "tart", code_version="then", libraries={"numpy": "0.1", "fortran": "77"})
    told = " / ".join(made.differences)
    assert "settings that shape a model" in told
    assert "code: then then, now now" in told
    assert "library numpy: 0.1 then, " in told
    assert "library fortran: 77 then, none now" in told
    assert "library pandas: none then" in told


def test_files_that_are_gone_leave_the_hashes(trained: Shop) -> None:
    """Without the stored files there is nothing to hold forecasts against, but the hashes still tell."""
    opened = trained.installation
    manifest = opened.registry.manifest("bakery", "rye", opened.registry.latest("bakery")["rye"].version)
    for member in manifest.members:
        for stored in opened.store.objects():
            if stored.sha256 in {ref.sha256 for ref in member.files}:
                assert opened.store.discard(stored, stored.modified + pd.Timedelta(seconds=1))
    made = reproduce(manifest, trained.data(), opened.store, opened.settings)
    assert {(one.same_files, one.difference) for one in made.members} == {(True, None)}
    assert made.same


def test_sales_that_are_gone_are_said(trained: Shop) -> None:
    """A product that is not sold any more, or sales that end before the origin, are an error that says which."""
    with pytest.raises(RegistryError, match=r"trained on sales up to .*; the sales that are stored end on"):
        remade(trained, "baguette", product_id="nobody")
    with pytest.raises(RegistryError, match="2031-01-01"):
        remade(trained, "baguette", origin=pd.Timestamp("2031-01-01").date())
