"""Laid-out sales that are cut at a day are those of the rows since then."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.observe import lay_out, observe
from pipeline.engine.panel import Status
from pipeline.training.fingerprint import fingerprints
from pipeline_tests.engine.builders import MONDAY, daily, days, outlook_of, sold_daily


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(0, 59), st.integers(0, 30), st.sampled_from("ab"),
            st.none() | st.just(1.5), st.booleans(),
        ),
        min_size=1, max_size=80,
    ),
    first=st.integers(0, 59),
)  # fmt: skip
def test_sales_since_a_day_are_those_of_the_rows_since_then(
    rows: list[tuple[int, int, int, str, float | None, bool]], first: int
) -> None:
    """Cut at a day, the laid-out sales make the panel that the table's rows from that day on make, for any table."""
    table = daily(
        [(f"p{number}", day, float(units)) for number, day, units, *_ in rows],
        unit_price=[price for *_, price, _ in rows],
        sold_out=[out for *_, out in rows],
        category=[f"of {number}" for number, *_ in rows],
    )
    # A product is sold in one shop: what labels say is told from all rows, cut or not.
    table["location_id"] = table["product_id"].map({f"p{row[0]}": row[3] for row in rows})
    since = MONDAY + pd.Timedelta(days=first)
    left = table[table["date"] >= since]
    if left.empty:
        return
    cut, alone = (observe(sales, outlook_of(60)) for sales in (lay_out(table).since(since), lay_out(left)))
    assert cut.dates.equals(alone.dates)
    assert cut.products == tuple(sorted(set(table["product_id"])))
    kept = cut.take([cut.row[product] for product in alone.products])
    assert fingerprints(kept) == fingerprints(alone)
    gone = np.setdiff1d(cut.products, alone.products)
    assert (cut.status[[cut.row[product] for product in gone]] == Status.BEFORE).all()


def test_sales_since_a_day_after_the_last_keep_that_one() -> None:
    """There is always a day left to stand on."""
    whole = lay_out(sold_daily(np.full((2, 40), 5.0)))
    assert list(whole.since(pd.Timestamp("2031-01-01")).dates) == [days(40)[-1]]


def test_sales_since_a_day_keep_their_labels() -> None:
    """On any later day a product is called in the cut sales what it is called in the whole, also once that changes."""
    table = sold_daily(np.full((2, 40), 5.0))
    renamed = (table["product_id"] == "p0") & (table["date"] >= MONDAY + pd.Timedelta(days=30))
    whole = lay_out(table.assign(category=np.where(renamed, "cakes", "bread")))
    cut = whole.since(MONDAY + pd.Timedelta(days=20))
    for day in range(20, 40):
        told = [observe(one, outlook_of(40), MONDAY + pd.Timedelta(days=day)).category for one in (whole, cut)]
        assert told[0] == told[1] == (None if day >= 30 else "bread", "bread")
