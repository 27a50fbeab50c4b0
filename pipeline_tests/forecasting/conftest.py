"""The trained shop of the training's tests, with every model in use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline_tests.training.conftest import Training, fresh, fresh_template, trained, training
from pipeline_tests.training.shop import Shop

__all__ = ["fresh", "fresh_template", "trained", "training"]


def put_in_use(shop: Shop, tenant_id: str = "bakery") -> dict[str, str]:
    """Make every product's newest model the champion, whatever its figures; return the versions."""
    registry = shop.installation.registry
    versions = {product: record.version for product, record in registry.latest(tenant_id).items()}
    for product, version in versions.items():
        registry.promote(tenant_id, product, version, reason="test", actor="test", figures={})
    return versions


@pytest.fixture
def running(training: Training, tmp_path: Path) -> Iterator[Shop]:
    """A shop whose models are all in use."""
    shop = training.shop.copy_to(tmp_path / "running")
    put_in_use(shop)
    yield shop
    shop.close()
