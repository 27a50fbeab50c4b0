"""The faults of rows by product: how many there are, and where the first of them stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from contracts import FaultKind, ProductFault, Rejection

Bools = npt.NDArray[np.bool_]

LISTED = 500
SHOWN = 5
_REJECTED = {
    kind: Rejection(kind.value)
    for kind in (FaultKind.BAD_DATE, FaultKind.BAD_QUANTITY, FaultKind.ABSURD_QUANTITY, FaultKind.FUTURE_DATE)
}


def faults_of_rows(
    products: pd.Series, nameless: Bools, repeated: Bools, rejected: Mapping[Rejection, Bools], file: str
) -> list[ProductFault]:
    """Return the faults of one part's rows by product.

    `products` holds each row's product and is indexed by row number; the masks (rows,) say which rows have
    no product that could be named, repeat another, or are rejected, and why.
    """
    masks = {FaultKind.DUPLICATE: repeated, **{kind: rejected[reason] for kind, reason in _REJECTED.items()}}
    found: list[ProductFault] = []
    for kind, mask in masks.items():
        if mask.any():
            numbers = products.index[mask]
            named = products[mask].astype(object).where(~nameless[mask])
            found += _tally(kind, named, lambda at, numbers=numbers: f"{file} row {numbers[at]}")  # type: ignore[misc]
    return found


def net_negative(days: pd.DataFrame) -> list[ProductFault]:
    """Return the days of a daily table, all with more returns than sales, by product."""
    dates = days["date"].dt.strftime("%Y-%m-%d").to_numpy()
    return _tally(FaultKind.NET_NEGATIVE_DAY, days["product_id"], lambda at: str(dates[at]))


def added_up(faults: Iterable[ProductFault]) -> list[ProductFault]:
    """Return one fault a product and kind, the largest first; the first examples stand."""
    totals: dict[tuple[FaultKind, str | None], ProductFault] = {}
    for fault in faults:
        before = totals.get((fault.kind, fault.product_id))
        totals[fault.kind, fault.product_id] = fault if before is None else _joined(before, fault)
    return sorted(totals.values(), key=lambda fault: (-fault.rows, fault.kind, fault.product_id or ""))


def largest(faults: Iterable[ProductFault]) -> tuple[ProductFault, ...]:
    """Return at most 500 faults that are in order of size, in that order: no kind crowds out the worst of another."""
    ranked: list[tuple[int, int, ProductFault]] = []
    before: Counter[FaultKind] = Counter()
    for place, fault in enumerate(faults):
        ranked.append((before[fault.kind] if fault.product_id is not None else -1, place, fault))
        before[fault.kind] += 1
    kept = sorted(ranked, key=lambda entry: entry[:2])[:LISTED]
    return tuple(fault for _, _, fault in sorted(kept, key=lambda entry: entry[1]))


def _joined(first: ProductFault, second: ProductFault) -> ProductFault:
    examples = (*first.examples, *second.examples)[:SHOWN]
    return first.model_copy(update={"rows": first.rows + second.rows, "examples": examples})


def _tally(kind: FaultKind, products: pd.Series, place: Callable[[int], str]) -> list[ProductFault]:
    """One fault a product; `place` tells where the row at a position stands."""
    codes, labels = pd.factorize(products)
    names = [None, *labels]
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes + 1, minlength=len(names))
    starts = np.cumsum(counts) - counts
    return [
        ProductFault(
            kind=kind,
            product_id=name,
            rows=int(count),
            examples=tuple(place(int(at)) for at in order[start : start + min(count, SHOWN)]),
        )
        for name, start, count in zip(names, starts, counts, strict=True)
        if count
    ]
