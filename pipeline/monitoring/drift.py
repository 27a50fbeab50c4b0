"""Which products have moved since their model was trained: their sales, or their sales against what the model said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from contracts import DriftKind, DriftRow
from pipeline.engine.panel import Bools, Floats, Ints
from pipeline.engine.sales_level import (
    JUDGED_DAYS,
    LEAST_DAYS,
    LEAST_UNITS,
    REFERENCE_DAYS,
    judged_days,
    levels,
)
from pipeline.engine.shifts import Stretch, false_discoveries, moved
from pipeline.engine.usual import explained
from pipeline.forecasting.issued import KEY
from pipeline.monitoring.live import Live, chance, percent
from pipeline.settings import Settings


@dataclass(frozen=True)
class _Judged:
    """One kind of drift of n products; arrays are (n,), NaN where not judged."""

    kind: DriftKind
    days: Ints
    sold: Floats
    expected: Floats
    change: Floats
    shared: Floats
    p: Floats
    alone: Bools
    """Moved far enough by themselves, be it by chance or not."""
    with_all: Bools


def find_drift(live: Live, settings: Settings) -> pd.DataFrame:
    """Return two rows for each product that has a model, as the contract DriftRow.

    All products and both kinds are found together, so that of those that are named no more than a share of
    DRIFT_FALSE_SHARE is so by chance; only days after the newest model's origin are evidence.
    """
    kinds = [_sales(live, settings), _residuals(live, settings)]
    found = false_discoveries(np.array([one.p for one in kinds]), settings.drift_false_share)
    rows = []
    for judged, by_chance in zip(kinds, found, strict=True):
        drifting = (judged.alone & by_chance) | judged.with_all
        rows += [
            _row(live, judged, place, drifting=bool(drifting[place]))
            for place, product in enumerate(live.products)
            if product in live.latest
        ]
    return pd.DataFrame([row.model_dump(mode="json") for row in rows], columns=list(DriftRow.model_fields))


def _sales(live: Live, settings: Settings) -> _Judged:
    """Days after each model's origin against the weeks up to it, on days that nothing known beforehand explains."""
    panel = live.data.held.panel
    units = np.where(explained(panel, live.data.outlook), np.nan, panel.quantity)
    last, seen = len(panel.dates) - 1, live.seen_until.to_numpy()
    found = _nothing(DriftKind.SALES, len(units))
    for when in np.unique(seen[~np.isnat(seen)]):
        origin, rows = int(panel.dates.get_indexer(pd.DatetimeIndex([when]))[0]), seen == when
        if not 0 <= origin < last:
            continue
        found.days[rows] = judged_days(units, origin, last)[rows]
        _fill(found, rows, *levels(units, origin, last), settings)
    return found


def _residuals(live: Live, settings: Settings) -> _Judged:
    """What the champion said first about the days after, against what came; judged by the blocks of the backtest."""
    panel = live.data.panel
    said = live.by_champion.sort_values("issued_at", kind="stable").drop_duplicates(KEY)
    said = said[said["date"] > live.data.origin - pd.Timedelta(days=JUDGED_DAYS)]
    at = pd.Index(panel.products).get_indexer(pd.Index(said["product_id"]))
    column = panel.dates.get_indexer(pd.DatetimeIndex(said["date"]))
    actual = np.where((at >= 0) & (column >= 0), panel.quantity[at, column], np.nan) if len(said) else np.empty(0)
    said = said.assign(actual=actual)
    now = _stretch(live, said[said["actual"].notna()], LEAST_UNITS, LEAST_DAYS)
    gap = (live.data.origin - live.seen_until).dt.days.clip(upper=JUDGED_DAYS)
    alike = live.before[live.before["horizon"] <= live.before["product_id"].map(gap)]
    past = [_stretch(live, block, LEAST_UNITS / 2, 1) for block in live.blocks(alike)]
    found = _nothing(DriftKind.RESIDUALS, len(panel.products))
    found.days[:] = live.sums(said[said["actual"].notna()])[0]
    _fill(found, np.ones(len(panel.products), bool), now, past, settings)
    return found


def _stretch(live: Live, rows: pd.DataFrame, least_units: float, least_days: int) -> Stretch:
    days, sold, expected = live.sums(rows, "actual", "y_hat")
    usable = (days >= least_days) & (expected >= least_units)
    return Stretch(sold, expected, 1 / np.maximum(expected, 1.0), usable)


def _nothing(kind: DriftKind, count: int) -> _Judged:
    sold, expected, change, p = np.full((4, count), np.nan)
    alone, with_all = np.zeros((2, count), bool)
    return _Judged(kind, np.zeros(count, np.int64), sold, expected, change, np.zeros(count), p, alone, with_all)


def _fill(found: _Judged, rows: Bools, now: Stretch, past: list[Stretch], settings: Settings) -> None:
    """Judge all products together, and keep the judgement of some."""
    judged, least = moved(now, past), settings.drift_least_change
    told = rows & np.isfinite(judged.change)
    found.sold[told], found.expected[told] = now.brought[told], now.expected[told]
    found.change[told], found.p[told] = judged.change[told], judged.p[told]
    found.shared[rows] = judged.shared
    found.alone[told], found.with_all[told] = judged.alone(least)[told], judged.with_all(least)[told]


def _row(live: Live, judged: _Judged, place: int, *, drifting: bool) -> DriftRow:
    product = live.products[place]
    model, known = live.latest[product], bool(np.isfinite(judged.change[place]))
    return DriftRow(
        tenant_id=live.data.tenant.id,
        product_id=product,
        kind=judged.kind,
        version=model.version,
        origin=model.origin,
        days=int(judged.days[place]),
        sold=float(judged.sold[place]) if known else None,
        expected=float(judged.expected[place]) if known else None,
        change=float(judged.change[place]) if known else None,
        shared=float(judged.shared[place]),
        p=float(judged.p[place]) if known else None,
        drifting=drifting,
        reason=_reason(live, judged, place, drifting=drifting),
    )


def _reason(live: Live, judged: _Judged, place: int, *, drifting: bool) -> str:
    model, days = live.latest[live.products[place]], int(judged.days[place])
    if not np.isfinite(judged.change[place]):
        if days < LEAST_DAYS:
            return f"{days} days to judge since {model.origin}; {LEAST_DAYS} are needed"
        return f"too few sales, or too short a history, to tell anything by {days} days"
    than = {
        DriftKind.SALES: f"in the {REFERENCE_DAYS} days up to {model.origin}",
        DriftKind.RESIDUALS: "the model said",
    }[judged.kind]
    told = f"sells {percent(float(judged.change[place]))} than {than}, over {days} days"
    if not drifting:
        return f"{told}: within what is usual"
    if judged.with_all[place]:
        return f"{told}; all products together {percent(float(judged.shared[place]))}"
    return f"{told}, {chance(float(judged.p[place]))}"
