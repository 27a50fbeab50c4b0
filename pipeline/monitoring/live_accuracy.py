"""How the forecasts that were in hand came out, and whose errors have grown beyond what the backtest promised."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from contracts import AccuracyRow, AccuracyVerdict, Metrics
from pipeline.engine.metrics import SCALE_DAYS
from pipeline.engine.paired import difference
from pipeline.engine.panel import Bools, Floats
from pipeline.engine.shifts import Stretch, false_discoveries, moved
from pipeline.forecasting.realised import in_hand, realised
from pipeline.monitoring.causes import ALL
from pipeline.monitoring.live import Live, chance, percent
from pipeline.settings import Settings
from pipeline.tables import records
from pipeline.training.manifest import grade

HORIZONS = ((1, 3), (4, 7), (8, 365))
AGES = ((0, 6), (7, 13), (14, 27), (28, 10_000))
LEAST_DAYS = 10
"""Days scored that a model has not seen, below which nothing is said of its errors."""
LEAST_UNITS = 10.0
NOISE = np.pi / 2 - 1
"""Variance of the size of one normal error, in units of its mean squared."""
NAIVE_MARGIN = 3.0
"""Standard errors by which a product must do worse than the naive to be told of."""
SUMS = ["n", "error", "bias", "actual", "covered", "naive", "ratio", "sold", "scaled", "with_scale"]
NOT_JUDGED: dict[str, object] = {
    "promised_wape": None,
    "version": None,
    "new_days": 0,
    "new_wape": None,
    "p": None,
    "verdict": None,
    "reason": "",
}


def accuracy(live: Live, settings: Settings) -> pd.DataFrame:
    """Return, as the contract AccuracyRow, a row a product and one of all: over all days, by horizon and by age.

    Of each day the forecast is scored that was in hand; by horizon, the one that was in hand so many days before.
    """
    if live.issued.empty:
        return pd.DataFrame(columns=list(AccuracyRow.model_fields))
    by_horizon = _scored(live)
    table = by_horizon[by_horizon["band"] == ALL]
    parts = [_summed(part, str(band), ALL) for band, part in by_horizon.groupby("band", sort=False)]
    ages = _ages(live, table)
    for first, last in AGES:
        parts.append(_summed(table[ages.between(first, last)], ALL, _band(first, last, AGES[-1][0])))
    judged = _judged(live, table, settings)
    found = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(list(_rows(live, found, judged, settings)), columns=list(AccuracyRow.model_fields))


def _band(first: int, last: int, beyond: int) -> str:
    return f"{first}-" if first == beyond else f"{first}-{last}"


def _scored(live: Live) -> pd.DataFrame:
    """The forecasts in hand, by `band` of days ahead and of all, beside what came true; masked days are left out."""
    issued, zone = live.issued, live.data.tenant.timezone
    parts = [in_hand(issued, zone).assign(band=ALL)]
    for first, last in HORIZONS:
        chosen = issued[issued["horizon"].between(first, last)]
        parts.append(in_hand(chosen, zone).assign(band=_band(first, last, HORIZONS[-1][0])))
    known = live.data.panel.since(issued["origin"].min() - pd.Timedelta(days=SCALE_DAYS))
    # Once for all bands: many of their forecasts are the same.
    table = realised(pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True), known)
    return table[table["actual"].notna()]


def _ages(live: Live, table: pd.DataFrame) -> pd.Series[float]:
    """(rows,) whole days between the first that each row's model has not seen and its day; NaN: no model is known."""
    keys = zip(table["product_id"], table["model_version"], strict=True)
    seen = pd.Series([live.origins.get(key) for key in keys], index=table.index, dtype="datetime64[ns]")
    return (table["date"] - seen).dt.days - 1.0


def _summed(table: pd.DataFrame, horizon: str, age: str) -> pd.DataFrame:
    """The figures of each product and, with a null product, of all; one row where nothing was scored: none."""
    actual, said, naive = (table[name].to_numpy(float) for name in ("actual", "y_hat", "seasonal_naive"))
    error, sold = np.abs(said - actual), actual > 0
    scale = table["scale"].to_numpy(float)
    columns = (
        np.ones(len(table)),
        error,
        said - actual,
        actual,
        (actual >= table["lower"].to_numpy(float)) & (actual <= table["upper"].to_numpy(float)),
        np.abs(naive - actual),
        np.where(sold, error / np.where(sold, actual, 1.0), 0.0),
        sold,
        np.where(scale > 0, error / np.where(scale > 0, scale, 1.0), 0.0),
        scale > 0,
    )
    rows = pd.DataFrame({name: np.asarray(values, float) for name, values in zip(SUMS, columns, strict=True)})
    by_product = rows.groupby(table["product_id"].to_numpy()).sum()
    total = by_product.sum().to_frame().T.assign(product_id=None) if len(by_product) else by_product
    found = pd.concat([by_product.rename_axis("product_id").reset_index(), total], ignore_index=True)
    return _figures(found).assign(horizon=horizon, model_age=age)


def _figures(sums: pd.DataFrame) -> pd.DataFrame:
    """The figures that sums give; NaN where one is not defined."""
    actual = sums["actual"].where(sums["actual"] > 0)
    return pd.DataFrame(
        {
            "product_id": sums.get("product_id"),
            "n": sums["n"].astype(int),
            "wape": sums["error"] / actual,
            "mase": sums["scaled"] / sums["with_scale"].where(sums["with_scale"] > 0),
            "bias": sums["bias"] / actual,
            "coverage": sums["covered"] / sums["n"],
            "mape": 100 * sums["ratio"] / sums["sold"].where(sums["sold"] > 0),
            "naive_wape": sums["naive"] / actual,
        }
    )


