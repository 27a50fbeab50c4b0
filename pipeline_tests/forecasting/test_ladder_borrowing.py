"""What the ladder borrows for young products, and from whom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from contracts import DemandClass, Rung
from pipeline.engine.intervals import calibrate
from pipeline.engine.outliers import Held
from pipeline.engine.panel import Status
from pipeline.forecasting import borrowed
from pipeline.forecasting.borrowed import GROUPS, Lenders
from pipeline.forecasting.ladder import QUANTILE_COLUMNS, Ladder
from pipeline_tests.engine.builders import panel_of
from pipeline_tests.forecasting.test_ladder import MODELLED, break_file, climb, reason, rungs, second_champions, values
from pipeline_tests.training.shop import LENGTH, TRAINABLE, Shop


def test_a_young_product_borrows_from_those_with_a_model(running: Shop) -> None:
    """Its own level, near what it sold, on the others' week; the range holds it, and the reason names the lenders."""
    frame = climb(running)
    assert reason(frame, "new") == "no model is in use; borrowed from the whole business, 5 products"
    assert frame.loc[frame["product_id"] == "new", "model_version"].isna().all()
    figures = values(frame, "new", ("y_hat", "lower", "upper"))
    is_open = figures[:, 0] > 0
    assert is_open.sum() == 6
    assert figures[is_open, 0].mean() == pytest.approx(4.0, rel=0.3)
    assert (figures[is_open, 1] < 4).all()
    assert (figures[is_open, 2] > 4).all()


@pytest.mark.parametrize(("status", "units", "level"), [(Status.MASKED, np.nan, 13.5), (Status.ZERO, 0.0, 0.0)])
def test_what_was_never_seen_to_sell_has_a_plan(running: Shop, status: Status, units: float, level: float) -> None:
    """Sold out from its first day, a product is taken for a typical one; listed without a sale, for next to nothing."""
    data, opened = running.data(), running.installation
    new = np.arange(len(data.panel.products)) == data.panel.row["new"]
    # Ten days in which all that is known of it is that it is listed.
    listed = new[:, None] & (data.panel.shop_status == Status.SOLD) & (np.arange(LENGTH) >= LENGTH - 10)
    panel = replace(
        data.panel,
        quantity=np.where(listed, units, np.where(new[:, None], np.nan, data.panel.quantity)),
        status=np.where(listed, status, np.where(new[:, None], Status.BEFORE, data.panel.status)).astype(np.int8),
    )
    data.__dict__["panel"], data.__dict__["held"] = panel, Held(panel, listed & False, panel.quantity)
    frame = Ladder(data, opened.registry, opened.store, opened.settings, 0).climb()
    assert rungs(frame)["new"] == Rung.BORROWED
    figures = values(frame, "new", ("y_hat", "upper"))[values(frame, "baguette")[:, 0] > 0]
    assert figures[:, 0].mean() == pytest.approx(level, rel=0.35, abs=1.0)
    assert (figures[:, 1] > figures[:, 0]).all()


def test_one_forecast_alone_borrows_the_same(running: Shop) -> None:
    """Asked for alone, a young product has the forecast that it has among all."""
    opened = running.installation
    ladder = Ladder(running.data(), opened.registry, opened.store, opened.settings, 0)
    alone = ladder.climb(products=["new"])
    assert set(alone["product_id"]) == {"new"}
    np.testing.assert_allclose(values(alone, "new", QUANTILE_COLUMNS), values(climb(running), "new", QUANTILE_COLUMNS))


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"category": ["Bread"] * 3 + ["Cake"] * 3 + ["Bread"]}, "category Bread, 3 products"),
        ({"category": ["Bread"] * 2 + ["Cake"] * 4 + ["Bread"]}, "the whole business, 6 products"),
        ({"category": ["Cake"] * 6 + ["Bread"], "location": ["A"] * 4 + ["B"] * 2 + ["A"]}, "location A, 4 products"),
        ({"category": [None] * 7}, "the whole business, 6 products"),
    ],
)
def test_the_narrowest_group_with_enough_lenders_lends(running: Shop, labels: dict, told: str) -> None:
    """Three of the category, else three of the location, else all; what has no category is not a category."""
    data = running.data()
    names = tuple(f"p{number}" for number in range(7))
    panel = panel_of(np.full((7, 30), 5.0), names, **{name: tuple(given) for name, given in labels.items()})
    changed = replace(data)
    changed.__dict__["panel"] = panel
    changed.__dict__["held"] = Held(panel, np.zeros((7, 30), bool), panel.quantity)
    lenders, ahead = Lenders(changed, set(names[:6])), dict.fromkeys(names, np.full(7, 5.0))
    found = [lenders.lend("p6", peers, ahead) for group in GROUPS if (peers := lenders.of("p6", group)) is not None]
    assert found[0] is not None
    assert found[0][1].told == f"borrowed from {told}"
    assert not any(Lenders(changed, {"p0", "p1"}).of("p6", group) for group in GROUPS)


