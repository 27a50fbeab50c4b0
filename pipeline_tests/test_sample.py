"""The sample tenants: what they hold, what is wrong with them on purpose, and the truth behind them."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts import Tenant
from pipeline.errors import ConfigurationError
from pipeline.sample import Sample, Truth, write_sample, write_scale_sample

END = dt.date(2026, 9, 30)
BAKERY, CAFE, BOULANGERIE = "horno_sol", "cafe_canteras", "maison_perrache"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sample lies."""
    return tmp_path_factory.mktemp("sample")


@pytest.fixture(scope="module")
def sample(folder: Path) -> Sample:
    """The sample, written once."""
    return write_sample(folder, end=END)


@pytest.fixture(scope="module")
def raw(sample: Sample) -> dict[str, pd.DataFrame]:
    """Each tenant's rows as written, read without the pipeline: `file, row, product_id, date, quantity, ...`."""
    return {tenant.id: _read(tenant) for tenant in sample.tenants}


def _read(tenant: Tenant) -> pd.DataFrame:
    source, names = tenant.source, {v: k for k, v in tenant.source.mapping.model_dump().items()}
    path = Path(source.path)
    frames = []
    for file in sorted(path.glob("*.parquet")) if path.is_dir() else [path]:
        frame = (
            pd.read_parquet(file)
            if file.suffix == ".parquet"
            else pd.read_csv(file, sep=source.delimiter or ",", decimal=source.decimal or ".", encoding="utf-8")
        )
        frames.append(frame.rename(columns=names).assign(file=file.name, row=np.arange(1, len(frame) + 1)))
    rows = pd.concat(frames, ignore_index=True)
    rows["time"] = pd.to_datetime(rows["date"], format=source.date_format)
    return rows.assign(date=rows["time"].dt.normalize())


def _of(truth: Truth, kind: str) -> pd.DataFrame:
    return truth.dirt[truth.dirt["kind"] == kind]


def _named(raw: pd.DataFrame, dirt: pd.DataFrame) -> pd.DataFrame:
    """The written rows that an excerpt of the dirt points at, with its fields suffixed `_dirt`."""
    return dirt.merge(raw, on=["file", "row"], how="left", suffixes=("_dirt", ""), validate="1:1")


def _clean_ratio(sample: Sample, raw: dict[str, pd.DataFrame], tenant: str) -> pd.DataFrame:
    """Observed and expected units by product and day, days with any dirt left out."""
    truth = sample.truth[tenant]
    sold = raw[tenant].groupby(["product_id", "date"], as_index=False)["quantity"].sum()
    expected = truth.mean[truth.mean["date"] <= pd.Timestamp(END)]
    days = expected.merge(sold, on=["product_id", "date"], how="left").fillna({"quantity": 0.0})
    dirty = truth.dirt[["product_id", "date"]].drop_duplicates()
    whole = set(dirty.loc[dirty["product_id"] == "", "date"])
    days = days.merge(dirty, on=["product_id", "date"], how="left", indicator=True)
    return days[(days["_merge"] == "left_only") & ~days["date"].isin(whole)]


def test_same_arguments_give_the_same_bytes(folder: Path, sample: Sample, tmp_path: Path) -> None:
    """A second writing with the same arguments must give byte-identical files and the same truth."""
    again = write_sample(tmp_path, end=END)
    assert _digests(tmp_path) == _digests(folder)
    for tenant, truth in sample.truth.items():
        pd.testing.assert_frame_equal(truth.mean, again.truth[tenant].mean)
        pd.testing.assert_frame_equal(truth.dirt, again.truth[tenant].dirt)


def _digests(folder: Path) -> dict[str, str]:
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()}


def test_another_seed_gives_other_sales(folder: Path, tmp_path: Path) -> None:
    """Another seed must change every sales file."""
    write_sample(tmp_path, seed=8, end=END)
    here, there = _digests(folder), _digests(tmp_path)
    assert all(here[name] != there[name] for name in here)


def test_three_businesses_in_two_countries_and_zones(sample: Sample) -> None:
    """There must be three tenants, two countries, at least two time zones and about 60 products."""
    assert len({t.id for t in sample.tenants}) == 3
    assert len({t.country for t in sample.tenants}) == 2
    assert len({t.timezone for t in sample.tenants}) >= 2
    assert 55 <= sum(len(t.effects) for t in sample.truth.values()) <= 65


def test_every_product_of_the_truth_is_sold(sample: Sample, raw: dict[str, pd.DataFrame]) -> None:
    """The product ids in the files, garbled names mended, must be those of the truth."""
    for tenant, truth in sample.truth.items():
        assert {_mended(p) for p in raw[tenant]["product_id"]} == set(truth.effects)


