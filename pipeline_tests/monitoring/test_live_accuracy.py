"""Live accuracy and drift of made-up tenants: figures against a slow oracle, verdicts, and what is no evidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import AccuracyRow, AccuracyVerdict, DriftKind, DriftRow
from pipeline.engine.metrics import SCALE_DAYS
from pipeline.engine.panel import Floats
from pipeline.forecasting.realised import figures, in_hand, realised
from pipeline.monitoring.drift import find_drift
from pipeline.monitoring.live import Live, percent
from pipeline.monitoring.live_accuracy import ALL, accuracy
from pipeline.settings import Settings
from pipeline.tables import records
from pipeline_tests.monitoring.alive import backtest_of, data_of, live_of

NAMES = tuple("abcdefgh")
DAYS, NEW = 200, 12
ORIGIN = DAYS - NEW - 1
PLAIN = Settings()


def sales(seed: int = 1) -> Floats:
    """Poisson sales of eight products."""
    level = 30.0 + 10 * np.arange(len(NAMES))[:, None]
    return np.random.default_rng(seed).poisson(level, (len(NAMES), DAYS)).astype(float)


def off(units: Floats, error: float, seed: int = 2) -> dict[str, Floats]:
    """Forecasts of the new days with errors of a share."""
    noise = np.random.default_rng(seed).normal(0, error, (len(NAMES), NEW))
    return dict(zip(NAMES, units[:, -NEW:] * (1 + noise), strict=True))


def verdicts(live: Live) -> dict[str, str]:
    """The verdict of each product."""
    table = accuracy(live, PLAIN)
    return dict(table.loc[table["verdict"].notna(), ["product_id", "verdict"]].itertuples(index=False))


def mase(live: Live, product: str | None) -> float:
    """Told slowly: the mean of each day's error over how far off the same weekday before was, up to its origin."""
    panel, scaled = live.data.panel, []
    for row in in_hand(live.issued, "Europe/Madrid").itertuples():
        if product not in (None, row.product_id):
            continue
        units = panel.quantity[panel.products.index(row.product_id)]
        place, seen = panel.dates.get_loc(row.date), panel.dates.get_loc(row.origin) + 1
        before = units[max(seen - SCALE_DAYS, 0) : seen]
        scale = float(np.nanmean(np.abs(before[7:] - before[:-7])))
        if np.isfinite(units[place]):
            scaled.append(abs(row.y_hat - units[place]) / scale)
    return float(np.mean(scaled))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.sets(st.tuples(st.integers(0, 7), st.integers(ORIGIN + 1, DAYS - 1)), max_size=12))
def test_figures_are_those_of_single_products(seed: int, masked: set[tuple[int, int]]) -> None:
    """WAPE, MASE, bias, coverage, MAPE and the naive's WAPE of every product and of all are those of `figures`."""
    units = sales(seed)
    live = live_of(data_of(units, NAMES, sorted(masked)), ORIGIN, off(units, 0.3, seed))
    table = accuracy(live, PLAIN)
    whole = table[(table["horizon"] == ALL) & (table["model_age"] == ALL)].set_index("product_id")
    expected = figures(realised(in_hand(live.issued, "Europe/Madrid"), live.data.panel))
    for one in expected:
        row = whole[whole.index.isna()].iloc[0] if one.product_id is None else whole.loc[one.product_id]
        assert row["n"] == one.metrics.n
        for name in ("wape", "bias", "coverage", "mape"):
            assert row[name] == pytest.approx(getattr(one.metrics, name)), name
        assert row["mase"] == pytest.approx(mase(live, one.product_id))
        assert row["naive_wape"] == pytest.approx(one.naive.wape)
    for row in records(table):
        AccuracyRow.model_validate(row)


def test_bands_hold_what_was_said_so_far_ahead() -> None:
    """By horizon each day counts with the forecast of that band; ages and all add up to the same days."""
    units = sales()
    table = accuracy(live_of(data_of(units, NAMES), ORIGIN, off(units, 0.1)), PLAIN)
    total = table[table["product_id"].isna()].set_index(["horizon", "model_age"])["n"]
    assert total[ALL, ALL] == total["1-3", ALL] == NEW * len(NAMES)
    assert ("4-7", ALL) not in total.index
    assert total[ALL, "0-6"] + total[ALL, "7-13"] == NEW * len(NAMES)


def test_age_is_counted_from_what_the_model_has_seen() -> None:
    """A champion of a hundred days is in the band of old models, however lately it began to issue."""
    units = sales()
    data = data_of(units, NAMES)
    old = dict.fromkeys(NAMES, data.panel.dates[ORIGIN - 100])
    table = accuracy(live_of(data, ORIGIN, off(units, 0.1), origins=old), PLAIN)
    total = table[table["product_id"].isna()].set_index(["horizon", "model_age"])["n"]
    assert total[ALL, "28-"] == NEW * len(NAMES)
    assert not {"0-6", "7-13", "14-27"} & set(total.index.get_level_values("model_age"))


