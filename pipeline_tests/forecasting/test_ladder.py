"""There is always a bread plan: each rung of the ladder, and what makes a product step down."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from contracts import ForecastRow, Rung
from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.intervals import lay, product_scale, spread
from pipeline.engine.metrics import seasonal_scales
from pipeline.forecasting import ladder, members
from pipeline.forecasting.ladder import QUANTILE_COLUMNS, Ladder
from pipeline.sources.extract import extract_sales
from pipeline.tables import read_table, records, write_table
from pipeline_tests.forecasting.conftest import put_in_use
from pipeline_tests.training.conftest import Training
from pipeline_tests.training.shop import LENGTH, TRAINABLE, Shop, sales_of

MODELLED = ("baguette", "tart", "rye", "young")


def climb(shop: Shop, previous: pd.DataFrame | None = None, tenant_id: str = "bakery") -> pd.DataFrame:
    """Forecast a tenant."""
    opened = shop.installation
    return Ladder(shop.data(tenant_id), opened.registry, opened.store, opened.settings, 0).climb(previous)


def rungs(frame: pd.DataFrame) -> dict[str, str]:
    """Return the rung of each product; a product stands on one."""
    assert (frame.groupby("product_id")["rung"].nunique() == 1).all()
    return {product: str(rung) for product, rung in frame.groupby("product_id")["rung"].first().items()}


def reason(frame: pd.DataFrame, product: str) -> str:
    """Return a product's reason; all of its rows have the same."""
    found = set(frame.loc[frame["product_id"] == product, "reason"])
    assert len(found) == 1
    return found.pop()


def values(frame: pd.DataFrame, product: str, columns: Iterable[str] = ("y_hat",)) -> np.ndarray:
    """Return a product's (days, columns) numbers in order of the days."""
    return frame[frame["product_id"] == product].sort_values("horizon")[list(columns)].to_numpy(float)


def break_file(shop: Shop, product: str, version: str, family: str) -> None:
    """Tear a file of a model."""
    manifest = shop.installation.registry.manifest("bakery", product, version)
    ref = next(m for m in manifest.members if m.family == family).files[0]
    path = next(shop.installation.home.models.glob(f"{ref.sha256[:2]}/{ref.sha256[2:]}*"))
    path.write_bytes(b"torn")


def second_champions(shop: Shop) -> tuple[dict[str, str], dict[str, str]]:
    """Sell for one more day, train again, put the new models in use; return both generations' versions."""
    first = {product: record.version for product, record in shop.installation.registry.champions("bakery").items()}
    shop.sell(sales_of(LENGTH + 1))
    shop.train(scheduled=True)
    return first, put_in_use(shop)


def test_every_row_keeps_the_contract(running: Shop) -> None:
    """A row a product and day, each valid by itself: quantiles that rise, days that fit the origin."""
    frame = climb(running)
    rows = [ForecastRow.model_validate(record) for record in records(frame)]
    assert list(frame.columns) == list(ForecastRow.model_fields)
    assert {(row.product_id, row.horizon) for row in rows} == {
        (product, day) for product in (*TRAINABLE, "new") for day in range(1, 8)
    }
    assert {(row.tenant_id, row.origin) for row in rows} == {("bakery", running.data().origin.date())}
    assert not any(row.stale for row in rows)


def test_champions_serve_their_products(running: Shop) -> None:
    """Every product with a model stands on the first rung, with its version and why."""
    frame = climb(running)
    champions = running.installation.registry.champions("bakery")
    assert rungs(frame) == {**dict.fromkeys(TRAINABLE, Rung.CHAMPION), "new": Rung.BORROWED}
    for product in TRAINABLE:
        assert set(frame.loc[frame["product_id"] == product, "model_version"]) == {champions[product].version}
        assert reason(frame, product) == "in use"


def test_the_stored_model_forecasts_what_its_training_did(running: Shop, training: Training) -> None:
    """Read back from the store a model gives the mean and quantiles that it had when it was trained."""
    frame = climb(running)
    for one in training.done:
        if one.ledger.product_id in MODELLED:
            np.testing.assert_allclose(values(frame, one.ledger.product_id)[:, 0], one.y_hat, rtol=1e-9)
            assert one.ahead is not None
            laid = values(frame, one.ledger.product_id, QUANTILE_COLUMNS)
            np.testing.assert_allclose(laid.T, one.ahead, rtol=1e-9)


