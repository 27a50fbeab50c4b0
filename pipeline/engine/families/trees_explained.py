"""What the trees' forecast is made of: contributions of features on the log scale, turned into units and words.

TreeSHAP (Lundberg et al. 2020), which the booster's library computes itself, says how much each feature adds to the
logarithm of a day's ratio to the level: `log(forecast / level) = usual + c1 + c2 + ...`. In units these become the
forecast of a usual day, `level x exp(usual)`, and for each feature its contribution times the logarithmic mean of the
two forecasts (Ang 2005: the additive LMDI), which is also its Aumann-Shapley value along the straight way from the
one to the other. Nothing is left over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from contracts import PartKind
from pipeline.engine.panel import Floats, Outlook
from pipeline.engine.parts import LEVEL, TIME_OF_YEAR, WEEKDAY, Part, Parts, gathered

GIVEN = "given_"
HOLIDAYS = Part(PartKind.HOLIDAY)
GATHERED = (
    (WEEKDAY, "day_of_week is_weekend lag_7 lag_14 lag_21 lag_28 same_weekday_mean same_weekday_ratio"),
    (TIME_OF_YEAR, "day_of_year week_of_year month lag_364"),
    (Part(PartKind.DAY_OF_MONTH), "day_of_month"),
    (HOLIDAYS, "is_holiday holiday_tomorrow holiday_yesterday days_to_holiday days_from_holiday"),
    (Part(PartKind.RECENT_DAYS), "level lag_1 lag_2 lag_3 mean_7 mean_28 mean_91 smoothed trend_7_28"),
    (Part(PartKind.RECENT_DAYS), "deviation_28 largest_28 zero_share_28 days_since_sale age_days gap"),
    (Part(PartKind.PRODUCT), "product category location"),
)
"""The features that each part gathers; a covariate is a part of its own."""
PART_OF = {feature: part for part, features in GATHERED for feature in features.split()}


def in_units(contributions: Floats, level: Floats) -> Floats:
    """Return (n, f + 1) units that add up to the forecasts; the last column is the usual day, the others add to it.

    Args:
        contributions: (n, f + 1) on the log scale, the last column that of the usual day, as the library gives them.
        level: (n,) units that a ratio of 1 stands for.
    """
    usual = level * np.exp(contributions[:, -1])
    added = contributions[:, :-1].sum(axis=1)
    growth = np.divide(np.expm1(added), added, out=np.ones_like(added), where=added != 0)
    return np.column_stack([contributions[:, :-1] * (usual * growth)[:, None], usual])


def in_words(units: Floats, features: Sequence[str], outlook: Outlook, last: pd.Timestamp) -> Parts:
    """Return the parts, each (n, horizon) units, of (n, horizon, f + 1) units by feature.

    Args:
        units: as `in_units` gives them, for the days after `last`.
        features: the f names.
        outlook: names the holidays: what their features add on a holiday goes by its name.
        last: the origin.
    """
    ahead = outlook.dates.get_indexer(pd.date_range(last + pd.Timedelta(days=1), periods=units.shape[1], freq="D"))
    named = [(_part(feature), units[:, :, column]) for column, feature in enumerate(features)]
    parts = gathered([(LEVEL, units[:, :, -1]), *named])
    near = parts.pop(HOLIDAYS, None)
    return parts if near is None else gathered([*parts.items(), *_by_holiday(near, outlook, ahead)])


def _part(feature: str) -> Part:
    if feature.startswith(GIVEN):
        return Part(PartKind.COVARIATE, feature.removeprefix(GIVEN))
    return PART_OF[feature]


def _by_holiday(near: Floats, outlook: Outlook, ahead: np.ndarray) -> Iterator[tuple[Part, Floats]]:
    """What holidays add, by name on the day itself, in equal shares where there are several; else without a name."""
    today = {name: on[ahead] for name, on in outlook.holidays.items() if on[ahead].any()}
    count = np.sum(list(today.values()), axis=0) if today else np.zeros(len(ahead))
    yield HOLIDAYS, np.where(count == 0, near, 0.0)
    for name, on in today.items():
        yield Part(PartKind.HOLIDAY, name), np.where(on, near / np.maximum(count, 1), 0.0)
