"""The panel's own promises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.engine.panel import Outlook, Panel, Status
from pipeline.errors import EngineError
from pipeline_tests.engine.builders import MONDAY, NAN, days, outlook_of, panel_of


def test_arrays_of_another_shape_are_refused() -> None:
    """Arrays that do not fit the products and days are an error that says both shapes."""
    with pytest.raises(EngineError, match=r"2 products and 3 days .* got \(2, 4\)"):
        Panel(("a", "b"), days(3), np.zeros((2, 4)), np.ones((2, 3), np.int8))


def test_labels_default_to_none_for_each_product() -> None:
    """Without labels every product has None for its category, location and name."""
    assert panel_of(np.ones((2, 3))).category == (None, None)


def test_a_panel_without_shops_has_each_product_as_its_own() -> None:
    """Where nothing is said of the shops, a product's own days are its shop's; wrong shapes are refused."""
    panel = panel_of([[1, 0], [NAN, 2]])
    np.testing.assert_array_equal(panel.shop_status, panel.status)
    with pytest.raises(EngineError, match=r"2 products and 2 days .* got \(2, 2\), \(2, 2\), \(1, 2\)"):
        panel_of([[1, 0], [NAN, 2]], shop_status=panel.status[:1])


def test_the_shops_days_follow_the_product() -> None:
    """What is known of a product's shop is cut and taken along with the product's own days."""
    panel = panel_of([[1, 2, 3], [NAN, NAN, 6]], shop_status=np.array([[1, 3, 1], [1, 4, 1]], np.int8))
    assert panel.take([1]).shop_status.tolist() == [[1, 4, 1]]
    assert panel.until(MONDAY + pd.Timedelta(days=1)).shop_status.tolist() == [[1, 3], [1, 4]]


def test_until_keeps_nothing_later() -> None:
    """A panel cut at an origin ends on it, with its arrays."""
    cut = panel_of([[1, 2, 3, 4]]).until(MONDAY + pd.Timedelta(days=1))
    assert cut.last == MONDAY + pd.Timedelta(days=1)
    assert cut.quantity.tolist() == [[1, 2]]
    assert cut.status.shape == (1, 2)


def test_until_before_the_first_day_is_refused() -> None:
    """An origin before the first day is an error that names both days."""
    with pytest.raises(EngineError, match="origin 2022-12-31 lies before the first day 2023-01-02"):
        panel_of([[1, 2]]).until(pd.Timestamp("2022-12-31"))


def test_take_by_mask_and_by_row_keeps_everything_aligned() -> None:
    """Products, arrays and labels of the taken rows stay together, in the order asked for."""
    panel = panel_of([[1, 2], [3, 4], [5, 6]], category=("x", "y", "z"))
    assert panel.take([2, 0]).products == ("p2", "p0")
    assert panel.take([2, 0]).category == ("z", "x")
    assert panel.take(np.array([False, True, False])).quantity.tolist() == [[3, 4]]


def test_started_is_the_first_row_even_when_masked() -> None:
    """A product starts on its first day that is not `BEFORE`; one without any starts after the end."""
    panel = panel_of([[NAN, 1, 2], [NAN, NAN, NAN]])
    masked = panel.status.copy()
    masked[0, 0] = Status.MASKED
    assert panel.started.tolist() == [1, 3]
    assert Panel(panel.products, panel.dates, panel.quantity, masked).started.tolist() == [0, 3]


def test_outlook_take_aligns_covariates_by_product() -> None:
    """Covariates by product follow the products asked for; an unknown product is an error that names it."""
    outlook = Outlook(days(2), by_product={"promo": np.array([[1.0, 2.0], [3.0, 4.0]])}, products=("a", "b"))
    assert outlook.take(["b"]).by_product["promo"].tolist() == [[3.0, 4.0]]
    with pytest.raises(EngineError, match="no row for 'z' and 0 more"):
        outlook.take(["a", "z"])


def test_outlook_take_without_covariates_by_product_is_itself() -> None:
    """Where nothing differs by product, products need not be known."""
    outlook = outlook_of(3)
    assert outlook.take(["anything"]) is outlook