def test_a_standing_models_range_widens(running: Shop) -> None:
    """Four weeks after its fit the range, scaled by what is known today, is 1 % wider, and says so."""
    assert reason(climb(running), "baguette") == "in use"
    running.sell(sales_of(LENGTH + 28))
    frame = climb(running)
    assert reason(frame, "baguette") == "in use; 28 days old: range 1 % wider"
    manifest = running.installation.registry.manifest(
        "bakery", "baguette", running.installation.registry.champions("bakery")["baguette"].version
    )
    y_hat = values(frame, "baguette")[:, 0]
    data = running.data()
    row = [data.panel.row["baguette"]]
    scale = product_scale(seasonal_scales(data.held.panel.take(row))[0], data.demand.level[row])
    assert scale[0] != manifest.scale
    fresh = lay(y_hat, spread(scale, y_hat[None])[0], manifest.bands)[:, y_hat > 0]
    aged = values(frame, "baguette", QUANTILE_COLUMNS).T[:, y_hat > 0]
    np.testing.assert_allclose(aged[-1] - aged[0], 1.01 * (fresh[-1] - fresh[0]))
    np.testing.assert_allclose(aged[3], fresh[3])


def test_closed_days_are_zero_with_their_intervals(running: Shop) -> None:
    """On the coming Sunday nothing is forecast, on every rung, and nothing is uncertain about it."""
    frame = climb(running)
    sunday = pd.to_datetime(frame["date"]).dt.dayofweek == 6
    assert sunday.sum() == 6
    assert (frame.loc[sunday, ["y_hat", *QUANTILE_COLUMNS]] == 0).all(axis=None)
    assert (frame.loc[~sunday & frame["product_id"].isin(MODELLED), "y_hat"] > 0).all()


def test_a_zero_on_an_open_day_is_not_certain(running: Shop) -> None:
    """A product that hardly sells is forecast at next to nothing, but its upper quantile says that it may sell."""
    frame = climb(running)
    open_days = pd.to_datetime(frame["date"]).dt.dayofweek != 6
    rare = frame[(frame["product_id"] == "rare") & open_days]
    assert (rare["y_hat"] < 0.2).all()
    assert (rare["upper"] > 0).all()


