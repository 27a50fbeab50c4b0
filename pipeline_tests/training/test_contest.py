"""New recipes against those of the champions: real trainings, and a slow reckoning of what both would have forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts import ModelManifest, Outcome, RecipeComparison
from pipeline.engine.closing import closed_ahead
from pipeline.engine.demand import understand
from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.observe import observe
from pipeline.engine.outliers import hold_outliers
from pipeline.engine.panel import Floats
from pipeline.tenant_data import TenantData
from pipeline_tests.training.shop import LENGTH, Inline, Shop, quick_settings, sales_of

FOUR = {"evaluation_origins": 4}
"""Four weeks of past origins, so that a standard error can be told."""
NO_WEEK = {"prophet_weekly_seasonality": "false", "without_families": "lightgbm,lightgbm_direct,ets,theta,tsb"}
"""A recipe that does not know the days of the week."""


def newest(shop: Shop, product: str) -> ModelManifest:
    """Return the manifest of a product's newest model."""
    registry = shop.installation.registry
    return registry.manifest("bakery", product, registry.latest("bakery")[product].version)


def retrained(shop: Shop, product: str, **changes: object) -> ModelManifest:
    """Train a product again with other settings, and return its manifest."""
    shop.configure(**changes)
    done, _ = shop.train(requested=frozenset({product}))
    ledger = next(one.ledger for one in done if one.ledger.product_id == product)
    assert ledger.outcome is Outcome.TRAINED, ledger.reason
    return newest(shop, product)


def said(data: TenantData, manifest: ModelManifest, origin: pd.Timestamp) -> Floats:
    """Return (h,) units of a model's recipe from a past origin, family after family, alone or with all products."""
    held = hold_outliers(observe(data.sales, data.outlook, origin), data.outlook).panel
    alone = held.take([held.row[manifest.product_id]])
    demand = understand(held)
    trainable = held.take(demand.trainable(30) & (demand.zero_share <= quick_settings(Path()).zero_share_error))
    units = np.zeros(manifest.horizon)
    for member in manifest.members:
        name = FAMILIES[member.family].stand_in or member.family
        panel = trainable if member.scope == "tenant" else alone
        fitted = FAMILIES[name].fit(panel, data.outlook, Recipe(member.parameters, manifest.seed))
        own = fitted.predict(panel, data.outlook, manifest.horizon)[panel.row[manifest.product_id]]
        units += member.weight * own
    return np.where(closed_ahead(alone, data.outlook, manifest.horizon)[0], np.nan, units)


def reckoned(data: TenantData, manifest: ModelManifest, other: ModelManifest) -> tuple[float, float, int]:
    """Return the mean absolute errors of two recipes on the days that both forecast, and how many these are."""
    row = data.panel.row[manifest.product_id]
    errors: tuple[list[float], list[float]] = ([], [])
    for day in manifest.origins:
        origin = pd.Timestamp(day)
        start = int(data.panel.dates.searchsorted(origin, side="right"))
        actual = data.panel.quantity[row, start : start + manifest.horizon]
        mine, theirs = (np.abs(actual - said(data, one, origin)) for one in (manifest, other))
        known = np.isfinite(mine) & np.isfinite(theirs)
        errors[0].extend(mine[known])
        errors[1].extend(theirs[known])
    return float(np.mean(errors[0])), float(np.mean(errors[1])), len(errors[0])


def against(manifest: ModelManifest) -> RecipeComparison:
    """Return how a model did against the champion; there has to be one."""
    assert manifest.against is not None
    return manifest.against


def test_a_fresh_fit_of_the_same_recipe_needs_no_contest(trained: Shop) -> None:
    """Without a champion, and with one of the same settings and families, nothing is compared."""
    assert newest(trained, "rye").against is None
    trained.promote()
    assert retrained(trained, "rye").against is None