def of_category(shop: Shop, *products: str) -> Ladder:
    """Return a ladder over the shop, in which some products are of a category, and the others of none."""
    data, opened = shop.data(), shop.installation
    category = tuple("Bread" if product in products else None for product in data.panel.products)
    panel, held = replace(data.panel, category=category), replace(data.held.panel, category=category)
    data.__dict__["held"] = replace(data.held, panel=held)
    data.__dict__["panel"] = panel
    return Ladder(data, opened.registry, opened.store, opened.settings, 0)


def test_those_that_cannot_forecast_do_not_lend(running: Shop) -> None:
    """Where one of a category's three models is torn the next group lends, and the reason counts who did."""
    told = "no model is in use; borrowed from {}, {} products"
    category = ("tart", "rye", "young", "new")
    assert reason(of_category(running, *category).climb(), "new") == told.format("category Bread", 3)
    version = running.installation.registry.champions("bakery")["tart"].version
    break_file(running, "tart", version, "prophet")
    assert reason(of_category(running, *category).climb(), "new") == told.format("the whole business", 4)
    alone = of_category(running, *category).climb(products=["new"])
    assert reason(alone, "new") == told.format("the whole business", 4)
    more = of_category(running, *category, "baguette").climb()
    assert reason(more, "new") == told.format("category Bread", 3)


def test_a_borrowed_range_has_a_width(running: Shop) -> None:
    """Where the naive never erred, as on what hardly sells, the range is that of chance: it is not certain."""
    opened = running.installation
    ladder = Ladder(running.data(), opened.registry, opened.store, opened.settings, 0)
    ladder.__dict__["_naive_bands"] = calibrate([([one], np.zeros((1, 1000))) for one in DemandClass])
    figures = values(ladder.climb(), "new", ("lower", "y_hat", "upper"))
    figures = figures[figures[:, 1] > 0]
    assert len(figures) == 6
    assert (np.diff(figures, axis=1) >= 1).all()


def test_a_fault_in_borrowing_is_one_products(running: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be borrowed costs the product its rung and says why; the others stand."""

    def fails(*_: object) -> None:
        raise FloatingPointError("too wild")

    monkeypatch.setattr(borrowed, "borrow", fails)
    frame = climb(running)
    assert rungs(frame) == {**dict.fromkeys(TRAINABLE, Rung.CHAMPION), "new": Rung.SEASONAL_NAIVE}
    assert "borrowed from the whole business: FloatingPointError: too wild" in reason(frame, "new")


def test_previous_champions_lend(running: Shop) -> None:
    """Where a new pooled fit is torn the models before it serve, and lend as they do."""
    _, second = second_champions(running)
    break_file(running, "tart", second["tart"], "lightgbm")
    frame = climb(running)
    assert {rungs(frame)[product] for product in MODELLED} == {Rung.PREVIOUS_CHAMPION}
    assert rungs(frame)["new"] == Rung.BORROWED
    opened = running.installation
    alone = Ladder(running.data(), opened.registry, opened.store, opened.settings, 0).climb(products=["new"])
    np.testing.assert_allclose(values(alone, "new", QUANTILE_COLUMNS), values(frame, "new", QUANTILE_COLUMNS))
