"""The table of the calendar to the arrays that the engine works on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.engine.panel import Bools, Floats, Outlook
from pipeline.errors import EngineError

_FIXED = ("date", "product_id", "holiday", "closed")
_NAMES_SEPARATOR = "; "


def to_outlook(calendar: pd.DataFrame, products: Sequence[str]) -> Outlook:
    """Return the outlook of some products from a calendar.

    `calendar` has the columns date, product_id (null: shared by all), holiday (names joined by `; `),
    closed, and one float column a covariate; its shared rows cover every date once, without a gap. A
    covariate with values by product becomes (n, t), filled from the shared rows where a product has
    none; every other (t,). NaN marks a missing value.

    Raises:
        EngineError: the shared rows are absent, repeat a date, or leave one out.
    """
    is_shared = calendar["product_id"].isna().to_numpy()
    shared = calendar[is_shared].sort_values("date")
    dates = _axis(shared)
    names = [column for column in calendar.columns if column not in _FIXED]
    own = calendar[~is_shared]
    place = pd.Index(products).get_indexer(pd.Index(own["product_id"]))
    day = (own["date"].to_numpy() - dates[0].to_datetime64()).astype("timedelta64[D]").astype(np.int64)
    known = (place >= 0) & (day >= 0) & (day < len(dates))
    covariates: dict[str, Floats] = {}
    by_product: dict[str, Floats] = {}
    for name in names:
        common = shared[name].to_numpy(dtype=np.float64)
        values = own[name].to_numpy(dtype=np.float64)
        if np.isfinite(values).any():
            by_product[name] = _grid(common, values[known], place[known], day[known], len(products))
        else:
            covariates[name] = common
    return Outlook(
        dates=dates,
        holidays=_holidays(shared["holiday"]),
        closed=shared["closed"].to_numpy(dtype=np.bool_),
        covariates=covariates,
        by_product=by_product,
        products=tuple(products) if by_product else (),
    )


def _axis(shared: pd.DataFrame) -> pd.DatetimeIndex:
    dates = pd.DatetimeIndex(shared["date"]).rename(None)
    if dates.empty:
        raise EngineError("the calendar has no shared row; one for each date is needed, with a null product_id")
    days = dates.to_numpy().astype("datetime64[D]").astype(np.int64)
    steps = np.diff(days)
    if (steps != 1).any():
        at = int(np.flatnonzero(steps != 1)[0])
        raise EngineError(f"the calendar's shared rows step from {dates[at].date()} to {dates[at + 1].date()}")
    return pd.DatetimeIndex(dates, freq="D")


def _grid(
    common: Floats, values: Floats, place: npt.NDArray[np.intp], day: npt.NDArray[np.int64], products: int
) -> Floats:
    grid = np.tile(common, (products, 1))
    given = np.isfinite(values)
    grid[place[given], day[given]] = values[given]
    return grid


def _holidays(column: pd.Series) -> dict[str, Bools]:
    labels = column.to_numpy(dtype=object)
    marked = [(at, label.split(_NAMES_SEPARATOR)) for at, label in enumerate(labels) if isinstance(label, str)]
    days: dict[str, Bools] = {}
    for at, names in marked:
        for name in names:
            days.setdefault(name, np.zeros(len(labels), dtype=np.bool_))[at] = True
    return days
