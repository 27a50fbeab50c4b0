"""Which products have moved since their model was trained: their sales, or their sales against what the model said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from contracts import DriftKind, DriftRow
from pipeline.engine.panel import Floats, Ints
from pipeline.engine.sales_level import JUDGED_DAYS, LEAST_DAYS, LEAST_UNITS, REFERENCE_DAYS, judged_days, levels
from pipeline.engine.shifts import Moved, Stretch, drifting, moved
from pipeline.engine.usual import explained
from pipeline.forecasting.issued import KEY
from pipeline.monitoring.live import Live, chance, percent
from pipeline.settings import Settings


@dataclass(frozen=True)
class _Evidence:
    """One kind of evidence about n products; `days` judged, units `sold` and `expected` (n,)."""

    kind: DriftKind
    days: Ints
    sold: Floats
    expected: Floats
    moved: Moved


def find_drift(live: Live, settings: Settings) -> pd.DataFrame:
    """Return two rows for each product that has a model, as the contract DriftRow.

    All products and both kinds are found together, so that of those that are named no more than a share of
    DRIFT_FALSE_SHARE is so by chance. Evidence are days after the newest model's origin that are open, not masked, and
    not explained by what was known beforehand, such as a holiday.
    """
    panel = live.data.held.panel
    units = np.where(explained(panel, live.data.outlook), np.nan, panel.quantity)
    kinds = [_sales(live, units), _residuals(live, units)]
    found = drifting([one.moved for one in kinds], settings.drift_least_change, settings.drift_false_share)
    rows = [
        _row(live, one, place, settings.drift_least_change if drifts[place] else None)
        for one, drifts in zip(kinds, found, strict=True)
        for place, product in enumerate(live.products)
        if product in live.latest
    ]
    return pd.DataFrame([row.model_dump(mode="json") for row in rows], columns=list(DriftRow.model_fields))


def _sales(live: Live, units: Floats) -> _Evidence:
    """Days after each model's origin against the weeks up to it; all products are judged at each of these origins."""
    dates, count = live.data.held.panel.dates, len(units)
    last, seen = len(dates) - 1, live.seen_until.to_numpy()
    days, sold, expected, found = np.zeros(count, np.int64), np.zeros(count), np.zeros(count), Moved.nothing(count)
    for when in np.unique(seen[~np.isnat(seen)]):
        origin, rows = int(dates.get_indexer(pd.DatetimeIndex([when]))[0]), seen == when
        if 0 <= origin < last:
            now, past = levels(units, origin, last)
            days[rows], found = judged_days(units, origin, last)[rows], moved(now, past).where(rows, found)
            sold[rows], expected[rows] = now.brought[rows], now.expected[rows]
    return _Evidence(DriftKind.SALES, days, sold, expected, found)


def _residuals(live: Live, units: Floats) -> _Evidence:
    """What the champion said first about the days after, against what came; judged by the blocks of the backtest."""
    first = live.data.origin - pd.Timedelta(days=JUDGED_DAYS)
    said = live.by_champion.sort_values("issued_at", kind="stable").drop_duplicates(KEY)
    said = _with_sold(live, said[said["date"] > first], units)
    gap = (live.data.origin - live.seen_until).dt.days.clip(upper=JUDGED_DAYS)
    alike = live.before[live.before["horizon"] <= live.before["product_id"].map(gap)]
    past = [_stretch(live, block, LEAST_UNITS / 2, 1) for block in live.blocks(_with_sold(live, alike, units))]
    now = _stretch(live, said, LEAST_UNITS, LEAST_DAYS)
    days = live.sums(said)[0].astype(np.int64)
    return _Evidence(DriftKind.RESIDUALS, days, now.brought, now.expected, moved(now, past))


def _with_sold(live: Live, rows: pd.DataFrame, units: Floats) -> pd.DataFrame:
    """The rows of which it is known what was sold, with `actual`: that."""
    at = live.products.get_indexer(pd.Index(rows["product_id"]))
    column = live.data.panel.dates.get_indexer(pd.DatetimeIndex(rows["date"]))
    sold = np.where((at >= 0) & (column >= 0), units[at, column], np.nan)
    return rows.assign(actual=sold)[np.isfinite(sold)]


def _stretch(live: Live, rows: pd.DataFrame, least_units: float, least_days: int) -> Stretch:
    days, sold, expected = live.sums(rows, "actual", "y_hat")
    usable = (days >= least_days) & (expected >= least_units)
    return Stretch(sold, expected, 1 / np.maximum(expected, 1.0), usable)


def _row(live: Live, one: _Evidence, place: int, least: float | None) -> DriftRow:
    """A product's row; `least` is the share that it moved by at least, None where it does not drift."""
    product = str(live.products[place])
    model, change, p = live.latest[product], float(one.moved.change[place]), float(one.moved.p[place])
    known = bool(np.isfinite(change))
    return DriftRow(
        tenant_id=live.data.tenant.id,
        product_id=product,
        kind=one.kind,
        version=model.version,
        origin=model.origin,
        days=int(one.days[place]),
        sold=float(one.sold[place]) if known else None,
        expected=float(one.expected[place]) if known else None,
        change=change if known else None,
        shared=float(one.moved.shared[place]),
        p=p if known else None,
        drifting=least is not None,
        reason=_moved(one, place, f"{model.origin}", least) if known else _not_judged(one, place, f"{model.origin}"),
    )


def _not_judged(one: _Evidence, place: int, origin: str) -> str:
    days = int(one.days[place])
    if days < LEAST_DAYS:
        return f"{days} days to judge since {origin}; {LEAST_DAYS} are needed"
    return f"too few sales, or too short a history, to tell anything by {days} days"


def _moved(one: _Evidence, place: int, origin: str, least: float | None) -> str:
    change, shared = float(one.moved.change[place]), float(one.moved.shared[place])
    than = f"in the {REFERENCE_DAYS} days up to {origin}" if one.kind is DriftKind.SALES else "the model said"
    told = f"sells {percent(change)} than {than}, over {int(one.days[place])} days"
    if least is None:
        return f"{told}: within what is usual"
    if one.moved.with_all(least)[place]:
        return f"{told}; all products together {percent(shared)}"
    return f"{told}, {chance(float(one.moved.p[place]))}"
