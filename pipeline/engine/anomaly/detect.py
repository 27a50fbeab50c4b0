"""Every recent day judged: what it sold, what is usual, how odd it is, and whether it is worth a look."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.engine.anomaly.forest import Settings, odd
from pipeline.engine.anomaly.signs import read_signs
from pipeline.engine.panel import Outlook, Panel

MAX_ROWS = 250_000
"""Product days that are judged; of a larger tenant the oldest days are left out."""


def recent(panel: Panel, max_rows: int = MAX_ROWS) -> Panel:
    """Return the panel from the first day on after which at most `max_rows` product days are observed."""
    after = panel.observed.sum(axis=0)[::-1].cumsum()[::-1]
    fits = np.flatnonzero(after <= max_rows)
    return panel.since(panel.dates[fits[0] if fits.size else -1])


def judge(panel: Panel, outlook: Outlook, settings: Settings, alarm: float, seed: int) -> pd.DataFrame:
    """Return a row per judged product day, by product and date.

    `product_id`, `date`; `quantity` sold and `usual`, what such a day sells, in units; `surprise`, minus the decimal
    logarithm of the chance of sales so far off; `score`, 0 to 1, the forest's; `unusual`: the score is above `alarm`
    and the day is clear (`Signs.clear`).
    """
    signs = read_signs(panel, outlook)
    rows, columns = signs.at
    score = odd(signs.values, settings, seed) if len(rows) else np.empty(0)
    return pd.DataFrame(
        {
            "product_id": np.array(panel.products, object)[rows],
            "date": panel.dates[columns],
            "quantity": signs.sold,
            "usual": signs.usual,
            "surprise": signs.surprise,
            "score": score,
            "unusual": (score > alarm) & signs.clear,
        }
    )
