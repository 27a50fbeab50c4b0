"""What a message of another system asks for: which job, of which products, how soon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts import Priority, SalesImported, TrainingTrigger
from pipeline.errors import DataError, MessageError, TenantError
from pipeline.events.messages import understood
from pipeline.installation import Installation
from pipeline.registry.inbox import InboxRecord
from pipeline.tables import read_table

NAMED = 5
"""Unknown products that an outcome names."""


@dataclass(frozen=True)
class Request:
    """A run that is wanted: its job, the configuration of the job's plan, and in words what it is for.

    `together`: one run does for all messages of the tenant that want the same.
    """

    job: str
    told: str
    plan: Mapping[str, Any] = field(default_factory=dict)
    priority: Priority = Priority.NORMAL
    batch: str | None = None
    together: bool = False


def requested(installation: Installation, message: InboxRecord) -> Request:
    """Return the run that a message asks for.

    Products that the tenant's sales do not know are left out and named.

    Raises:
        MessageError: nothing can be run: the tenant, or every product, is not known; says which.
    """
    try:
        installation.tenant(message.tenant_id)
    except TenantError as error:
        raise MessageError(str(error)) from error
    said = understood(message.type, message.body.encode())
    if isinstance(said, SalesImported):
        return Request("train_and_forecast", f"{said.rows} rows imported from {said.source!r}", together=True)
    if said.products == "all":
        return Request(
            "train_and_forecast", "all products with new sales", {"scheduled": True}, said.priority, said.batch
        )
    return _of_products(installation, said, said.products)


def _of_products(installation: Installation, said: TrainingTrigger, products: tuple[str, ...]) -> Request:
    try:
        path = installation.home.table(said.tenant_id, "products")
        known = set(read_table(path, "the table of products")["product_id"])
    except (DataError, KeyError) as error:
        raise MessageError(f"tenant {said.tenant_id!r} has no products yet: {error}") from error
    wanted = list(dict.fromkeys(product for product in products if product in known))
    unknown = [product for product in products if product not in known]
    without = f"tenant {said.tenant_id!r} does not sell {', '.join(map(repr, unknown[:NAMED]))}"
    without += f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    if not wanted:
        raise MessageError(without)
    told = f"{len(wanted)} products" + (f"; {without}" if unknown else "")
    return Request("retrain_products", told, {"products": wanted}, said.priority, said.batch)
