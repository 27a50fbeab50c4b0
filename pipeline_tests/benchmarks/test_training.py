"""What is trained to be measured is a real training, in part or as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.training import MODES
from pipeline.engine.features import names
from pipeline_tests.training.shop import TRAINABLE, Shop, sales_of


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A small shop with its sales extracted."""
    made = Shop(tmp_path)
    made.sell(sales_of())
    yield made
    made.close()


def test_a_whole_training_trains_every_product(shop: Shop) -> None:
    """Its figures are those of all products that can be trained, and they are in the registry afterwards."""
    found = MODES["whole"](shop.installation, "bakery")
    assert found["products"] == len(TRAINABLE)
    assert set(shop.installation.registry.latest("bakery")) == set(TRAINABLE)
    assert found["cpu"] > 0
    assert found["wall"] > 0


def test_the_matrix_is_that_of_the_trees(shop: Shop) -> None:
    """The budget of memory reckons with four bytes for each observed day and feature of what is trained."""
    found = MODES["pooled"](shop.installation, "bakery")
    data = shop.data()
    rows = sum(int(data.held.panel.observed[data.held.panel.row[product]].sum()) for product in TRAINABLE)
    assert found["matrix"] == pytest.approx(rows * len(names(data.outlook)) * 4 / 2**20)


def test_products_can_be_fitted_alone(shop: Shop) -> None:
    """The worker that is looked at fits them without an error."""
    assert MODES["local"](shop.installation, "bakery") == {}