def test_the_order_of_families_is_no_recipe(trained: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same families in another order, as another distribution's may bring about, are compared with nothing."""
    before = [member.family for member in newest(trained, "rye").members]
    trained.promote()
    monkeypatch.setattr("pipeline.training.manifest.FAMILIES", dict(reversed(FAMILIES.items())))
    again = retrained(trained, "rye")
    assert [member.family for member in again.members] == before[::-1]
    assert again.against is None


def test_new_code_is_no_new_recipe(trained: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What code has changed cannot be told by fitting with it: nothing is compared."""
    trained.promote()
    monkeypatch.setattr("pipeline.training.manifest.CODE_VERSION", "another")
    again = retrained(trained, "rye")
    assert (again.code_version, again.against) == ("another", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"without_families": "lightgbm_direct,theta"},
        {"prophet_changepoint_prior_scale": 0.2, "lightgbm_learning_rate": 0.2},
        {"tuning_enabled": False, "seed": 5},
    ],
    ids=["a family less", "settings by hand", "untuned, another seed"],
)
def test_both_recipes_are_fitted_at_the_same_origins(trained: Shop, changes: Mapping[str, object]) -> None:
    """Errors of both are those of a slow reckoning that fits each family with its own parameters at each origin."""
    trained.promote()
    champion = newest(trained, "rye")
    challenger = retrained(trained, "rye", **changes)
    found, data = against(challenger), trained.data()
    own, other, days = reckoned(data, challenger, champion)
    assert (found.version, found.metric, found.days, found.fault) == (champion.version, "mae", days, None)
    assert found.loss == pytest.approx(own, rel=1e-6)
    assert found.champion_loss == pytest.approx(other, rel=1e-6)


def test_a_family_that_is_lost_makes_another_recipe(trained: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a family cannot be fitted today, what is left is held against the champion that had it."""
    trained.promote()
    champion = newest(trained, "rye")

    monkeypatch.setattr("pipeline.registry.store.ArtefactStore.put", _puts_no_booster())
    challenger = retrained(trained, "rye", seed=quick_settings(Path()).seed)
    assert "lightgbm" in {m.family for m in champion.members} - {m.family for m in challenger.members}
    found = against(challenger)
    assert found.version == champion.version
    assert found.days > 0
    assert found.loss != found.champion_loss


def _puts_no_booster() -> object:
    from pipeline.registry.store import ArtefactStore

    put = ArtefactStore.put

    def refusing(self: ArtefactStore, name: str, content: bytes) -> object:
        if "booster" in name:
            raise OSError(28, "No space left on device", name)
        return put(self, name, content)

    return refusing


def test_a_worse_recipe_is_refused_until_the_champion_has_grown_old(trained: Shop) -> None:
    """A recipe without weekdays is refused, with figures, until the champion has gone 28 days without a fit."""
    trained.configure(**FOUR)
    trained.train(requested=frozenset({"rye"}))
    trained.promote()
    champion = newest(trained, "rye")
    trained.sell(sales_of(LENGTH + 14))
    challenger = retrained(trained, "rye", **FOUR, **NO_WEEK)
    verdict = trained.promote()["rye"]
    found = against(challenger)
    assert not verdict.promoted
    assert verdict.reason.startswith(f"worse than the recipe of version {champion.version}: mean absolute error ")
    assert found.loss is not None
    assert found.champion_loss is not None
    assert found.standard_error is not None
    assert found.loss - found.champion_loss > found.standard_error
    registry = trained.installation.registry
    assert registry.champions("bakery")["rye"].version == champion.version
    stored = registry.promotions("bakery", "rye")[0]
    assert stored.figures["recipe_loss"] == pytest.approx(found.loss)
    assert stored.figures["champion_recipe_loss"] == pytest.approx(found.champion_loss)
    trained.sell(sales_of(LENGTH + 35))
    retrained(trained, "rye", **FOUR, **NO_WEEK)
    verdict = trained.promote()["rye"]
    assert verdict.promoted
    assert verdict.reason.endswith(f"version {champion.version} is 35 days old, RETRAIN_AFTER_DAYS is 28")


class Rainy(Inline):
    """An installation whose tenants know the rain."""

    def data(self, tenant_id: str) -> TenantData:
        """A tenant's data with a covariate more."""
        plain = super().data(tenant_id)
        rain = np.random.default_rng(3).random(len(plain.outlook.dates))
        return replace(plain, outlook=replace(plain.outlook, covariates={"rain": rain}))


def test_a_new_covariate_makes_another_recipe(trained: Shop) -> None:
    """A champion from before a covariate is fitted without it."""
    trained.promote()
    champion, without = newest(trained, "rye"), trained.data()
    trained.close()
    trained.installation = Rainy(quick_settings(trained.root / "home"))
    trained.train(requested=frozenset({"rye"}))
    challenger = newest(trained, "rye")
    assert (champion.covariates, challenger.covariates) == ((), ("rain",))
    found = against(challenger)
    _, other, days = reckoned(without, challenger.model_copy(update={"members": champion.members}), champion)
    assert found.champion_loss == pytest.approx(other, rel=1e-6)
    assert found.days == days


def test_a_recipe_that_cannot_be_fitted_any_more_is_said(trained: Shop) -> None:
    """A champion whose covariate is gone cannot be held against: the manifest says so, and the naive alone decides."""
    trained.close()
    trained.installation = Rainy(quick_settings(trained.root / "home"))
    trained.train(requested=frozenset({"rye"}))
    trained.promote()
    champion = newest(trained, "rye")
    challenger = retrained(trained, "rye")
    assert against(challenger).fault == "its recipe cannot be fitted any more: covariates rain are not there"
    verdict = trained.promote()["rye"]
    assert verdict.promoted
    assert f"not held against version {champion.version}: its recipe cannot be fitted any more" in verdict.reason


def test_the_products_of_a_class_speak_together(fresh: Shop) -> None:
    """Where three products and more of a class change their recipe, their scaled difference is told, with its error."""
    loaves = {f"loaf {seed}": sales_of(seed=seed)["rye"] for seed in range(3)}
    fresh.sell(loaves)
    fresh.configure(**FOUR)
    fresh.train()
    fresh.promote()
    fresh.configure(**FOUR, **NO_WEEK)
    fresh.train()
    told = {(against(newest(fresh, p)).class_difference, against(newest(fresh, p)).class_products) for p in loaves}
    together, count = told.pop()
    assert (told, count) == (set(), 3)
    assert together is not None
    assert together > 0


def test_champions_of_several_recipes_keep_their_own(trained: Shop) -> None:
    """Where some champions' families are fitted anew and others' are as evaluated, each has its own parameters."""
    plain, weekless = {"tuning_enabled": False}, {"tuning_enabled": False, "prophet_weekly_seasonality": "false"}
    retrained(trained, "tart", **plain)
    retrained(trained, "rye", **weekless)
    trained.configure(**plain)
    trained.promote()
    before = {product: newest(trained, product) for product in ("tart", "rye")}
    trained.configure(**weekless, without_families="lightgbm_direct,tsb")
    trained.train(requested=frozenset(before))
    data = trained.data()
    for product, champion in before.items():
        challenger = newest(trained, product)
        own, other, _ = reckoned(data, challenger, champion)
        found = against(challenger)
        assert (found.loss, found.champion_loss) == (pytest.approx(own, rel=1e-6), pytest.approx(other, rel=1e-6))
