"""What every family of models promises. A new family passes this suite before it is used.

Subclass `FamilyContract` in a test module and give it a fixture `family`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from contracts import PartKind
from pipeline.engine.explain import explain
from pipeline.engine.families import Family, Fitted, Recipe, Scope
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.parts import LEVEL, Part, total
from pipeline.errors import FamilyError
from pipeline_tests.engine.builders import MONDAY, NAN, days, demand, on, panel_of

LENGTH, AHEAD = 160, 60
LEAD = 5
SEED = 11
HOPELESS = [
    pytest.param(np.zeros((1, LENGTH)), id="zeros"),
    pytest.param(np.full((1, LENGTH), NAN), id="never"),
    pytest.param(np.full((1, 9), 5.0), id="short"),
]
PICKLE_SIGNS = (b"\x80\x03", b"\x80\x04", b"\x80\x05", b"cpickle", b"__reduce__", b"csklearn", b"cnumpy")


def history(count: int = LENGTH, products: int = 2, level: float = 20.0) -> Panel:
    """Return products with a weekly season and labels."""
    names = tuple(f"product {row}" for row in range(products))
    return panel_of(demand(count, products, level, seed=7), names, category=("x",) * products)


def outlook(products: int = 2, length: int = LENGTH) -> Outlook:
    """Return a holiday, a shared covariate and one by product, known through the horizon."""
    whole, rng = LEAD + length + AHEAD, np.random.default_rng(8)
    return Outlook(
        days(whole, MONDAY - pd.Timedelta(days=LEAD)),
        {"fair": on(whole, LEAD + 10, LEAD + length - 20, LEAD + length + 3)},
        None,
        {"rain": rng.normal(15, 5, whole)},
        {"promo": rng.integers(0, 2, (products, whole)).astype(float)},
        tuple(f"product {row}" for row in range(products)),
    )


def missing_after(known: Outlook, column: int) -> Outlook:
    """Return the outlook without any covariate from a column on."""
    gone = np.arange(len(known.dates)) >= column
    return altered(known, gone, NAN)


def altered(known: Outlook, where: np.ndarray, value: float) -> Outlook:
    """Return the outlook with its covariates set to a value on some days."""
    return replace(
        known,
        covariates={k: np.where(where, value, v) for k, v in known.covariates.items()},
        by_product={k: np.where(where, value, v) for k, v in known.by_product.items()},
    )


def assert_usable(forecast: Floats, products: int, horizon: int) -> None:
    """Fail unless the forecast has its shape and only finite units of at least 0."""
    assert forecast.shape == (products, horizon)
    assert np.isfinite(forecast).all()
    assert (forecast >= 0).all()


def forecast_or_refusal(make: Callable[[], Floats]) -> Floats | FamilyError:
    """Return what is made, or the error that refuses to."""
    try:
        return make()
    except FamilyError as error:
        return error


class FamilyContract:
    """The suite; every test takes the fixture `family`."""

    @staticmethod
    def fitted(family: Family, panel: Panel, known: Outlook | None = None) -> Fitted:
        """Fit with a seed, on an outlook that covers the panel and the longest horizon."""
        return family.fit(panel, known or outlook(len(panel.products)), Recipe(seed=SEED))

    @pytest.mark.parametrize("horizon", [1, 14, 40])
    def test_shape_and_range(self, family: Family, horizon: int) -> None:
        """A forecast has a row a product and a column a day; its units are finite and not negative."""
        panel = history()
        assert_usable(self.fitted(family, panel).predict(panel, outlook(), horizon), 2, horizon)

    def test_its_parts_add_up(self, family: Family) -> None:
        """What it tells of a forecast, or the one part that stands for it, is the forecast itself, day by day."""
        panel, fitted = history(), self.fitted(family, history())
        parts = explain(family.name, fitted, panel, outlook(), 14)
        assert parts.keys() & {LEVEL, Part(PartKind.FAMILY, family.name)}
        np.testing.assert_allclose(total(parts), fitted.predict(panel, outlook(), 14), rtol=1e-6, atol=1e-6)

    def test_it_follows_the_level_of_each_product(self, family: Family) -> None:
        """Products of 20 and 40 units a day are forecast at about 20 and 40, in their places."""
        panel = history()
        mean = self.fitted(family, panel).predict(panel, outlook(), 28).mean(axis=1)
        np.testing.assert_allclose(mean, [20, 40], rtol=0.25)

    def test_a_longer_horizon_begins_alike(self, family: Family) -> None:
        """How many days are asked for does not change the first of them."""
        panel = history()
        fitted = self.fitted(family, panel)
        longer = fitted.predict(panel, outlook(), 40)
        np.testing.assert_allclose(fitted.predict(panel, outlook(), 3), longer[:, :3], rtol=1e-9)

    def test_the_future_of_sales_is_not_seen(self, family: Family) -> None:
        """Whatever is sold after the origin, a fit and a forecast as of it are the same, bit by bit."""
        panel = history()
        origin = panel.dates[-31]
        units = panel.quantity.copy()
        units[:, -30:] = 1e6
        other = replace(panel, quantity=units).until(origin)
        made = [self.fitted(family, p).predict(p, outlook(), 14) for p in (panel.until(origin), other)]
        np.testing.assert_array_equal(*made)

    def test_covariates_of_the_future_train_nothing(self, family: Family) -> None:
        """What is fitted does not depend on covariates after the history."""
        panel, known = history(), outlook()
        other = altered(known, np.arange(len(known.dates)) >= LEAD + LENGTH, 500.0)
        assert self.fitted(family, panel, known).to_files() == self.fitted(family, panel, other).to_files()

    def test_covariates_act_on_their_day_and_later_ones_alone(self, family: Family) -> None:
        """A covariate of the tenth day ahead changes nothing on the nine before."""
        panel, known = history(), outlook()
        fitted = self.fitted(family, panel, known)
        other = altered(known, np.arange(len(known.dates)) >= LEAD + LENGTH + 9, 30.0)
        made = [fitted.predict(panel, k, 14)[:, :9] for k in (known, other)]
        np.testing.assert_allclose(*made, rtol=1e-9)

    def test_stored_and_read_back_it_forecasts_the_same(self, family: Family) -> None:
        """Files hold all that matters: the forecasts before and after are identical, bit by bit."""
        panel = history()
        fitted = self.fitted(family, panel)
        files = fitted.to_files()
        again = family.from_files(files)
        np.testing.assert_array_equal(fitted.predict(panel, outlook(), 21), again.predict(panel, outlook(), 21))
        assert again.to_files() == files

    def test_files_are_data(self, family: Family) -> None:
        """Files are text, JSON where they say so, and hold nothing that could run."""
        for name, content in self.fitted(family, history()).to_files().items():
            text = content.decode("utf-8")
            assert name.endswith((".json", ".txt"))
            assert name == name.replace("/", "").replace("..", "")
            if name.endswith(".json"):
                json.loads(text)
            assert not any(sign in content for sign in PICKLE_SIGNS)

    @pytest.mark.parametrize("content", [None, b"", b"[]", b"3", b"{}", b"\xff\xfe", b"not what it should be"])
    def test_files_that_are_not_its_own_are_refused(self, family: Family, content: bytes | None) -> None:
        """A file that is missing, empty, or something else is a FamilyError that names the file."""
        files = self.fitted(family, history()).to_files()
        for name in files:
            broken = {k: v for k, v in files.items() if k != name}
            with pytest.raises(FamilyError, match=name):
                family.from_files(broken if content is None else {**broken, name: content})

    def test_the_same_seed_gives_the_same(self, family: Family) -> None:
        """Two fits to the same data with the same seed have the same files."""
        panel = history()
        assert self.fitted(family, panel).to_files() == self.fitted(family, panel).to_files()

    def test_masked_days_are_bridged(self, family: Family) -> None:
        """Days without an observation, the last ones included, make no hole in the forecast."""
        panel = history()
        units = panel.quantity.copy()
        units[np.random.default_rng(3).random(units.shape) < 0.3] = NAN
        units[:, -5:] = NAN
        panel = panel_of(units, panel.products)
        forecast = self.fitted(family, panel).predict(panel, outlook(), 14)
        assert_usable(forecast, 2, 14)
        np.testing.assert_allclose(forecast.mean(axis=1), [20, 40], rtol=0.35)

    def test_missing_covariates_of_the_future_are_borne(self, family: Family) -> None:
        """Without any covariate after the origin there is a forecast, and a reasonable one."""
        panel = history()
        known = missing_after(outlook(), LEAD + LENGTH)
        forecast = self.fitted(family, panel, known).predict(panel, known, 14)
        assert_usable(forecast, 2, 14)
        np.testing.assert_allclose(forecast.mean(axis=1), [20, 40], rtol=0.35)

    def test_missing_covariates_of_the_past_are_borne(self, family: Family) -> None:
        """Covariates that begin late, or never, spoil nothing."""
        panel, known = history(), outlook()
        late = altered(known, np.arange(len(known.dates)) < LEAD + LENGTH // 2, NAN)
        for some in (late, missing_after(known, 0)):
            forecast = self.fitted(family, panel, some).predict(panel, some, 14)
            assert_usable(forecast, 2, 14)
            np.testing.assert_allclose(forecast.mean(axis=1), [20, 40], rtol=0.35)

    @pytest.mark.parametrize(
        "name", ["trend", "y", "ds", "weekly", "holidays", "yhat_lower", "fair", "lag_1", "ü; {1}"]
    )
    def test_covariates_may_be_called_anything(self, family: Family, name: str) -> None:
        """A covariate's name, be it a word of the family's own or a holiday's, changes no forecast."""
        panel, known = history(), outlook()
        other = replace(known, covariates={name: known.covariates["rain"]})
        made = [self.fitted(family, panel, k).predict(panel, k, 14) for k in (known, other)]
        np.testing.assert_allclose(*made, rtol=1e-6)

    def test_one_product(self, family: Family) -> None:
        """A single product can be fitted and forecast."""
        panel = history(products=1)
        assert_usable(self.fitted(family, panel).predict(panel, outlook(1), 14), 1, 14)

    def test_each_product_is_forecast_by_its_own_past(self, family: Family) -> None:
        """Other products beside it, and their order, change no product's forecast from a standing fit."""
        panel, known = history(), outlook()
        fitted = self.fitted(family, panel)
        together = fitted.predict(panel, known, 14)
        np.testing.assert_allclose(fitted.predict(panel.take([1]), known.take(["product 1"]), 14)[0], together[1])
        np.testing.assert_allclose(fitted.predict(panel.take([1, 0]), known, 14), together[::-1])

    def test_a_constant_series(self, family: Family) -> None:
        """What never changes is forecast as it is."""
        panel = panel_of(np.full((1, LENGTH), 12.0), ("product 0",))
        forecast = self.fitted(family, panel).predict(panel, outlook(1), 14)
        np.testing.assert_allclose(forecast, 12.0, rtol=0.05)

    def test_one_spike(self, family: Family) -> None:
        """A single absurd day leaves the forecast finite and far below the spike."""
        units = np.full((1, LENGTH), 10.0)
        units[0, 100] = 10_000
        panel = panel_of(units, ("product 0",))
        forecast = self.fitted(family, panel).predict(panel, outlook(1), 14)
        assert_usable(forecast, 1, 14)
        assert forecast.max() < 1_000

    def test_thirty_five_days(self, family: Family) -> None:
        """Five weeks of a dozen products are enough."""
        panel = history(35, 12)
        known = outlook(12, 35)
        assert_usable(self.fitted(family, panel, known).predict(panel, known, 14), 12, 14)

    def test_huge_values(self, family: Family) -> None:
        """A thousand million units a day are forecast as well as twenty."""
        panel = history()
        panel = panel_of(panel.quantity / 20 * 1e9, panel.products)
        mean = self.fitted(family, panel).predict(panel, outlook(), 28).mean(axis=1)
        np.testing.assert_allclose(mean, [1e9, 2e9], rtol=0.25)

    def test_a_newer_history(self, family: Family) -> None:
        """A standing fit forecasts the days after a history that has grown since."""
        panel, known = history(), outlook()
        fitted = self.fitted(family, panel.until(panel.dates[-11]))
        forecast = fitted.predict(panel, known, 14)
        assert_usable(forecast, 2, 14)
        np.testing.assert_allclose(forecast.mean(axis=1), [20, 40], rtol=0.25)

    @pytest.mark.parametrize("units", HOPELESS)
    def test_what_cannot_be_fitted_is_said(self, family: Family, units: Floats) -> None:
        """A hopeless history is either forecast all the same or refused with the product's name, or their number."""
        panel = panel_of(units, ("product 0",))
        found = forecast_or_refusal(lambda: self.fitted(family, panel).predict(panel, outlook(1), 14))
        if isinstance(found, FamilyError):
            assert ("'product 0'" if family.scope is Scope.PRODUCT else "1 products") in str(found)
        else:
            assert_usable(found, 1, 14)

    def test_a_product_it_was_not_fitted_on(self, family: Family) -> None:
        """A product unknown to the fit is forecast from its history, or refused by name."""
        panel = history()
        fitted = self.fitted(family, panel.take([0]), outlook().take(["product 0"]))
        found = forecast_or_refusal(lambda: fitted.predict(panel.take([1]), outlook().take(["product 1"]), 14))
        if isinstance(found, FamilyError):
            assert "'product 1'" in str(found)
        else:
            assert_usable(found, 1, 14)
