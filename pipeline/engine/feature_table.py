"""The `features` table: the pooled family's training days as a data frame."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.engine.features import Codes, names, training_days
from pipeline.engine.panel import Outlook, Panel


def feature_table(panel: Panel, outlook: Outlook, max_rows: int) -> pd.DataFrame:
    """Return a row per product and observed day: product_id, date, quantity, then every feature as float32.

    A feature that stands for a name (product, category, location) holds its number. Above `max_rows` the
    oldest days are left out.
    """
    codes, blocks, products, dates = Codes.of(panel), [], [], []
    columns = names(outlook)
    first = _first_column(panel, max_rows)
    for column, _, observed, features in training_days(panel, outlook, codes, first):
        rows = np.flatnonzero(observed)
        products.append(rows)
        dates.append(np.full(len(rows), column))
        blocks.append(np.column_stack([panel.quantity[rows, column], features[rows]]).astype(np.float32))
    values = np.concatenate(blocks) if blocks else np.empty((0, 1 + len(columns)), np.float32)
    rows, day = (np.concatenate(part) if part else np.empty(0, np.int64) for part in (products, dates))
    frame = pd.DataFrame(values, columns=["quantity", *columns])
    frame.insert(0, "date", panel.dates[day])
    frame.insert(0, "product_id", np.array(panel.products, object)[rows])
    return frame.sort_values(["product_id", "date"], ignore_index=True)


def _first_column(panel: Panel, max_rows: int) -> int:
    """The first day from which on no more than `max_rows` observations remain."""
    after = panel.observed.sum(axis=0)[::-1].cumsum()[::-1]
    fits = np.flatnonzero(after <= max_rows)
    return int(fits[0]) if fits.size else len(panel.dates) - 1
