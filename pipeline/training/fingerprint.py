"""What a product's data were, in one hash: equal when, and only when, a fit would see the same sales."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pandas as pd

from pipeline.engine.observe import observe
from pipeline.engine.panel import Panel
from pipeline.tenant_data import TenantData


def fingerprints(panel: Panel) -> dict[str, str]:
    """Return the SHA-256 of each product's labels, days and units, from its first row to the panel's last day."""
    return {
        product: _digest(panel, row, int(begun))
        for row, (product, begun) in enumerate(zip(panel.products, panel.started, strict=True))
    }


def fingerprints_as_of(data: TenantData, origins: Iterable[pd.Timestamp]) -> dict[pd.Timestamp, dict[str, str]]:
    """Return the fingerprints that today's sales would have had at each of the origins.

    Where one differs from the fingerprint a model was trained on, history was corrected since.
    """
    first = data.sales.dates[0]
    return {
        origin: fingerprints(observe(data.sales, data.outlook, origin)) for origin in set(origins) if origin >= first
    }


def of_tenant(products: Iterable[str], config: str) -> str:
    """Return one hash over products' fingerprints and the configuration: the key of a pooled fit."""
    return hashlib.sha256("\n".join([config, *products]).encode()).hexdigest()


def _digest(panel: Panel, row: int, begun: int) -> str:
    labels = (panel.products[row], panel.category[row], panel.location[row])
    digest = hashlib.sha256(repr(labels).encode("utf-8", "backslashreplace"))
    if begun < len(panel.dates):
        digest.update(str(panel.dates[begun].date()).encode())
    digest.update(panel.status[row, begun:].tobytes())
    digest.update(panel.quantity[row, begun:].tobytes())
    return digest.hexdigest()
