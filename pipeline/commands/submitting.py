"""`pipeline jobs submit`: trainings of several tenants, asked for through the inbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from uuid import uuid4

import typer

from contracts import BulkTrainingRequest, Priority, TrainingTrigger
from pipeline.commands.shared import AsJson, prepared, show
from pipeline.errors import ConfigurationError
from pipeline.requests import accepted


def submit(
    tenant: Annotated[list[str] | None, typer.Option("--tenant", help="Tenant id; may be given again.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every tenant.")] = False,
    product: Annotated[
        list[str] | None,
        typer.Option("--product", help="Product id; may be given again. Those with new sales when unset."),
    ] = None,
    priority: Annotated[Priority, typer.Option("--priority", help="Place in the queue.")] = Priority.NORMAL,
    one_by_one: Annotated[bool, typer.Option("--one-by-one", help="One tenant after the other.")] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of this submission; under the same name nothing is asked twice.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask for trainings of up to 100 tenants: all of them, or none; the daemon puts them into the queue.

    Example: pipeline jobs submit --tenant my-bakery --tenant my-cafe --one-by-one
    """
    from pipeline.events.messages import read_message
    from pipeline.tenants import tenant_ids

    installation = prepared()
    if everyone == bool(tenant):
        raise ConfigurationError("give --tenant, once or more often, or --all")
    request = accepted(
        BulkTrainingRequest,
        tenants=tenant_ids(installation.home) if everyone else tenant,
        products=product or (),
        parallel=not one_by_one,
        priority=priority,
    )
    for tenant_id in request.tenants:
        installation.tenant(tenant_id)
    messages = [read_message(body.encode()) for body in _triggers(request, name or uuid4().hex)]
    rows = [
        {"tenant": message.tenant_id, "asked for": "now" if new else "before", "message": message.message_id}
        for message, new in zip(messages, installation.registry.take_in_all(messages), strict=True)
    ]
    show(rows, as_json, "Trainings that the daemon will queue", whole=("tenant",))


def _triggers(request: BulkTrainingRequest, name: str) -> Iterator[str]:
    """The message of each tenant, as JSON; the name makes each known again."""
    for tenant_id in request.tenants:
        trigger = TrainingTrigger(
            tenant_id=tenant_id,
            event_id=name,
            products=request.products or "all",
            priority=request.priority,
            batch=None if request.parallel else name,
        )
        yield trigger.model_dump_json()
