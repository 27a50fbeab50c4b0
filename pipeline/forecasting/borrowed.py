"""From whom a young product borrows its forecast: its category, else its location, else the whole tenant."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from contracts import PartKind
from pipeline.engine.borrowing import FEWEST_PEERS, LEVEL_DAYS, Borrowed, borrow, choose_peers
from pipeline.engine.closing import closed_ahead
from pipeline.engine.intervals import product_scale
from pipeline.engine.metrics import seasonal_scales
from pipeline.engine.panel import Bools, Floats
from pipeline.engine.parts import LEVEL, Part, Parts
from pipeline.tenant_data import TenantData

GROUPS = ("category", "location", "the whole business")
"""Where peers are looked for: the next where too few of the one before have a forecast."""


@dataclass(frozen=True)
class Peers:
    """The products that one borrows from, and how they are told."""

    products: tuple[str, ...]
    group: str

    @property
    def told(self) -> str:
        """In words, for the forecast's reason.

        >>> Peers(("Baguette", "Rye", "Roll"), "category Bread").told
        'borrowed from category Bread, 3 products'
        """
        return f"borrowed from {self.group}, {len(self.products)} products"


class Lenders:
    """A tenant's products that can lend: those with a model, in use or before it, that still sell."""

    def __init__(self, data: TenantData, with_model: Collection[str]) -> None:
        self._data = data
        sold = np.nansum(data.held.panel.quantity[:, -LEVEL_DAYS:], axis=1) > 0
        self._able: Bools = np.array([product in with_model for product in data.panel.products], bool) & sold

    def of(self, product: str, group: str) -> Peers | None:
        """Return the peers of a product in one of GROUPS; None where that has too few."""
        panel = self._data.panel
        row, labels = panel.row[product], {"category": panel.category, "location": panel.location}.get(group)
        like = _alike(labels, row, len(panel.products))
        if (like & self._able).sum() < FEWEST_PEERS:
            return None
        rows = choose_peers(like, self._able, self._data.demand.level)
        return Peers(tuple(panel.products[one] for one in rows), group if labels is None else f"{group} {labels[row]}")

    def lend(self, product: str, peers: Peers, ahead: Mapping[str, Floats]) -> tuple[Borrowed, Peers] | None:
        """Return what a product is expected to sell, and by which peers' (h,) units; None where too few have any."""
        names = tuple(name for name in peers.products if name in ahead)
        if len(names) < FEWEST_PEERS:
            return None
        data = self._data
        rows = [data.panel.row[name] for name in names]
        panel = data.held.panel.take(rows)
        made = np.array([ahead[name] for name in names])
        shut = closed_ahead(panel, data.outlook, made.shape[1])
        scale = product_scale(seasonal_scales(panel)[0], data.demand.level[rows])
        lent = borrow(data.held.panel.quantity[data.panel.row[product]], panel.quantity, made, shut, scale)
        return lent, Peers(names, peers.group)


def parts_of(lent: Borrowed) -> Parts:
    """Return the (1, h) units of the level, and what the peers add to it."""
    level = np.full((1, len(lent.y_hat)), lent.level)
    return {LEVEL: level, Part(PartKind.PEERS): lent.y_hat[None] - level}


def _alike(labels: Sequence[str | None] | None, row: int, count: int) -> Bools:
    """(count,): the products with the same label as that of a row; none where it has no label."""
    if labels is None:
        return np.ones(count, bool)
    return np.array([label is not None and label == labels[row] for label in labels], bool)
