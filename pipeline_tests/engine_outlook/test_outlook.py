"""The calendar's table to the engine's arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.outlook import to_outlook
from pipeline.errors import EngineError

NAN = float("nan")


def calendar(first: str = "2024-12-24", periods: int = 4) -> pd.DataFrame:
    """Return shared rows over Christmas."""
    return pd.DataFrame(
        {
            "date": pd.date_range(first, periods=periods),
            "product_id": pd.Series([None] * periods, dtype=object),
            "holiday": pd.Series([None, "Christmas Day", "Boxing Day; Sunday", None][:periods], dtype=object),
            "closed": [False, True, False, False][:periods],
        }
    )


def with_products(shared: pd.DataFrame, rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    """Return the calendar with a covariate `promo` that some products have on some days."""
    own = pd.DataFrame(rows, columns=["date", "product_id", "promo"])
    return pd.concat(
        [shared, own.assign(date=pd.to_datetime(own["date"]), holiday=None, closed=False).astype({"holiday": object})],
        ignore_index=True,
    )


def test_shared_rows_become_arrays_by_day() -> None:
    """Days, holidays by name, closed days and shared covariates stand in order of date, whatever the rows' order."""
    table = calendar().assign(rain=[1.0, NAN, 3.0, 4.0]).iloc[::-1]
    outlook = to_outlook(table, ["a", "b"])
    assert list(outlook.dates) == list(pd.date_range("2024-12-24", periods=4))
    assert {name: list(days) for name, days in outlook.holidays.items()} == {
        "Christmas Day": [False, True, False, False],
        "Boxing Day": [False, False, True, False],
        "Sunday": [False, False, True, False],
    }
    assert outlook.closed is not None
    assert list(outlook.closed) == [False, True, False, False]
    np.testing.assert_array_equal(outlook.covariates["rain"], [1.0, NAN, 3.0, 4.0])
    assert (outlook.by_product, outlook.products) == ({}, ())


def test_values_by_product_are_filled_from_shared_ones() -> None:
    """A product's own value stands first, then the shared one, then nothing; unknown products are ignored."""
    table = with_products(
        calendar().assign(promo=[0.0, 0.0, NAN, NAN], rain=1.0),
        [("2024-12-25", "b", 7.0), ("2024-12-26", "b", 8.0), ("2024-12-24", "a", NAN), ("2024-12-24", "z", 9.0)],
    )
    outlook = to_outlook(table, ["b", "a"])
    np.testing.assert_array_equal(outlook.by_product["promo"], [[0.0, 7.0, 8.0, NAN], [0.0, 0.0, NAN, NAN]])
    np.testing.assert_array_equal(outlook.covariates["rain"], [1.0] * 4)
    assert outlook.products == ("b", "a")


@settings(max_examples=30, deadline=None)
@given(
    values=st.dictionaries(
        st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "c"])), st.floats(-9, 9), min_size=1, max_size=8
    ),
    shared=st.lists(st.one_of(st.none(), st.floats(-9, 9)), min_size=4, max_size=4),
)
def test_against_a_slow_look_up(values: dict[tuple[int, str], float], shared: list[float | None]) -> None:
    """Every cell is what one would find by looking at the rows one by one."""
    rows = [(f"2024-12-{24 + day}", product, value) for (day, product), value in values.items()]
    table = with_products(calendar().assign(promo=pd.Series(shared, dtype=float)), rows)
    grid = to_outlook(table, ["a", "b", "c"]).by_product["promo"]
    for number, product in enumerate("abc"):
        for day in range(4):
            other = shared[day]
            expected = values.get((day, product), NAN if other is None else other)
            np.testing.assert_equal(grid[number, day], expected)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (calendar().iloc[:0], "no shared row"),
        (calendar().drop(1), "step from 2024-12-24 to 2024-12-26"),
        (pd.concat([calendar(), calendar().tail(1)]), "step from 2024-12-27 to 2024-12-27"),
    ],
)
def test_gaps_are_refused(table: pd.DataFrame, said: str) -> None:
    """An empty calendar, a missing date and a repeated date are errors that name the place."""
    with pytest.raises(EngineError, match=said):
        to_outlook(table, ["a"])
