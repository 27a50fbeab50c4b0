"""What accuracy and drift found, as causes for training: small enough to be looked at every minute."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts import AccuracyVerdict, Cause, Finding, Findings, Measured
from pipeline.errors import DataError, MetadataError
from pipeline.home import Home, write_atomically
from pipeline.monitoring.found import read_found
from pipeline.registry.registry import Registry
from pipeline.tables import read_table, records

if TYPE_CHECKING:
    from pipeline.monitoring.live import Live

ALL = "all"
"""Every horizon, every age: the row over all of `forecast_accuracy`."""
_LOG = logging.getLogger(__name__)


def findings_path(home: Home, tenant_id: str) -> Path:
    """Return where a tenant's findings lie."""
    return home.tenant(tenant_id) / "findings.json"


def remember(home: Home, live: Live) -> Findings:
    """Write down what the stored tables of accuracy and drift found about each product's newest model.

    Of a product of which both found something, accuracy comes first. Products that no plan trains, since they have no
    sales any more, are left out.
    """
    tenant_id = live.data.tenant.id
    given_up = {
        name for name, gone in zip(live.data.panel.products, live.data.demand.discontinued, strict=True) if gone
    }
    found: dict[str, Finding] = {}
    for product, cause, reason, version in [*_falling(home, tenant_id), *_drifting(home, tenant_id)]:
        newest = live.latest.get(product)
        if product not in found and product not in given_up and newest is not None and newest.version == version:
            found[product] = Finding(product_id=product, version=version, cause=cause, reason=reason)
    ordered = tuple(found[product] for product in sorted(found))
    told = Findings(tenant_id=tenant_id, origin=live.data.origin.date(), found=ordered, **_over_all(home, tenant_id))
    write_atomically(findings_path(home, tenant_id), told.model_dump_json().encode())
    return told


def findings(home: Home, tenant_id: str) -> Findings | None:
    """Return what was found of a tenant's products; None: nobody has looked yet.

    Raises:
        MetadataError: the file cannot be read, or is none.
    """
    path = findings_path(home, tenant_id)
    found = read_found(Findings, path, "`drift` writes it anew")
    if found is not None and found.tenant_id != tenant_id:
        raise MetadataError(f"{path} is of tenant {found.tenant_id!r}, not of {tenant_id!r}; `drift` writes it anew")
    return found


def open_findings(found: Findings | None, registry: Registry) -> list[Finding]:
    """Return the findings that no later training has answered: those about a product's newest model.

    The registry is asked only where something was found.
    """
    if found is None or not found.found:
        return []
    newest = registry.newest_versions(found.tenant_id)
    return [one for one in found.found if newest.get(one.product_id) == one.version]


def causes_found(home: Home, tenant_id: str, registry: Registry) -> dict[str, tuple[Cause, str]]:
    """Return, by product, the cause for training that was found and not answered yet, and its reason in words.

    A file that cannot be read keeps nothing from being trained: it is logged.
    """
    try:
        found = open_findings(findings(home, tenant_id), registry)
    except MetadataError as error:
        _LOG.warning("planning without what accuracy and drift found: %s", error)
        return {}
    return {one.product_id: (one.cause, one.reason) for one in found}


Told = tuple[str, Cause, str, str]


def _falling(home: Home, tenant_id: str) -> list[Told]:
    rows = _stored(home, tenant_id, "forecast_accuracy", "verdict", AccuracyVerdict.FALLING.value)
    return [(row["product_id"], Cause.LIVE_ACCURACY, row["reason"], row["version"]) for row in rows]


def _drifting(home: Home, tenant_id: str) -> list[Told]:
    rows = _stored(home, tenant_id, "drift", "drifting", True)
    return [(row["product_id"], Cause.DRIFT, row["reason"], row["version"]) for row in rows]


def _over_all(home: Home, tenant_id: str) -> dict[str, Measured]:
    """Coverage and WAPE over all products and days, where they are known."""
    for row in _stored(home, tenant_id, "forecast_accuracy", "horizon", ALL):
        if row["product_id"] is None and row["model_age"] == ALL:
            known = {name: row[name] for name in ("coverage", "wape") if row[name] is not None}
            return {name: Measured(value=value, days=row["n"]) for name, value in known.items()}
    return {}


def _stored(home: Home, tenant_id: str, name: str, column: str, value: object) -> list[dict[str, Any]]:
    path = home.table(tenant_id, name)
    if not path.exists():
        return []
    try:
        table = read_table(path, f"the table {name}")
        return records(table[table[column] == value])
    except (DataError, KeyError) as error:  # Whoever makes it writes it anew, later in this very run.
        _LOG.warning("doing without what the table %s found: %s", name, error)
        return []
