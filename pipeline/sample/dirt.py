"""The documented dirt: what is wrong with the sample's files, on purpose, and in which rows.

A frame of sales lines has the columns `item` (row of the catalogue), `day` (column of the calendar),
`second` (of the day), `quantity`, `price`, `name` and `dirt`; the last names what was done to the row,
so that it can still be found when the rows have been sorted and written.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.sample.catalogue import Item, Role
from pipeline.sample.demand import Bools, Floats

Ints = npt.NDArray[np.int64]
OUTLIER_FACTOR = 8
"""A price typed as a quantity is at least so many times a usual day's units."""


def choose(lines: pd.DataFrame, rng: np.random.Generator, count: int, among: Bools | None = None) -> Ints:
    """Return the positions of at most `count` clean lines, chosen by chance, ascending."""
    clean = (lines["dirt"] == "").to_numpy()
    places = np.flatnonzero(clean if among is None else clean & among)
    return np.sort(rng.choice(places, min(count, len(places)), replace=False))


def add_returns(lines: pd.DataFrame, rng: np.random.Generator, count: int, unit: Floats) -> pd.DataFrame:
    """Add negative lines: what comes back was sold in excess before, so net sales stay as they were."""
    last = lines["day"].max()
    at = choose(lines, rng, count, (lines["day"] < last).to_numpy())
    back = lines.iloc[at].copy()
    units = rng.integers(1, 4, len(at)) * unit[back["item"]]
    sold = lines["quantity"].to_numpy().copy()
    sold[at] += units
    later = np.minimum(back["second"] + 1800, 86_399)
    back = back.assign(quantity=-units, second=later, dirt="return")
    return pd.concat([lines.assign(quantity=sold), back], ignore_index=True)


def mistype(lines: pd.DataFrame, rng: np.random.Generator, count: int, items: Sequence[Item]) -> pd.DataFrame:
    """Put the price without its decimal sign (249 for 2.49) where the quantity should be."""
    usual = np.array([i.daily if i.role is Role.REGULAR and i.unit == 1 else np.inf for i in items])
    typed = np.round(lines["price"].to_numpy() * 100)
    mistakable = (typed >= OUTLIER_FACTOR * usual[lines["item"]]) & (usual[lines["item"]] >= 10)
    at = choose(lines, rng, count, mistakable)
    quantity, dirt = lines["quantity"].to_numpy().copy(), lines["dirt"].to_numpy().copy()
    quantity[at], dirt[at] = typed[at], "outlier"
    return lines.assign(quantity=quantity, dirt=dirt)


def garble(lines: pd.DataFrame, rng: np.random.Generator, count: int) -> pd.DataFrame:
    """Write some names as UTF-8 that was read as Windows-1252 (`CafÃ©` for `Café`)."""
    accented = ~lines["name"].map(str.isascii).to_numpy(bool)
    at = choose(lines, rng, count, accented)
    name, dirt = lines["name"].to_numpy().copy(), lines["dirt"].to_numpy().copy()
    name[at] = [text.encode("utf-8").decode("cp1252") for text in name[at]]
    dirt[at] = "mojibake"
    return lines.assign(name=name, dirt=dirt)


def repeat(lines: pd.DataFrame, rng: np.random.Generator, count: int) -> pd.DataFrame:
    """Write some lines twice, the copy right behind the original."""
    at = choose(lines, rng, count)
    times = np.ones(len(lines), dtype=np.int64)
    times[at] = 2
    twice = lines.iloc[np.repeat(np.arange(len(lines)), times)].reset_index(drop=True)
    dirt = twice["dirt"].to_numpy().copy()
    dirt[np.cumsum(times)[at] - 1] = "duplicate"
    return twice.assign(dirt=dirt)


def found_in(lines: pd.DataFrame, items: Sequence[Item], dates: pd.DatetimeIndex, files: Sequence[str]) -> pd.DataFrame:
    """List the dirty lines: `kind, file, row, product_id, date, quantity`.

    Args:
        lines: in the order written; `row` counts from 1 within each file, the header not counted.
        items: the catalogue.
        dates: the calendar.
        files: name of the file that holds each line.
    """
    named = lines.assign(file=files)
    named["row"] = named.groupby("file").cumcount() + 1
    dirty = named[named["dirt"] != ""]
    return pd.DataFrame(
        {
            "kind": dirty["dirt"].to_numpy(),
            "file": dirty["file"].to_numpy(),
            "row": dirty["row"].to_numpy(),
            "product_id": [items[i].id for i in dirty["item"]],
            "date": dates[dirty["day"]],
            "quantity": dirty["quantity"].to_numpy(),
        }
    )


def whole_day(kind: str, date: pd.Timestamp) -> pd.DataFrame:
    """Return the entry for dirt that concerns a day of all products: no file, row 0, no product."""
    return pd.DataFrame([{"kind": kind, "file": "", "row": 0, "product_id": "", "date": date, "quantity": np.nan}])
