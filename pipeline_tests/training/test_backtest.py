"""The backtest of a sales file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts import FileSource, Tenant
from pipeline.engine.evaluate import OriginForecasts, score, table
from pipeline.engine.intervals import FALLBACK
from pipeline.errors import DataError, SourceError
from pipeline.settings import Settings
from pipeline.training.backtest import ACTIVE_DAYS, MIN_DAYS, Span, backtest
from pipeline.training.recipes import families_of
from pipeline_tests.training.shop import FIRST, Sales, write_csv

LENGTH = 200
SETTINGS = Settings()


def sales_of(seed: int = 1, length: int = LENGTH) -> Sales:
    """Return two products of a shop that is closed on Sundays, one of which begins late."""
    rng, is_open = np.random.default_rng(seed), np.arange(length) % 7 != 6
    bread, cake = rng.poisson(40, length) * is_open, rng.poisson(9, length) * is_open
    return {"bread": bread.astype(float), "cake": np.where(np.arange(length) < 88, 0, cake).astype(float)}


def tenant_of(folder: Path, sales: Sales) -> Tenant:
    """Return a tenant whose sales are written to a folder."""
    write_csv(folder / "sales.csv", sales)
    source = FileSource(path=str(folder / "sales.csv"))
    return Tenant(id="shop", name="Shop", country="ES", timezone="Europe/Madrid", source=source)


def run(folder: Path, sales: Sales, span: Span, told: list[tuple[int, int]] | None = None) -> list[OriginForecasts]:
    """Run a backtest in this process."""
    heard = [] if told is None else told
    return backtest(tenant_of(folder, sales), SETTINGS, span, 0, lambda *step: heard.append(step))


def test_origins_families_and_progress(tmp_path: Path) -> None:
    """There are as many origins as folds, a horizon apart, each with every family; progress counts all that is run."""
    told: list[tuple[int, int]] = []
    done = run(tmp_path, sales_of(), Span(7, 2), told)
    last = FIRST + pd.Timedelta(days=LENGTH - 1)
    assert [(last - one.origin).days for one in done] == [14, 7]
    for one in done:
        assert set(one.families) == set(families_of(SETTINGS))
        assert one.combined.shape == (2, 7)
        assert np.isfinite(one.combined).all()
    assert told == [(n, 6) for n in range(7)]
    assert {path.name for path in tmp_path.iterdir()} == {"sales.csv"}


def test_a_mistyped_day_is_held_back_in_fitting_and_scored_as_sold(tmp_path: Path) -> None:
    """A tenfold day of the past moves no forecast far and is counted; one among the scored days counts as it is."""
    sales = sales_of()
    sales["bread"][[150, LENGTH - 3]] *= 10
    done = run(tmp_path, sales, Span(7, 2))
    plain = run(tmp_path / "plain", sales_of(), Span(7, 2))
    assert [one.held for one in done] == [1, 1]
    assert [one.held for one in plain] == [0, 0]
    for one, other in zip(done, plain, strict=True):
        np.testing.assert_allclose(one.combined, other.combined, rtol=0.15, atol=1)
    assert done[-1].actual[done[-1].row["bread"]].max() == sales["bread"][LENGTH - 3] > 200


def test_every_day_is_scored_closed_ones_as_zero(tmp_path: Path) -> None:
    """Days without a row count as zero units, Sundays too, and are forecast as such."""
    done = run(tmp_path, sales_of(), Span(7, 2))
    frame = table(done, "shop")
    assert frame["actual"].notna().all()
    sundays = frame[frame["date"].dt.dayofweek == 6]
    assert len(sundays) == 4
    assert (sundays[["actual", "y_hat", *families_of(SETTINGS)]] == 0).all(axis=None)


def test_products_take_part_with_ninety_days(tmp_path: Path) -> None:
    """A product takes part from the origin on at which its first row is 90 days old."""
    done = run(tmp_path, sales_of(), Span(7, 4))
    expected = [("bread",) if (one.origin - FIRST).days - 87 < 90 else ("bread", "cake") for one in done]
    assert [one.products for one in done] == expected
    assert {len(products) for products in expected} == {1, 2}


@pytest.mark.parametrize("length", [LENGTH, 104])
def test_intervals_come_from_strictly_earlier_origins(tmp_path: Path, length: int) -> None:
    """What came true in the last fold changes no forecast and no interval, however little lies before the folds."""
    other = sales_of(length=length)
    other["bread"][-7:] = 400
    one, two = run(tmp_path / "a", sales_of(length=length), Span(7, 2)), run(tmp_path / "b", other, Span(7, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.combined, b.combined)
        np.testing.assert_array_equal(a.laid, b.laid)
    assert not np.array_equal(one[1].actual, two[1].actual)


def test_the_calibration_origins_give_the_first_interval(tmp_path: Path) -> None:
    """With history before the first fold its interval rests on errors; without, on the fallback."""
    long, short = (
        run(tmp_path / "a", sales_of(), Span(7, 1))[0],
        run(tmp_path / "b", sales_of(length=97), Span(7, 1))[0],
    )
    ratio = {}
    for name, one in (("long", long), ("short", short)):
        assert one.laid is not None
        ratio[name] = (one.laid[-1] - one.combined)[0, 2] / one.scale[0]
    assert ratio["short"] == pytest.approx(FALLBACK[0.95], rel=0.2)
    assert ratio["long"] != pytest.approx(ratio["short"], rel=0.01)


def test_too_short_a_history_is_said(tmp_path: Path) -> None:
    """Where the folds reach back too far the error says by how many days, and which option to change."""
    with pytest.raises(DataError, match=r"4 folds of 14 days need 26 more days of sales.*fewer --folds"):
        run(tmp_path, sales_of(length=120), Span(14, 4))


def test_a_file_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """A source that is not there is an error of the source."""
    source = FileSource(path=str(tmp_path / "nothing.csv"))
    tenant = Tenant(id="shop", name="Shop", country="ES", timezone="Europe/Madrid", source=source)
    with pytest.raises(SourceError, match=r"nothing\.csv"):
        backtest(tenant, SETTINGS, Span(), 0, lambda *_: None)


@pytest.mark.long
def test_real_sales_of_a_bakery(real_data: Path) -> None:
    """On a real bakery every eligible product is forecast, better than by repeating last week, within its intervals."""
    path = real_data / "french_bakery" / "sales.parquet"
    source = FileSource(path=str(path))
    tenant = Tenant(id="french_bakery", name="French bakery", country="FR", timezone="Europe/Paris", source=source)
    done = backtest(tenant, SETTINGS, Span(), 2, lambda *_: None)
    rows = pd.read_parquet(path)
    rows["date"] = pd.to_datetime(rows["date"])
    last = rows["date"].max()
    assert [(last - one.origin).days for one in done] == [56, 42, 28, 14]
    for one in done:
        before = rows[rows["date"] <= one.origin]
        recent = before[(before["date"] > one.origin - pd.Timedelta(days=90)) & (before["quantity"] > 0)]
        first, sold = before.groupby("product_id")["date"].min(), recent.groupby("product_id")["date"].nunique()
        old = set(first[(one.origin - first).dt.days + 1 >= MIN_DAYS].index)
        assert set(one.products) == old & set(sold[sold >= ACTIVE_DAYS].index)
    frame = table(done, "french")
    assert len(frame) == 14 * sum(len(one.products) for one in done)
    assert frame[["y_hat", "lower", "upper", "actual"]].notna().all(axis=None)
    total, naive = score(done), score(done, "seasonal_naive")
    assert total.wape is not None
    assert naive.wape is not None
    assert total.wape < 0.35
    assert total.wape < naive.wape
    assert total.coverage is not None
    assert 0.8 <= total.coverage <= 0.97
