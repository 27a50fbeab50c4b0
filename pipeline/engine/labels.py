"""What rows call a product: its shop, category, location and name, as of any day."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.engine.panel import Ints


@dataclass(frozen=True)
class Label:
    """What the rows call each of n products, for as long as they agree.

    `names` are all values that were found; `code` (n,) is the number of the product's first one, -1 where
    it has none. It is the product's only one from column `since` (n,) to before column `until` (n,).
    """

    names: tuple[str, ...]
    code: Ints
    since: Ints
    until: Ints

    def codes_as_of(self, column: int) -> Ints:
        """Return (n,) numbers of names, by the rows up to a column; -1 where these say none, or several."""
        return np.where((self.since <= column) & (column < self.until), self.code, -1)

    def since_column(self, start: int) -> Label:
        """Return the same on an axis that begins at column `start`."""
        return replace(self, since=np.maximum(self.since - start, 0), until=np.maximum(self.until - start, 0))

    def as_of(self, column: int) -> tuple[str | None, ...]:
        """Return the n names, by the rows up to a column; None where these say none, or several."""
        return tuple(self.names[code] if code >= 0 else None for code in self.codes_as_of(column))


def label(values: pd.Series, product: Ints, column: Ints, shape: tuple[int, int]) -> Label:
    """Return what a column of text calls each product; missing values say nothing.

    Args:
        values: (rows,) text, or missing.
        product: (rows,) number of each row's product.
        column: (rows,) number of each row's day.
        shape: how many products and days there are.
    """
    number, names = pd.factorize(values)
    rows = pd.DataFrame({"product": product, "number": number, "column": column})[number >= 0]
    first_rows = rows.groupby(["product", "number"], as_index=False, sort=False).min().sort_values("column")
    is_other = first_rows["product"].duplicated()
    first, second = first_rows[~is_other], first_rows[is_other].drop_duplicates("product")
    code, since, until = (np.full(shape[0], default) for default in (-1, shape[1], shape[1]))
    code[first["product"]], since[first["product"]] = first["number"], first["column"]
    until[second["product"]] = second["column"]
    return Label(tuple(str(name) for name in names), code, since, until)
