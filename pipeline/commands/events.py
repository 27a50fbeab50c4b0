"""`pipeline events`: what other systems are told, and what they tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.commands.shared import AsJson, prepared, show
from pipeline.errors import ConfigurationError, MessageError
from pipeline.registry.outbox import OutboxRecord
from pipeline.who import user

app = typer.Typer(help="Events to other systems, and messages from them.", no_args_is_help=True)
OfTenant = Annotated[str | None, typer.Option("--tenant", help="One tenant's only; all tenants' when unset.")]
Waiting = Annotated[bool, typer.Option("--waiting", help="Only those that still wait.")]
Limit = Annotated[int, typer.Option("--limit", help="The last so many.", min=1)]


@app.command("list")
def list_(tenant: OfTenant = None, waiting: Waiting = False, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the last events of trainings, the last first: when each was written, and when it was sent.

    Example: pipeline events list --tenant my-bakery --waiting
    """
    found = prepared().registry.events(tenant, waiting=waiting, limit=limit)
    rows: list[dict[str, Any]]
    if as_json:
        rows = [{**vars(event), "body": json.loads(event.body)} for event in found]
    else:
        rows = [
            {
                "written": f"{event.created_at:%Y-%m-%d %H:%M:%S}",
                "tenant": event.tenant_id,
                "event": event.type,
                "about": _about(json.loads(event.body)),
                "sent": _sent(event),
            }
            for event in found
        ]
    show(rows, as_json, "Events", empty="no event waits" if waiting else "no event yet", spare=("about",))


@app.command("relay")
def relay_() -> None:
    """Send the events that wait, and take in the messages that wait at RabbitMQ, now.

    The sensor `event_relay` does the same every half minute.

    Example: pipeline events relay
    """
    from pipeline.events.receive import receive
    from pipeline.events.relay import relay
    from pipeline.events.sinks import place

    installation = prepared()
    seconds = installation.settings.events_seconds
    sent = relay(installation, seconds)
    typer.echo(f"{sent} ({place(installation.settings)})")
    fault = sent.fault
    if installation.settings.rabbitmq_url is not None:
        received = receive(installation, seconds)
        typer.echo(str(received))
        fault = fault or received.fault
    if fault is not None:
        raise typer.Exit(1)


@app.command("drop")
def drop(
    event: Annotated[str, typer.Argument(help="Id of an event that waits, as the relay's message names it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")],
) -> None:
    """Give up an event that cannot be sent: it goes nowhere, and its tenant's later ones are sent by the next relay.

    Example: pipeline events drop 0b6f0f2f2f6d4e0c8f6a3f1f6f0b6f0f --reason "larger than the broker takes"
    """
    from pipeline.events.refused import drop_event

    was = drop_event(prepared().registry, event, actor=user(), reason=reason)
    typer.echo(f"event {event} is dropped: {was.type} of {was.tenant_id or 'the installation'}")


@app.command("inbox")
def inbox_(tenant: OfTenant = None, waiting: Waiting = False, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the last messages of other systems, the last first, and what has come of each.

    Example: pipeline events inbox --waiting
    """
    found = prepared().registry.messages(tenant, waiting=waiting, limit=limit)
    rows: list[dict[str, Any]]
    if as_json:
        rows = [{**vars(message), "body": json.loads(message.body)} for message in found]
    else:
        rows = [
            {
                "received": f"{message.received_at:%Y-%m-%d %H:%M:%S}",
                "message": message.message_id,
                "outcome": message.outcome or "waits",
            }
            for message in found
        ]
    show(rows, as_json, "Messages", empty="no message waits" if waiting else "no message yet")


@app.command("send")
def send(
    file: Annotated[Path, typer.Argument(help="JSON: one message, or one a line.")],
) -> None:
    """Put the messages of a file into the inbox, as if they had come from RabbitMQ; all of them, or none.

    Example: pipeline events send trigger.json
    """
    from pipeline.events.messages import read_messages

    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror or error}") from error
    try:
        messages = read_messages(content)
    except MessageError as error:
        raise MessageError(f"{file}: {error}") from error
    taken = sum(prepared().registry.take_in_all(messages))
    typer.echo(f"{taken} messages taken in, {len(messages) - taken} were there already")


def _sent(event: OutboxRecord) -> str:
    if event.published_at is not None:
        return f"{event.published_at:%Y-%m-%d %H:%M:%S}"
    return "waits" if event.dropped_at is None else "dropped"


def _about(body: dict[str, Any]) -> str:
    if body["event_type"] == "training_completed":
        return f"{body['results']['successful_trainings']} of {body['results']['total_products']} products trained"
    if body["event_type"] == "training_failed":
        return f"{body['product_name'] or 'the training'}: {body['error_message']}"
    return f"{body['subject']}: {body['outcome'] if body['event_type'] == 'alert_ended' else body['message']}"