def _mended(text: str) -> str:
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text


def test_histories_last_two_to_three_years(raw: dict[str, pd.DataFrame]) -> None:
    """Each tenant must have between two years and three years and a day of sales, ending on the last day."""
    for rows in raw.values():
        assert rows["date"].max() == pd.Timestamp(END)
        assert 730 <= (rows["date"].max() - rows["date"].min()).days + 1 <= 1096


def test_files_stay_modest(folder: Path, sample: Sample) -> None:
    """No file may be larger than 15 MB."""
    assert max(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 15e6


@pytest.mark.parametrize("tenant", [BAKERY, CAFE, BOULANGERIE])
def test_clean_days_sell_what_the_truth_expects(sample: Sample, raw: dict[str, pd.DataFrame], tenant: str) -> None:
    """Over clean days each product's sales must add up to its expected demand, within chance."""
    clean = _clean_ratio(sample, raw, tenant)
    totals = clean.groupby("product_id")[["mean", "quantity"]].sum()
    scale = np.sqrt(totals["mean"] + 0.012 * clean.assign(v=clean["mean"] ** 2).groupby("product_id")["v"].sum())
    assert ((totals["quantity"] - totals["mean"]).abs() <= 5 * scale + 1).all()
    assert totals["quantity"].sum() == pytest.approx(totals["mean"].sum(), rel=0.01)


def test_weekly_season_is_recovered(sample: Sample, raw: dict[str, pd.DataFrame]) -> None:
    """Sales by weekday of a large product, holidays and all else evened out, must show its multipliers."""
    clean = _clean_ratio(sample, raw, CAFE)
    cortado = clean[clean["product_id"] == "Cortado"]
    weekly = np.array(sample.truth[CAFE].effects["Cortado"].weekly)
    without = cortado["mean"] / weekly[cortado["date"].dt.dayofweek]
    found = [
        cortado.loc[day, "quantity"].sum() / without[day].sum()
        for day in (cortado["date"].dt.dayofweek == d for d in range(7))
    ]
    np.testing.assert_allclose(found, weekly, rtol=0.05)


def test_covariates_move_demand_as_the_truth_says(sample: Sample) -> None:
    """Between a day and the truth without its promotion and weather, the ratio must be what the effects give."""
    tenant = next(t for t in sample.tenants if t.id == CAFE)
    assert tenant.covariates is not None
    days = pd.read_csv(tenant.covariates.path, parse_dates=["date"]).set_index("date")
    effects = sample.truth[CAFE].effects["Agua mineral"]
    mean = sample.truth[CAFE].mean.query("product_id == 'Agua mineral'").set_index("date")["mean"]
    near = [(d, d + pd.Timedelta(days=7)) for d in mean.index[:-7]]
    pairs = [(a, b) for a, b in near if days.loc[a, "promotion"] != days.loc[b, "promotion"]]
    weather = days["rain"] / 10 * effects.rain + (days["temperature"] - 21.0) / 10 * effects.temperature
    plain = np.log(mean) - weather - np.log(effects.promotion) * days["promotion"]
    jumps = np.abs([plain[a] - plain[b] for a, b in pairs])
    assert len(pairs) > 50
    assert np.median(jumps) < 0.02


def test_trends_bend_as_the_truth_says(sample: Sample) -> None:
    """Between the same weeks of two years, demand must have grown by the effects' growth, and not be all one way."""
    last, before = pd.Timestamp(END), pd.Timestamp(END) - pd.Timedelta(days=364)
    found, given = [], []
    means = sample.truth[BAKERY].mean.set_index(["product_id", "date"])["mean"]
    for product, effects in sample.truth[BAKERY].effects.items():
        if effects.role == "regular":
            mean = means[product]
            bend = min(max((last - effects.changepoint).days, 0), 364)
            given.append((effects.growth_after * bend + effects.growth_before * (364 - bend)) / 365.25)
            found.append(np.log(mean[last] / mean[before]))
    np.testing.assert_allclose(found, given, atol=0.01)
    assert min(given) < 0 < max(given)


def test_roles_are_played(sample: Sample, raw: dict[str, pd.DataFrame]) -> None:
    """New, newest, discontinued, slow and rare products must behave as their roles say."""
    seen = set()
    for tenant, truth in sample.truth.items():
        rows = raw[tenant].assign(product_id=raw[tenant]["product_id"].map(_mended))
        open_days = rows["date"].nunique()
        for product, effects in truth.effects.items():
            days = rows.loc[rows["product_id"] == product, "date"]
            age = (pd.Timestamp(END) - days.min()).days + 1
            idle = (pd.Timestamp(END) - days.max()).days
            empty = 1 - days.nunique() / open_days
            holds = {
                "regular": age > 700 and idle < 10,
                "new": 30 < age <= 45,
                "newest": age == 20,
                "discontinued": idle >= 200,
                "slow": 0.7 < empty < 0.9,
                "rare": empty > 0.9,
            }
            assert holds[effects.role], (tenant, product, effects.role, age, idle, empty)
            seen.add(effects.role)
    assert seen == {"regular", "new", "newest", "discontinued", "slow", "rare"}


def test_closing_days_have_no_rows(sample: Sample, raw: dict[str, pd.DataFrame]) -> None:
    """The bakery must sell nothing on Mondays and Christmas, the boulangerie nothing on Bastille Day."""
    bakery, french = raw[BAKERY]["date"], raw[BOULANGERIE]["date"]
    assert not bakery.dt.dayofweek.eq(0).any()
    assert not (bakery.dt.month.eq(12) & bakery.dt.day.eq(25)).any()
    assert not (french.dt.month.eq(7) & french.dt.day.eq(14)).any()
    kiosk = raw[BOULANGERIE].query("location_id.str.startswith('Kiosque')")
    assert not kiosk["date"].dt.dayofweek.eq(6).any()
    assert french.dt.dayofweek.eq(6).any()


def test_holidays_lift_open_shops(sample: Sample) -> None:
    """On Epiphany, open in Madrid, pastry must be expected well above the same weekday a week later."""
    mean = sample.truth[BAKERY].mean.query("product_id == 'Croissant'").set_index("date")["mean"]
    assert mean["2026-01-06"] / mean["2026-01-13"] == pytest.approx(1.45, abs=0.03)


def test_returns_are_negative_lines(sample: Sample, raw: dict[str, pd.DataFrame]) -> None:
    """The negative rows must be exactly the documented returns, and every such day must stay at 0 or above."""
    for tenant in (BAKERY, BOULANGERIE):
        named = _named(raw[tenant], _of(sample.truth[tenant], "return"))
        assert (named["quantity"] < 0).all()
        assert (named["quantity"] == named["quantity_dirt"]).all()
        assert (raw[tenant]["quantity"] < 0).sum() == len(named) >= 90
    assert (raw[CAFE]["quantity"] > 0).all()


def test_returns_leave_net_sales_as_they_were(sample: Sample, raw: dict[str, pd.DataFrame]) -> None:
    """What comes back must have been sold in excess: net of returns, such days sell what is expected."""
    truth = sample.truth[BOULANGERIE]
    back = _of(truth, "return")[["product_id", "date"]].merge(truth.mean, on=["product_id", "date"])
    sold = raw[BOULANGERIE].drop_duplicates(["product_id", "date", "quantity"])
    net = sold.groupby(["product_id", "date"], as_index=False)["quantity"].sum()
    days = back.merge(net, on=["product_id", "date"]).query("mean > 5")
    assert days["quantity"].sum() / days["mean"].sum() == pytest.approx(1, abs=0.05)


def test_duplicates_are_exact(sample: Sample, raw: dict[str, pd.DataFrame]) -> None:
    """The rows equal to an earlier one in every column must be exactly the documented duplicates."""
    for tenant, rows in raw.items():
        twice = rows[rows.drop(columns="row").duplicated()]
        assert set(twice["row"]) == set(_of(sample.truth[tenant], "duplicate")["row"])
    assert len(_of(sample.truth[BAKERY], "duplicate")) == 120


def test_mojibake_is_in_some_rows_only(sample: Sample, raw: dict[str, pd.DataFrame]) -> None:
    """Garbled names must stand in exactly the documented rows and mend to the true ones."""
    for tenant, column in ((BAKERY, "product_id"), (BOULANGERIE, "product_name")):
        rows, dirt = raw[tenant], _of(sample.truth[tenant], "mojibake")
        assert set(rows.loc[rows[column].str.contains("Ã"), "row"]) == set(dirt["row"])
        assert len(dirt) >= 150
        names = set(rows.loc[~rows["row"].isin(dirt["row"]), column])
        assert {_mended(text) for text in _named(rows, dirt)[column]} <= names


def test_outliers_are_prices_typed_as_quantities(sample: Sample, raw: dict[str, pd.DataFrame]) -> None:
    """Each outlier must be its own price without the decimal sign, far above the product's usual day."""
    for tenant, count in ((BAKERY, 3), (CAFE, 2)):
        named = _named(raw[tenant], _of(sample.truth[tenant], "outlier"))
        assert len(named) == count
        np.testing.assert_allclose(named["quantity"], named["unit_price"] * 100)
        levels = named["product_id_dirt"].map({p: e.level for p, e in sample.truth[tenant].effects.items()})
        assert (named["quantity"] >= 8 * levels).all()


def test_a_day_is_lost(sample: Sample, raw: dict[str, pd.DataFrame]) -> None:
    """The café must have rows on every day but the lost one."""
    lost = _of(sample.truth[CAFE], "lost_day")["date"]
    rows = raw[CAFE]["date"]
    missing = pd.date_range(rows.min(), rows.max()).difference(pd.DatetimeIndex(rows.unique()))
    assert list(missing) == list(lost)


def test_the_last_day_is_partial(sample: Sample, raw: dict[str, pd.DataFrame]) -> None:
    """The bakery's last day must end in the morning, when on other days the tills run into the evening."""
    rows, (last,) = raw[BAKERY], _of(sample.truth[BAKERY], "partial_last_day")["date"]
    closing = rows.groupby("date")["time"].max()
    assert closing.index.max() == last
    assert closing[last].hour <= 10
    assert (closing.drop(last).dt.hour >= 16).all()


def test_stock_outs_are_marked_and_sell_less(sample: Sample, raw: dict[str, pd.DataFrame]) -> None:
    """The rows marked as sold out must be the documented ones, or their copies, and sell about 0.7 of the mean."""
    truth, rows = sample.truth[BOULANGERIE], raw[BOULANGERIE]
    named = _named(rows, _of(truth, "stock_out"))
    assert named["sold_out"].all()
    assert rows["sold_out"].sum() == len(named) > 100
    expected = named.merge(truth.mean, on=["product_id", "date"])
    assert expected["quantity"].sum() / expected["mean"].sum() == pytest.approx(0.7, abs=0.06)


def test_covariates_reach_past_the_sales(sample: Sample) -> None:
    """Covariates must reach 28 days past the sales without a gap, by date and by product and date."""
    paths = {t.id: t.covariates.path for t in sample.tenants if t.covariates is not None}
    assert set(paths) == {CAFE, BOULANGERIE}
    shared = pd.read_csv(paths[CAFE], parse_dates=["date"])
    each = pd.read_parquet(paths[BOULANGERIE]).astype({"date": "datetime64[ns]"})
    assert "product_id" not in shared
    for frame, products in ((shared, 1), (each, len(sample.truth[BOULANGERIE].effects))):
        days = pd.date_range(frame["date"].min(), pd.Timestamp(END) + pd.Timedelta(days=28))
        assert len(frame) == len(days) * products
        assert frame["date"].nunique() == len(days)
        assert frame.notna().all().all()


def test_the_truth_reaches_past_the_sales(sample: Sample) -> None:
    """The expected demand must be given for 28 days past the sales."""
    for truth in sample.truth.values():
        assert truth.mean["date"].max() >= pd.Timestamp(END) + pd.Timedelta(days=27)
        assert (truth.mean["mean"] > 0).all()


@pytest.mark.parametrize("count", [1, 3, 30])
def test_products_can_be_fewer_or_more(tmp_path: Path, count: int) -> None:
    """Each tenant must have exactly as many products as asked for, below and above the catalogue's length."""
    sample = write_sample(tmp_path, end=END, products_per_tenant=count)
    assert [len(sample.truth[t.id].effects) for t in sample.tenants] == [count] * 3


def test_no_products_are_refused(tmp_path: Path) -> None:
    """A count below one must be refused, with the value."""
    with pytest.raises(ConfigurationError, match="products_per_tenant is 0"):
        write_sample(tmp_path, products_per_tenant=0)


def test_any_last_day_works(tmp_path: Path) -> None:
    """An end on a closing day must give a partial last day on the open day before it."""
    sample = write_sample(tmp_path, end=dt.date(2026, 9, 28), products_per_tenant=2)
    assert list(_of(sample.truth[BAKERY], "partial_last_day")["date"]) == [pd.Timestamp(2026, 9, 27)]


def test_scale_sample_has_the_products_and_days(tmp_path: Path) -> None:
    """The scale sample must hold the products and days asked for, large and small, and be deterministic."""
    tenant = write_scale_sample(tmp_path / "a", 200, 400, 3)
    rows = pd.read_parquet(tenant.source.path)
    assert 195 <= rows["product_id"].nunique() <= 200
    assert rows["date"].nunique() == 400
    daily = rows.groupby("product_id")["quantity"].sum() / 400
    assert daily.min() < 0.5
    assert daily.max() > 100
    again = write_scale_sample(tmp_path / "b", 200, 400, 3)
    assert Path(again.source.path).read_bytes() == Path(tenant.source.path).read_bytes()


def test_an_empty_scale_sample_is_refused(tmp_path: Path) -> None:
    """No products or no days must be refused, with the values."""
    with pytest.raises(ConfigurationError, match="got 0 and 10"):
        write_scale_sample(tmp_path, 0, 10)
