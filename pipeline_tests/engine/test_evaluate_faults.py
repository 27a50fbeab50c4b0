"""An origin when a family or the search fails there: one fault costs one thing, and is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

from contracts import DemandClass
from pipeline.engine.evaluate import at_origin
from pipeline.engine.families import FAMILIES, FOREIGN, Fitted, Recipe, Scope
from pipeline.engine.families.seasonal_naive import FittedSeasonalNaive, SeasonalNaive
from pipeline.engine.panel import Outlook, Panel
from pipeline.engine.tuning import Search
from pipeline.errors import FamilyError
from pipeline_tests.engine.builders import demand
from pipeline_tests.engine.test_evaluate import FAST, HORIZON, LENGTH, task_of


@dataclass(frozen=True)
class Fragile(SeasonalNaive):
    """A seasonal naive plus one unit that cannot fit one product."""

    intermittent = False
    gatekeeper = False

    error: Exception
    scope: Scope = Scope.PRODUCT
    name: str = "fragile"
    voice: str = "fragile"

    def fit(self, history: Panel, outlook: Outlook, recipe: Recipe) -> Fitted:
        """Fail when the fragile product is there."""
        if "p1" in history.products:
            raise self.error
        return FittedSeasonalNaive()

    def from_files(self, files: Mapping[str, bytes]) -> Fitted:
        """Nothing is stored."""
        return FittedSeasonalNaive()


ERRORS = [
    FamilyError("no"),
    ValueError("no"),
    ZeroDivisionError("no"),
    np.linalg.LinAlgError("no"),
    RuntimeError("no"),
]


def test_a_fault_of_the_search_costs_no_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the search at an origin fails the forecasts are those of the untuned settings, and each product says so."""

    def fails(*_given: object) -> None:
        raise ValueError("no search")

    units = demand(LENGTH)
    untuned = at_origin(task_of(units, families=FAST))
    monkeypatch.setattr("pipeline.engine.evaluate.tune", fails)
    one = at_origin(replace(task_of(units, families=FAST), search=Search()))
    np.testing.assert_array_equal(one.combined, untuned.combined)
    assert one.faults == {(product, "tuning"): "untuned: ValueError: no search" for product in one.products}


def test_the_search_at_an_origin_sees_nothing_later() -> None:
    """Whatever is sold after the origin, its tuned forecasts stay as they are."""
    units = demand(LENGTH)
    later = units.copy()
    later[:, -HORIZON:] *= 9
    search = Search(dict.fromkeys(DemandClass, 6))
    made = [at_origin(replace(task_of(one, families=FAST), search=search)) for one in (units, later)]
    for name in FAST:
        np.testing.assert_array_equal(made[0].families[name], made[1].families[name])


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_fault_of_one_product_stays_its_own(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A family that fails on one product gives it a NaN row and a fault that says why; the others keep theirs."""
    monkeypatch.setitem(FAMILIES, "fragile", Fragile(error))
    one = at_origin(task_of(demand(LENGTH), families=(*FAST, "fragile")))
    assert one.faults == {("p1", "fragile"): f"{type(error).__name__}: no"}
    assert np.isnan(one.families["fragile"]).all(axis=1).tolist() == [False, True, False]
    np.testing.assert_array_equal(one.combined[1], one.families["linear"][1])
    np.testing.assert_allclose(one.combined[0], (one.families["linear"][0] + one.families["fragile"][0]) / 2)


def test_a_fault_of_a_pooled_family_is_every_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family that is fitted once for all fails for all, and each is told."""
    monkeypatch.setitem(FAMILIES, "fragile", Fragile(FamilyError("no"), Scope.TENANT))
    one = at_origin(task_of(demand(LENGTH), families=(*FAST, "fragile")))
    assert set(one.faults) == {("p0", "fragile"), ("p1", "fragile"), ("p2", "fragile")}
    np.testing.assert_array_equal(one.combined, one.families["linear"])


def test_an_error_that_nobody_foresaw_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the code is no fault of a product: it is not swallowed."""
    monkeypatch.setitem(FAMILIES, "fragile", Fragile(AttributeError("a typing mistake")))
    with pytest.raises(AttributeError, match="a typing mistake"):
        at_origin(task_of(demand(LENGTH), families=(*FAST, "fragile")))


def test_a_family_from_elsewhere_may_make_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a family that is not ours raises costs the one product that family, and nothing more."""
    monkeypatch.setitem(FAMILIES, "fragile", Fragile(AttributeError("their typing mistake")))
    monkeypatch.setitem(FOREIGN, "fragile", "their-families 1.0")
    one = at_origin(task_of(demand(LENGTH), families=(*FAST, "fragile")))
    assert one.faults == {("p1", "fragile"): "AttributeError: their typing mistake"}
