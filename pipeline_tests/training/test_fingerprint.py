"""Fingerprints: equal when, and only when, a fit would see the same sales."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.observe import lay_out
from pipeline.engine.panel import Panel, Status
from pipeline.training.fingerprint import fingerprints, fingerprints_as_of, of_tenant
from pipeline_tests.engine.builders import NAN, demand, outlook_of, panel_of, sold_daily
from pipeline_tests.training.shop import FIRST, LENGTH, Shop, sales_of

UNITS = demand(60, 2)


def altered(panel: Panel, row: int, column: int, status: Status, units: float) -> Panel:
    """Return the panel with another value on one day."""
    quantity, known = panel.quantity.copy(), panel.status.copy()
    quantity[row, column], known[row, column] = units, status
    return replace(panel, quantity=quantity, status=known)


@settings(max_examples=50, deadline=None)
@given(row=st.integers(0, 1), column=st.integers(0, 59), change=st.sampled_from(["units", "closed", "masked"]))
def test_any_change_of_a_day_shows_in_its_product_alone(row: int, column: int, change: str) -> None:
    """Other units, or the same day closed or masked, change the product's fingerprint and no other's."""
    panel = panel_of(UNITS)
    status = {"units": Status.SOLD, "closed": Status.CLOSED, "masked": Status.MASKED}[change]
    units = UNITS[row, column] + 0.001 if change == "units" else NAN
    before, after = fingerprints(panel), fingerprints(altered(panel, row, column, status, units))
    assert [before[p] != after[p] for p in panel.products] == [row == 0, row == 1]


def test_closed_and_masked_are_not_the_same() -> None:
    """Two days without a number differ when the reason does."""
    panel = panel_of(UNITS)
    one, two = (altered(panel, 0, 5, status, NAN) for status in (Status.CLOSED, Status.MASKED))
    assert fingerprints(one)["p0"] != fingerprints(two)["p0"]


def test_days_before_a_product_begins_do_not_matter() -> None:
    """The same product in a shop with a longer past has the same fingerprint; begun a day later it has another."""
    longer = np.concatenate([np.full((1, 20), NAN), UNITS[:1]], axis=1)
    own = fingerprints(panel_of(UNITS[:1]))["p0"]
    assert fingerprints(panel_of(longer, first="2022-12-13"))["p0"] == own
    assert fingerprints(panel_of(UNITS[:1], first="2023-01-03"))["p0"] != own


def test_products_with_the_same_sales_differ() -> None:
    """The product's name is part of what is hashed."""
    found = fingerprints(panel_of(np.vstack([UNITS[0], UNITS[0]])))
    assert found["p0"] != found["p1"]


def test_a_product_that_has_not_begun_has_a_fingerprint() -> None:
    """A panel in which a product has no day yet is no error."""
    assert len(fingerprints(panel_of(np.vstack([UNITS[0], np.full(60, NAN)])))["p1"]) == 64


def test_the_key_of_a_pooled_fit_changes_with_any_part() -> None:
    """Another product, another order or other settings give another key."""
    keys = {of_tenant(["a", "b"], "c"), of_tenant(["a"], "c"), of_tenant(["b", "a"], "c"), of_tenant(["a", "b"], "d")}
    assert len(keys) == 4


@pytest.mark.parametrize("back", [0, 1, 40])
def test_as_of_an_earlier_origin(fresh: Shop, back: int) -> None:
    """Today's sales seen as of an earlier day have the fingerprints that were taken on that day."""
    origin = FIRST + pd.Timedelta(days=LENGTH - 1 - back)
    then = fingerprints(fresh.sell({name: units[: LENGTH - back] for name, units in sales_of().items()}).panel)
    now = fingerprints_as_of(fresh.sell(sales_of()), [origin, origin])[origin]
    assert {product: now[product] for product in then} == then


@pytest.mark.parametrize("column", ["location_id", "category"])
def test_another_label_of_today_is_no_correction_of_the_past(fresh: Shop, column: str) -> None:
    """A row that gives a product another shop or category leaves the fingerprints of earlier days alone."""
    table = sold_daily(np.vstack(list(sales_of().values())), tuple(sales_of())).assign(**{column: "one"})
    yesterday, today = table["date"].max() - pd.Timedelta(days=1), table["date"].max()
    then, now = table[table["date"] < today], table.copy()
    now.loc[now["date"] == today, column] = "other"
    data = replace(fresh.data(), outlook=outlook_of(LENGTH))
    before, after = (replace(data, sales=lay_out(rows), origin=rows["date"].max()) for rows in (then, now))
    assert fingerprints_as_of(after, [yesterday])[yesterday] == fingerprints(before.panel)


def test_the_shops_days_before_a_product_began_do_not_matter() -> None:
    """What a shop did before a product began closes days ahead of it, but is none of its sales."""
    panel = panel_of(np.concatenate([np.full((1, 20), NAN), UNITS[:1]], axis=1))
    shut = panel.shop_status.copy()
    shut[0, 5:12:7] = Status.CLOSED
    assert fingerprints(replace(panel, shop_status=shut)) == fingerprints(panel)


def test_as_of_a_day_before_all_sales_there_is_nothing(fresh: Shop) -> None:
    """An origin before the first day has no fingerprints."""
    assert fingerprints_as_of(fresh.data(), [FIRST - pd.Timedelta(days=1)]) == {}


def test_another_category_is_another_fingerprint() -> None:
    """What the pooled family learns from a product's category is part of what the product was trained on."""
    panel = panel_of(np.full(40, 5.0))
    moved = replace(panel, category=("cakes",))
    assert fingerprints(panel) != fingerprints(moved)
    assert fingerprints(moved) == fingerprints(replace(panel, category=("cakes",)))
