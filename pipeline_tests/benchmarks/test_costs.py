"""The pages of cost and growth: the ratios, and whether the budgets hold, on given figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks import cost, growth
from benchmarks.anatomy import FITS, ORIGINS, SEARCH, UNUSUAL
from benchmarks.cost import Measured
from benchmarks.fresh import Fresh
from benchmarks.growth import Size
from benchmarks.tasks import Task
from pipeline_tests.test_docs import rows

STEPS = [(ORIGINS, "linear", 20.0), (ORIGINS, SEARCH, 30.0), (FITS, "linear", 4.0), (UNUSUAL, UNUSUAL, 7.0)]


def fresh(peak: float = 0.0, child: float = 0.0, **found: Any) -> Fresh:
    """What a process told, and its memory."""
    return Fresh(found, peak, child)


def measured(cpu: float) -> Measured:
    """A training of 100 products beside a peer that takes 12 CPU seconds for one."""
    return Measured(
        Task("shop", "a shop", 4),
        covariates=True,
        whole=fresh(400, 290, cpu=cpu, wall=40.0, products=100, workers=2),
        peer=fresh(cpu=72.0, forecasts=6),
        steps=fresh(steps=STEPS),
        start=fresh(cpu=2.5),
    )


@pytest.mark.parametrize(
    ("cpu", "told"),
    [
        (60.0, "Ratio: **1/20.0**. Bar 1/10: held; goal 1/20: reached."),
        (61.0, "Ratio: **1/19.7**. Bar 1/10: held; goal 1/20: missed."),
        (120.0, "Ratio: **1/10.0**. Bar 1/10: held; goal 1/20: missed."),
        (122.0, "Ratio: **1/9.8**. Bar 1/10: **missed**; goal 1/20: missed."),
    ],
)
def test_a_training_is_held_against_tuned_prophet(cpu: float, told: str) -> None:
    """The ratio is of CPU seconds for all products: those of the sample, times as many; a tenth is the bar."""
    page = cost.page(measured(cpu)).text
    assert told in page
    assert ["Prophet tuned by Optuna for each alone (6 sampled)", "100", "about 1,200", "12.00"] in rows(page)


def test_steps_add_up() -> None:
    """What the steps leave of a training is said, and what is no part of it is in no sum."""
    page = cost.page(measured(60.0)).text
    assert ["sum", "50.0", "4.0", "54.0"] in rows(page)
    assert "took 60.0 CPU s, +6.0 against this sum: starting workers with their libraries (2 at once, 2.5 CPU" in page
    assert "finding the unusual days, 7.0 CPU s" in page


def test_a_comparison_that_is_not_like_for_like_says_so() -> None:
    """Where there are covariates the page says that tuned Prophet sees none of them; elsewhere nothing is to say."""
    assert cost.BLIND in cost.page(measured(60.0)).text
    assert cost.BLIND not in cost.page(replace(measured(60.0), covariates=False)).text


def size(
    products: int, cpu: float, worker: float, matrix: float = 50.0, local: float = 200.0, pooled: float = 210.0
) -> Size:
    """A tenant of so many products."""
    return Size(
        products,
        whole=fresh(500, worker, cpu=cpu, wall=10.0, products=products - 1, workers=2),
        local=fresh(child=local),
        pooled=fresh(child=pooled, matrix=matrix),
    )


def budgets(*sizes: Size) -> dict[str, list[str]]:
    """The lines of the second table by what is judged: measured, allowed, verdict."""
    return {cells[0]: cells[1:] for cells in rows(growth.page(sizes).text) if len(cells) == 4}


@pytest.mark.parametrize(
    ("last", "told"), [(1149.0, ["+15%", "+15%", "held"]), (1160.0, ["+16%", "+15%", "**missed**"])]
)
def test_growth_is_that_of_the_cost_a_product(last: float, told: list[str]) -> None:
    """A product of a thousand may cost 15 % more than one of a hundred; what lies between is not judged."""
    found = budgets(size(100, 100.0, 1), size(300, 900.0, 1), size(1000, last, 1))
    assert found["cost a product from 100 to 1,000"] == told


def test_the_marginal_cost_is_told() -> None:
    """A product more costs the difference of the two largest tenants, over the products between them."""
    text = growth.page([size(100, 200.0, 1), size(300, 300.0, 1), size(1000, 720.0, 1)]).text
    assert "Marginal cost, from 300 to 1,000: 0.60 CPU s a product" in text


@pytest.mark.parametrize(
    ("what", "sizes", "told"),
    [
        ("does everything", {"worker": 400.0}, ["400", "400", "held"]),
        ("does everything", {"worker": 401.0}, ["401", "400", "**missed**"]),
        ("does everything", {"worker": 401.0, "matrix": 51.0}, ["401", "402", "held"]),
        ("fits the trees", {"worker": 1.0, "pooled": 400.0}, ["400", "400", "held"]),
        ("fits the trees", {"worker": 1.0, "pooled": 401.0}, ["401", "400", "**missed**"]),
        ("fits products", {"worker": 1.0, "local": 300.0}, ["300", "300", "held"]),
        ("fits products", {"worker": 1.0, "local": 301.0}, ["301", "300", "**missed**"]),
    ],
)
def test_workers_are_judged(what: str, sizes: dict[str, float], told: list[str]) -> None:
    """300 MB for one that fits products; twice the matrix more where the trees are fitted, or all is done."""
    found = budgets(size(100, 100.0, 1.0), size(3000, 3000.0, **sizes))
    assert found[f"3,000 products, a worker that {what}, MB"] == told
    assert len(found) == 1 + 2 * 3


def test_the_table_of_sizes_has_every_figure() -> None:
    """Products asked for and trained, cost, wall time, and the memory of the parent and each kind of worker."""
    text = growth.page([size(100, 100.0, 400.0, local=901.0, pooled=902.0), size(300, 300.0, 1.0)]).text
    assert ["100", "99", "100", "1.00", "10", "500", "400", "400", "901", "902"] in rows(text)
