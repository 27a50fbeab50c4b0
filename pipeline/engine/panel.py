"""The panel: many products on one daily axis, and what is known about each product's day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import EngineError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Statuses = npt.NDArray[np.int8]


class Status(IntEnum):
    """What is known about a product on a day; `SOLD` and `ZERO` are observations, the others are not."""

    BEFORE = 0
    SOLD = 1
    ZERO = 2
    CLOSED = 3
    UNKNOWN = 4
    MASKED = 5


def is_observed(status: Statuses) -> Bools:
    """Return which of some statuses are observations."""
    return np.asarray((status == Status.SOLD) | (status == Status.ZERO))


@dataclass(frozen=True)
class Panel:
    """Daily sales of n products over t days.

    `quantity` (n, t) holds units, and NaN where the day is no observation; `status` (n, t) says why.
    `shop_status` (n, t) says what the day was for the product's whole shop, also before the product began,
    and stays with a product that is taken alone; without it each product is a shop of its own.
    """

    products: tuple[str, ...]
    dates: pd.DatetimeIndex
    quantity: Floats
    status: Statuses
    category: tuple[str | None, ...] = ()
    location: tuple[str | None, ...] = ()
    name: tuple[str | None, ...] = ()
    shop_status: Statuses = field(default_factory=lambda: np.empty((0, 0), np.int8))

    def __post_init__(self) -> None:
        shape = (len(self.products), len(self.dates))
        if not self.shop_status.size:
            object.__setattr__(self, "shop_status", self.status)
        arrays = (self.quantity, self.status, self.shop_status)
        if any(array.shape != shape for array in arrays):
            raise EngineError(
                f"a panel of {shape[0]} products and {shape[1]} days needs arrays of that shape, "
                f"got {', '.join(str(array.shape) for array in arrays)}"
            )
        for labels in ("category", "location", "name"):
            if not getattr(self, labels):
                object.__setattr__(self, labels, (None,) * shape[0])

    @cached_property
    def row(self) -> dict[str, int]:
        """Row of each product."""
        return {product: number for number, product in enumerate(self.products)}

    @property
    def last(self) -> pd.Timestamp:
        """The last day of the axis: the origin, when the panel was cut at one."""
        return self.dates[-1]

    @property
    def observed(self) -> Bools:
        """(n, t): the days that are observations."""
        return np.isfinite(self.quantity)

    @property
    def started(self) -> Ints:
        """(n,): column of each product's first row; t where it has none yet."""
        begun = self.status != Status.BEFORE
        return np.where(begun.any(axis=1), begun.argmax(axis=1), len(self.dates)).astype(np.int64)

    def until(self, origin: pd.Timestamp) -> Panel:
        """Return the panel as it was known at the end of `origin`: no later column is kept."""
        stop = int(self.dates.searchsorted(origin, side="right"))
        if stop == 0:
            raise EngineError(f"origin {origin.date()} lies before the first day {self.dates[0].date()}")
        return replace(
            self,
            dates=self.dates[:stop],
            quantity=self.quantity[:, :stop],
            status=self.status[:, :stop],
            shop_status=self.shop_status[:, :stop],
        )

    def since(self, first: pd.Timestamp) -> Panel:
        """Return the panel without the days before `first`."""
        start = min(int(self.dates.searchsorted(first)), len(self.dates) - 1)
        return replace(
            self,
            dates=self.dates[start:],
            quantity=self.quantity[:, start:],
            status=self.status[:, start:],
            shop_status=self.shop_status[:, start:],
        )

    def take(self, rows: Sequence[int] | Ints | Bools) -> Panel:
        """Return the panel of some products, by row number or mask."""
        index = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            products=tuple(self.products[i] for i in index),
            quantity=self.quantity[index],
            status=self.status[index],
            category=tuple(self.category[i] for i in index),
            location=tuple(self.location[i] for i in index),
            name=tuple(self.name[i] for i in index),
            shop_status=self.shop_status[index],
        )


@dataclass(frozen=True)
class Outlook:
    """What is known or foreseen by date, over the history and through the horizon.

    `dates` covers at least the panel's days and the horizon. `holidays` names each public holiday's
    days (t,). `closed` (t,) marks days on which the whole business is closed for certain. `covariates`
    holds (t,) arrays shared by all products, `by_product` (n, t) arrays aligned with `products`; NaN where
    a value is missing.
    """

    dates: pd.DatetimeIndex
    holidays: dict[str, Bools] = field(default_factory=dict)
    closed: Bools | None = None
    covariates: dict[str, Floats] = field(default_factory=dict)
    by_product: dict[str, Floats] = field(default_factory=dict)
    products: tuple[str, ...] = ()

    def take(self, products: Sequence[str]) -> Outlook:
        """Return the outlook with the by-product covariates of some products alone."""
        if not self.by_product:
            return self
        rows = pd.Index(self.products).get_indexer(pd.Index(products))
        if (rows < 0).any():
            missing = [p for p, row in zip(products, rows, strict=True) if row < 0]
            raise EngineError(f"the outlook has no row for {missing[0]!r} and {len(missing) - 1} more")
        return replace(self, products=tuple(products), by_product={k: v[rows] for k, v in self.by_product.items()})