@pytest.mark.parametrize(
    ("share", "grade"), [(0.09, "excellent"), (0.19, "good"), (0.29, "acceptable"), (0.31, "poor")]
)
def test_what_came_true_is_graded(share: float, grade: str) -> None:
    """MAPE below 10, 20 and 30 % is excellent, good and acceptable, as the grades of models are."""
    units = sales()
    said = {name: units[place, -NEW:] * (1 + share) for place, name in enumerate(NAMES)}
    table = accuracy(live_of(data_of(units, NAMES), ORIGIN, said), PLAIN)
    assert set(table.loc[table["horizon"] == ALL, "grade"]) == {grade}


def test_a_product_whose_errors_grow_is_falling_and_no_other() -> None:
    """Errors three times the promise on twelve new days are falling; products that keep the promise are not."""
    units = sales()
    said = off(units, 0.2)
    said["c"] = units[2, -NEW:] * np.where(np.arange(NEW) % 2, 1.7, 0.3)
    data = data_of(units, NAMES)
    live = live_of(data, ORIGIN, said, 0.16, backtest_of(data, ORIGIN, 4, 0.2))
    found = verdicts(live)
    assert found["c"] == AccuracyVerdict.FALLING
    assert {found[name] for name in NAMES if name != "c"} == {AccuracyVerdict.AS_PROMISED}
    (reason,) = accuracy(live, PLAIN).query("verdict == 'falling'")["reason"]
    assert reason.startswith("errors 338 % more than promised: WAPE 0.70 over 12 days, 0.16 promised; p ")


def test_better_than_promised_is_not_falling() -> None:
    """Errors that shrink to nothing are as promised."""
    units = sales()
    data = data_of(units, NAMES)
    live = live_of(data, ORIGIN, off(units, 0.0), 0.16, backtest_of(data, ORIGIN, 4, 0.2))
    assert set(verdicts(live).values()) == {AccuracyVerdict.AS_PROMISED}


def test_days_that_the_newest_model_has_seen_are_no_evidence() -> None:
    """However far off forecasts were: a model that has seen these days begins anew."""
    units = sales()
    units[:, -NEW:] *= 1.5
    data = data_of(units, NAMES)
    retrained = {"c": data.panel.dates[-4]}
    live = live_of(data, ORIGIN, off(units, 0.9), 0.16, backtest_of(data, ORIGIN, 4, 0.2), retrained)
    assert verdicts(live)["c"] == AccuracyVerdict.TOO_EARLY
    drift = find_drift(live, PLAIN)
    mine = drift[drift["product_id"] == "c"]
    assert not mine["drifting"].any()
    assert set(mine["reason"]) == {f"3 days to judge since {retrained['c'].date()}; 5 are needed"}
    assert drift[drift["product_id"] != "c"]["drifting"].any()


def test_masked_days_raise_no_alarm() -> None:
    """Sold-out days with a tenth of the sales are neither scored nor drift."""
    units = sales()
    units[3, -6:] = 1.0
    masked = [(3, day) for day in range(DAYS - 6, DAYS)]
    data = data_of(units, NAMES, masked)
    live = live_of(data, ORIGIN, off(sales(), 0.1), 0.16, backtest_of(data, ORIGIN, 4, 0.2))
    assert not find_drift(live, PLAIN)["drifting"].any()
    table = accuracy(live, PLAIN).query("product_id == 'd' and horizon == 'all' and model_age == 'all'")
    assert table["n"].tolist() == [NEW - 6]


def test_sales_that_the_model_did_not_foresee_drift_by_both_kinds() -> None:
    """A product that sells 60 % more than before, and than its forecast, is named by sales and by residuals."""
    units = sales()
    units[4, -8:] = np.round(units[4, -8:] * 1.6)
    data = data_of(units, NAMES)
    live = live_of(data, ORIGIN, off(sales(), 0.1), 0.16, backtest_of(data, ORIGIN, 4, 0.1))
    table = find_drift(live, PLAIN)
    found = table[table["drifting"]]
    assert set(found["kind"]) == {DriftKind.SALES.value, DriftKind.RESIDUALS.value}
    assert set(found["product_id"]) == {"e"}
    assert len(table) == 2 * len(NAMES)
    for row in records(table):
        DriftRow.model_validate(row)


def test_without_forecasts_and_models_there_is_nothing() -> None:
    """A tenant that was never trained has two empty tables, with their columns."""
    data = data_of(sales(), NAMES)
    bare = live_of(data, ORIGIN, {})
    bare = Live(data, bare.issued, bare.backtest, {}, {}, {}, {})
    assert accuracy(bare, PLAIN).columns.tolist() == list(AccuracyRow.model_fields)
    assert find_drift(bare, PLAIN).columns.tolist() == list(DriftRow.model_fields)
    assert len(accuracy(bare, PLAIN)) == len(find_drift(bare, PLAIN)) == 0


def test_shares_are_told_in_words() -> None:
    """More and less are said with a whole percentage."""
    assert (percent(0.404), percent(-0.25), percent(0.0)) == ("40 % more", "25 % less", "0 % more")