def _judged(live: Live, table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """By product: `new_days`, `new_wape`, `p`, whether it is `falling`, and whether it is `behind` the naive."""
    mine = table.merge(live.by_champion[["product_id", "date", "issued_at"]], on=["product_id", "date", "issued_at"])
    mine = mine.assign(error=(mine["y_hat"] - mine["actual"]).abs())
    days, error, actual = live.sums(mine, "error", "actual")
    promise = pd.Series(live.promised, dtype=float).reindex(live.products).to_numpy(float)
    before = live.before.assign(error=(live.before["y_hat"] - live.before["actual"]).abs())
    known, wrong, sold = live.sums(before, "error", "actual")
    usual = np.divide(wrong, sold, out=np.full(len(sold), np.nan), where=sold > 0)
    now = _stretch(days, error, promise * actual, actual, NOISE / np.maximum(known, 1.0), LEAST_DAYS)
    past = []
    for block in live.blocks(before):
        count, missed, units = live.sums(block, "error", "actual")
        past.append(_stretch(count, missed, usual * units, units, np.zeros(len(count)), 1))
    found = moved(now, past)
    least = settings.accuracy_least_worse
    # Only errors that have grown are looked for: half the chance of either, and all of it where they have not.
    with np.errstate(invalid="ignore"):
        p = np.where(found.change > found.shared, found.p / 2, np.where(np.isfinite(found.p), 1 - found.p / 2, np.nan))
    worse: Bools = found.alone(least) & (np.nan_to_num(found.change) > 0)
    worse = worse & false_discoveries(p, settings.drift_false_share)
    together = found.with_all(least) & (found.shared > 0)
    return pd.DataFrame(
        {
            "new_days": days.astype(int),
            "new_wape": np.divide(error, actual, out=np.full(len(error), np.nan), where=actual > 0),
            "p": p,
            "falling": worse | together,
            "together": together,
            "shared": found.shared,
            "behind": _behind(live, table),
        },
        index=live.products,
    )


def _stretch(days: Floats, error: Floats, expected: Floats, units: Floats, noise: Floats, least: int) -> Stretch:
    usable = (days >= least) & (units >= LEAST_UNITS) & np.isfinite(expected)
    return Stretch(error, np.nan_to_num(expected), noise + NOISE / np.maximum(days, 1.0), usable)


def _behind(live: Live, table: pd.DataFrame) -> Bools:
    """(n,): products that the seasonal naive forecast better on the same days, by more than chance."""
    weeks = np.asarray((table["date"] - pd.Timestamp("2000-01-03")).dt.days // 7, np.int64)
    error = (table["y_hat"] - table["actual"]).abs().to_numpy(float)
    naive = (table["seasonal_naive"] - table["actual"]).abs().to_numpy(float)
    found = np.zeros(len(live.products), bool)
    for product, at in table.reset_index(drop=True).groupby("product_id").indices.items():
        place = live.products.get_loc(product)
        found[place] = difference(error[at], naive[at], weeks[at]).beyond(NAIVE_MARGIN)
    return found


def _rows(live: Live, found: pd.DataFrame, judged: pd.DataFrame, settings: Settings) -> Iterator[dict[str, object]]:
    """Each row as the contract has it; only a product's row over all days has a verdict."""
    for row in records(found):
        product = row["product_id"]
        told: dict[str, object] = {"tenant_id": live.data.tenant.id, **NOT_JUDGED}
        if product is not None and row["horizon"] == row["model_age"] == ALL:
            told |= _verdict(live, str(product), row, judged.loc[product])
        graded = grade(Metrics(n=row["n"], mape=row["mape"]), settings)
        yield AccuracyRow.model_validate({**row, **told, "grade": graded}).model_dump(mode="json")


def _verdict(live: Live, product: str, row: dict[str, object], judged: pd.Series[float]) -> dict[str, object]:
    newest, promised = live.latest.get(product), live.promised.get(product)
    days, p = int(judged["new_days"]), float(judged["p"])
    wape = float(judged["new_wape"])
    told: dict[str, object] = {
        "promised_wape": promised,
        "version": None if newest is None else newest.version,
        "new_days": days,
        "new_wape": wape if np.isfinite(wape) else None,
        "p": p if np.isfinite(p) else None,
    }
    held = f"WAPE {wape:.2f} over {days} days, {promised:.2f} promised" if promised is not None else ""
    if judged["falling"] and promised:
        why = f"all products together {percent(float(judged['shared']))}" if judged["together"] else chance(p)
        reason = f"errors {percent(wape / promised - 1)} than promised: {held}; {why}"
        return told | {"verdict": AccuracyVerdict.FALLING, "reason": reason}
    if judged["behind"]:
        reason = f"WAPE {row['wape']:.2f}, the seasonal naive {row['naive_wape']:.2f} on the same {row['n']} days"
        return told | {"verdict": AccuracyVerdict.WORSE_THAN_NAIVE, "reason": reason}
    if told["p"] is not None:
        return told | {"verdict": AccuracyVerdict.AS_PROMISED, "reason": held}
    reason = "too few sales, or no past days to hold it against"
    if days < LEAST_DAYS:
        reason = f"{days} days scored that the newest model has not seen; {LEAST_DAYS} are needed"
    return told | {"verdict": AccuracyVerdict.TOO_EARLY, "reason": reason}