def test_a_forecast_that_is_not_finite_steps_down(running: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """One NaN of one product's model is that product's fault alone: it steps down, the others stand."""

    def holed(*arguments):
        found = predict_all(*arguments)
        if ("tart", "prophet") in found.made:
            found.made["tart", "prophet"][2] = np.nan
        return found

    predict_all = ladder.predict_all
    monkeypatch.setattr(ladder, "predict_all", holed)
    frame = climb(running)
    assert rungs(frame)["tart"] == Rung.SEASONAL_NAIVE
    assert "its forecast is not finite" in reason(frame, "tart")
    assert {rungs(frame)[product] for product in TRAINABLE if product != "tart"} == {Rung.CHAMPION}


def test_discontinued_products_lend_the_naive_no_errors(fresh: Shop) -> None:
    """The naive's intervals are the same whether a discontinued product stands in the sales or not."""
    rare = [f"rare {number}" for number in range(8)]
    gone = {name: sales_of()["gone"] for name in rare}
    fresh.sell(sales_of() | gone, "many")
    fresh.sell(sales_of(), "few")
    many, few = (climb(fresh, tenant_id=name) for name in ("many", "few"))
    for product in TRAINABLE:
        np.testing.assert_array_equal(values(many, product, QUANTILE_COLUMNS), values(few, product, QUANTILE_COLUMNS))


def test_discontinued_products_are_not_forecast(running: Shop) -> None:
    """What has not sold for ninety observed days has no rows."""
    assert "gone" not in set(climb(running)["product_id"])


def test_a_broken_champion_gives_way_to_the_previous_one(running: Shop) -> None:
    """Where a champion's file is torn the model that it replaced serves the product, and no other is touched."""
    first, second = second_champions(running)
    break_file(running, "tart", second["tart"], "prophet")
    frame = climb(running)
    assert rungs(frame) == {
        **dict.fromkeys(TRAINABLE, Rung.CHAMPION),
        "tart": Rung.PREVIOUS_CHAMPION,
        "new": Rung.BORROWED,
    }
    assert set(frame.loc[frame["product_id"] == "tart", "model_version"]) == {first["tart"]}
    assert reason(frame, "tart").startswith(f"champion {second['tart']}: prophet: artefact prophet.json")
    assert reason(frame, "tart").endswith("; in use")
    assert reason(frame, "new").endswith("borrowed from the whole business, 5 products")
    assert reason(frame, "rye") == "in use"


def test_below_both_champions_stands_the_naive(running: Shop) -> None:
    """Where both models are torn the seasonal naive serves, and the reason names both faults."""
    first, second = second_champions(running)
    for version in (first, second):
        break_file(running, "tart", version["tart"], "prophet")
    frame = climb(running)
    assert rungs(frame)["tart"] == Rung.SEASONAL_NAIVE
    for rung, version in (("champion", second["tart"]), ("previous_champion", first["tart"])):
        assert f"{rung} {version}: " in reason(frame, "tart")
    assert frame.loc[frame["product_id"] == "tart", "model_version"].isna().all()


def test_a_broken_booster_concerns_all_who_use_it(running: Shop) -> None:
    """A torn pooled fit makes every product that needs it step down, and each says why."""
    versions = {p: r.version for p, r in running.installation.registry.champions("bakery").items()}
    break_file(running, "tart", versions["tart"], "lightgbm")
    frame = climb(running)
    assert {product for product, rung in rungs(frame).items() if rung == Rung.SEASONAL_NAIVE} == {*MODELLED, "new"}
    assert rungs(frame)["rare"] == Rung.CHAMPION
    assert all("lightgbm: artefact booster.txt" in reason(frame, product) for product in MODELLED)


def test_a_manifest_that_was_changed_is_not_used(running: Shop) -> None:
    """A manifest that is not what was registered makes its product step down."""
    engine = running.installation.registry._engine
    with engine.begin() as connection:
        change = "UPDATE trained_models SET manifest = replace(manifest, 'linear', 'lunear') WHERE product_id = 'rye'"
        connection.execute(text(change))
    frame = climb(running)
    assert rungs(frame)["rye"] == Rung.SEASONAL_NAIVE
    assert "was changed after it was registered" in reason(frame, "rye")
    assert rungs(frame)["tart"] == Rung.CHAMPION


def test_a_model_of_an_unknown_family_is_not_used(running: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with a family that this code does not have makes its products step down, not fail."""
    known = {name: family for name, family in FAMILIES.items() if name != "prophet"}
    for module in ("pipeline.forecasting.members", "pipeline.forecasting.ladder"):
        monkeypatch.setattr(f"{module}.FAMILIES", known, raising=False)
    frame = climb(running)
    assert rungs(frame)["tart"] == Rung.SEASONAL_NAIVE
    assert "prophet" in reason(frame, "tart")
    assert rungs(frame)["rare"] == Rung.CHAMPION


def test_without_a_model_the_naive_serves(fresh: Shop) -> None:
    """Products without any model get last week's sales, an interval, and a reason."""
    frame, data = climb(fresh), fresh.data()
    assert set(rungs(frame)) == {*TRAINABLE, "new"}
    assert set(rungs(frame).values()) == {Rung.SEASONAL_NAIVE}
    assert reason(frame, "new") == "no model is in use"
    panel = data.panel.take([data.panel.products.index("rye")])
    expected = FAMILIES["seasonal_naive"].fit(panel, data.outlook, Recipe()).predict(panel, data.outlook, 7)[0]
    is_open = [(data.origin.dayofweek + 1 + day) % 7 != 6 for day in range(7)]
    np.testing.assert_allclose(values(frame, "rye")[:, 0], np.where(is_open, expected, 0))
    assert (values(frame, "rye", ["upper"])[is_open] > values(frame, "rye", ["lower"])[is_open]).all()


def test_the_naives_interval_covers(fresh: Shop) -> None:
    """The naive's 5 to 95 % interval holds about nine in ten of the days that then came."""
    hits = []
    for back in range(1, 8):
        stop = LENGTH - 7 * back
        fresh.sell({name: units[:stop] for name, units in sales_of().items()}, f"back-{back}")
        frame = climb(fresh, tenant_id=f"back-{back}")
        for product in ("baguette", "tart", "rye"):
            later = sales_of()[product][stop : stop + 7]
            ends = values(frame, product, ["lower", "upper"])
            hits += [low <= sold <= high for sold, (low, high) in zip(later, ends, strict=True) if sold > 0]
    assert np.mean(hits) == pytest.approx(0.9, abs=0.07)


def test_standing_models_forecast_from_newer_sales(running: Shop) -> None:
    """With three days more and no training the champions forecast the days after them."""
    running.sell(sales_of(LENGTH + 3))
    frame = climb(running)
    assert {rungs(frame)[product] for product in TRAINABLE} == {Rung.CHAMPION}
    assert set(frame["origin"]) == {running.data().origin.date()}
    first = pd.to_datetime(frame["date"]).min()
    assert first == running.data().origin + pd.Timedelta(days=1)
    np.testing.assert_allclose(values(frame, "baguette").max(), 75, rtol=0.2)


def sold_out_for_ever(shop: Shop) -> None:
    """Mark every day of one product as sold out: nothing was ever observed of it."""
    path = shop.root / "bakery" / "sales.csv"
    table = pd.read_csv(path)
    table["sold_out"] = table["product_id"] == "rye"
    table.to_csv(path, index=False)


def masked(shop: Shop) -> Shop:
    """Return the shop with a product of which nothing was ever observed."""
    shop.sell(sales_of())
    sold_out_for_ever(shop)
    opened, tenant = shop.installation, shop.installation.tenant("bakery")
    extract_sales(tenant, opened.home, opened.settings)
    assert not shop.data().panel.observed[shop.data().panel.products.index("rye")].any()
    return shop


def test_the_last_good_forecast_is_the_last_rung(fresh: Shop, tmp_path: Path) -> None:
    """A product that nothing else can serve keeps what still lies ahead of its last forecast, marked stale."""
    fresh.sell({name: units[: LENGTH - 3] for name, units in sales_of().items()})
    path = tmp_path / "forecasts.parquet"
    write_table(path, climb(fresh))
    previous = read_table(path, "the last forecasts")
    frame = climb(masked(fresh), previous)
    assert rungs(frame)["rye"] == Rung.LAST_FORECAST
    stale = frame[frame["product_id"] == "rye"]
    assert stale["stale"].all()
    assert len(stale) == 4
    old = previous[previous["product_id"] == "rye"].tail(4)
    for name in ("date", "origin", "horizon"):
        assert stale[name].tolist() == old[name].tolist()
    np.testing.assert_array_equal(stale[list(QUANTILE_COLUMNS)], old[list(QUANTILE_COLUMNS)])
    assert not frame.loc[frame["product_id"] != "rye", "stale"].any()


def test_a_last_forecast_that_is_over_serves_nobody(fresh: Shop) -> None:
    """Where nothing of the last forecast lies ahead, or there is none, the product has no rows."""
    fresh.sell({name: units[: LENGTH - 7] for name, units in sales_of().items()})
    previous = climb(fresh)
    masked(fresh)
    for last in (previous, None):
        frame = climb(fresh, last)
        assert "rye" not in set(frame["product_id"])
        assert "tart" in set(frame["product_id"])


def test_tenants_with_the_same_products_do_not_mix(running: Shop) -> None:
    """Two tenants that sell things of the same names have their own models, versions and forecasts."""
    running.sell({name: 3 * units for name, units in sales_of(seed=8).items()}, "cafe")
    before = climb(running)
    assert set(rungs(climb(running, tenant_id="cafe")).values()) == {Rung.SEASONAL_NAIVE}
    running.train("cafe")
    put_in_use(running, "cafe")
    cafe, bakery = climb(running, tenant_id="cafe"), climb(running)
    assert set(cafe["tenant_id"]) == {"cafe"}
    pd.testing.assert_frame_equal(bakery.drop(columns="issued_at"), before.drop(columns="issued_at"))
    own = running.installation.registry.champions("cafe")
    for product in MODELLED:
        assert set(cafe.loc[cafe["product_id"] == product, "model_version"]) == {own[product].version}
    for product in MODELLED:
        assert values(cafe, product).sum() == pytest.approx(3 * values(bakery, product).sum(), rel=0.35)


@pytest.mark.long
def test_workers_forecast_the_same(running: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """In processes of their own the models forecast what they do here."""
    here = climb(running)
    monkeypatch.setattr(members, "FEW_PRODUCTS", 0)
    monkeypatch.setattr(members, "CHUNK", 2)
    opened = running.installation
    there = Ladder(running.data(), opened.registry, opened.store, opened.settings, 2).climb()
    pd.testing.assert_frame_equal(here.drop(columns="issued_at"), there.drop(columns="issued_at"))
