"""The report's part on how forecasts are made: each family's part, and its error beside that of the mixture."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from contracts import Member, Metrics, ModelManifest
from pipeline.engine.families import FAMILIES
from pipeline.report import TenantReport, render_report
from pipeline.report.methods import methods
from pipeline.report.words import METHODS
from pipeline_tests.registry.builders import manifest
from pipeline_tests.report.page import Node, read

DAYS = pd.DataFrame(
    {
        "actual": [10.0, 10.0, 20.0],
        "y_hat": [11.0, 9.0, 20.0],
        "seasonal_naive": [5.0, 10.0, 30.0],
        "linear": [12.0, 10.0, 20.0],
        "tsb": [np.nan, np.nan, 25.0],
    }
)


def model(product: str, **weights: float) -> ModelManifest:
    """A product's model of these families."""
    members = tuple(Member(family=f, weight=w, scope="product", metrics=Metrics(n=0)) for f, w in weights.items())
    return manifest("job", product_id=product, members=members)


def section(page: Node) -> list[Node]:
    """The part of the page that tells how forecasts are made; none where it is missing."""
    return [s for s in page.all("section") if s.attributes["aria-labelledby"] == "methods-heading"]


def test_parts_are_mean_weights_over_products() -> None:
    """A family's part is its mean weight over all models, those without it included; the largest comes first."""
    found = methods(DAYS, {"a": model("a", linear=0.4, prophet=0.6), "b": model("b", linear=1.0, tsb=0.0)})
    told = {one.family: (one.part, one.products) for one in found}
    assert told["linear"] == (pytest.approx(0.7), 2)
    assert told["prophet"] == (pytest.approx(0.3), 1)
    assert told["tsb"] == told["seasonal_naive"] == (0.0, 0)
    assert [one.family for one in found][:2] == ["linear", "prophet"]


def test_errors_are_of_the_same_days() -> None:
    """A family is measured on the days that it forecast, and beside it the finished forecast on just these."""
    found = {one.family: one for one in methods(DAYS, {"a": model("a", linear=1.0)})}
    assert (found["linear"].wape, found["linear"].together) == (pytest.approx(2 / 40), pytest.approx(2 / 40))
    assert (found["seasonal_naive"].wape, found["seasonal_naive"].together) == (15 / 40, 2 / 40)
    assert (found["tsb"].wape, found["tsb"].together) == (5 / 20, 0.0)


def test_a_family_that_was_not_refitted_names_its_stand_in() -> None:
    """Prophet's error is that of linear, and says so; without an evaluation there is no error to tell."""
    models = {"a": model("a", prophet=1.0)}
    (prophet,) = (one for one in methods(DAYS, models) if one.family == "prophet")
    assert (prophet.measured_as, prophet.wape) == ("linear", 2 / 40)
    (alone,) = methods(pd.DataFrame(), models)
    assert (alone.measured_as, alone.wape, alone.together) == (None, None, None)


def test_nothing_known_gives_nothing() -> None:
    """Before the first training there are no methods, and the page has no such part."""
    assert methods(pd.DataFrame(), {}) == ()


def test_the_page_has_a_line_for_each(report: TenantReport) -> None:
    """A line gives the method, what it does in plain words, part, products, and both errors."""
    found = methods(DAYS, {"a": model("a", linear=0.4, prophet=0.6)})
    (told,) = section(read(render_report(dataclasses.replace(report, methods=found, modelled=1))))
    lines = [[cell.text for cell in row.inside if isinstance(cell, Node)] for row in told.all("tr")[1:]]
    assert lines[0] == [
        "prophet",
        f"{METHODS['prophet']}; its error is that of linear",
        "60 %",
        "1",
        "5.0 %",
        "5.0 %",
    ]
    assert [line[0] for line in lines] == ["prophet", "linear", "seasonal naive", "tsb"]
    assert section(read(render_report(report))) == []


def test_every_family_of_ours_is_in_plain_words() -> None:
    """No family that comes with the product is told as the user's own."""
    ours = {name for name, family in FAMILIES.items() if type(family).__module__.startswith("pipeline.")}
    assert ours == set(METHODS)
