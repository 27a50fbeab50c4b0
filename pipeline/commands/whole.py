"""Whether models are whole, as the commands need it: before one is put in use, and what to do about a broken one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contracts import ModelManifest
from pipeline.installation import Installation

if TYPE_CHECKING:
    from pipeline.training.integrity import Fault


def next_steps(faults: Sequence[Fault], tenant_id: str) -> list[str]:
    """What to do about broken models that are in use."""
    products = sorted({one.model.product_id for one in faults if one.model.deployed and not one.silent})
    if not products:
        return []
    return [
        f"in use: {', '.join(products)}; forecasts come from a lower rung until then",
        f"next: `pipeline run --tenant {tenant_id}` trains them again,",
        f'or `pipeline models rollback "{products[0]}" --tenant {tenant_id}` puts the model before it in use',
    ]


def whole_model(installation: Installation, tenant_id: str, product: str, version: str) -> ModelManifest:
    """Return the manifest of a model whose files are whole.

    Raises:
        IntegrityError: one is not; names it.
    """
    from pipeline.errors import IntegrityError
    from pipeline.training.integrity import broken_files

    manifest = installation.registry.manifest(tenant_id, product, version)
    if faults := broken_files(manifest, installation.store):
        raise IntegrityError(f"version {version} of {product!r} is not whole: {'; '.join(faults)}")
    return manifest
