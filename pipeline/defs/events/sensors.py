"""Speaks with other systems: sends events, takes messages in, and asks for the runs that they want."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from contracts import Severity
from pipeline.defs.jobs import retrain_products, train_and_forecast
from pipeline.defs.partitions import TENANTS
from pipeline.defs.resources import InstallationResource
from pipeline.errors import MessageError
from pipeline.events.receive import receive
from pipeline.events.relay import relay
from pipeline.events.requests import Request, requested
from pipeline.installation import Installation
from pipeline.logs import CORRELATION_TAG
from pipeline.queue import BATCH_TAG, number_of, priority_tags
from pipeline.registry.alerts import Subject, Trouble
from pipeline.registry.inbox import InboxRecord
from pipeline.registry.registry import Registry
from pipeline.registry.repository import now
from pipeline.settings import get_settings

AT_ONCE = 50
"""New messages that one tick looks at, and as many that it looks after."""
AGAIN_AFTER = timedelta(minutes=5)
"""After this a run that was asked for and did not come is asked for again: the daemon died before it made it."""
RUN_KEY = "dagster/run_key"
RECEIVING = Subject("messages_held_up", "", "RabbitMQ")


@dg.sensor(
    minimum_interval_seconds=get_settings().events_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends events that wait, and takes messages of other systems into the inbox. It starts no run.",
)
def event_relay(context: dg.SensorEvaluationContext, installation: InstallationResource) -> dg.SkipReason:
    """Send events that wait, and take messages in; the tick says how many, and why not more."""
    opened = installation.open()
    with opened.registry:
        sent = relay(opened, opened.settings.events_seconds)
        received = receive(opened, opened.settings.events_seconds)
        _note_receiving(opened.registry, received.fault)
    if received.unreadable:
        context.log.warning(f"put aside: {'; '.join(received.unreadable)}")
    return dg.SkipReason(f"{sent}; {received}" if opened.settings.rabbitmq_url else str(sent))


def _note_receiving(registry: Registry, fault: str | None) -> None:
    """Raise an alert while messages cannot be taken in: a single one that the client chokes on holds up all others."""
    if fault is None:
        registry.note_well(RECEIVING, "messages are taken in again", now())
        return
    action = "See that RabbitMQ is up; if it is, look at the first message of the queue, and take it out by hand."
    registry.note_trouble(RECEIVING, Trouble(Severity.MEDIUM, fault, action), now())


@dg.sensor(
    jobs=[train_and_forecast, retrain_products],
    minimum_interval_seconds=get_settings().events_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for the runs that messages in the inbox want, each once.",
)
def messages(context: dg.SensorEvaluationContext, installation: InstallationResource) -> dg.SensorResult:
    """Ask for the runs that messages want, each once.

    A message is claimed, so that of two daemons one asks; its name and the moment when it came are the run key, so
    that a replayed tick asks for nothing twice; and it is handled once its run is there, since a daemon may die between
    asking and making it. What is told of sales that were imported is claimed together, for one run of the tenant. What
    cannot be run, for an unknown tenant say, is handled at once, with the reason as its outcome.
    """
    opened = installation.open()
    with opened.registry:
        # However many were asked for and wait for their runs, they keep no others waiting.
        new = opened.registry.unclaimed_messages(AT_ONCE, AGAIN_AFTER)
        waiting = {message.id: message for message in (*new, *opened.registry.waiting_messages(AT_ONCE))}
        found = [_looked_at(context.instance, opened, message) for message in waiting.values()]
    # The urgent first: where the queue is empty a run starts as soon as it is made.
    requests = sorted((one for one in found if isinstance(one, dg.RunRequest)), key=lambda one: -number_of(one.tags))
    words = [one for one in found if isinstance(one, str)]
    for one in words:
        context.log.info(one)
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "; ".join(words) or "no message waits",
        dynamic_partitions_requests=list(_new_partitions(context.instance, requests)),
    )


def _looked_at(instance: dg.DagsterInstance, opened: Installation, message: InboxRecord) -> dg.RunRequest | str:
    """A run to ask for, or what else became of a message, in words."""
    name, registry = message.message_id, opened.registry
    if runs := instance.get_runs(dg.RunsFilter(tags={RUN_KEY: message.key}), limit=1):
        outcome = f"run {runs[0].run_id} of {runs[0].job_name}{_told(opened, message)}"
        registry.mark_handled(message.id, outcome)
        return f"{name}: {outcome}"
    try:
        request = requested(opened, message)
    except MessageError as error:
        registry.mark_handled(message.id, f"nothing was run: {error}")
        return f"{name}: nothing was run: {error}"
    if not registry.claim_request(message, AGAIN_AFTER, together=request.together):
        return f"{name}: its run was asked for and is not there yet"
    return _run_request(message, request)


def _told(opened: Installation, message: InboxRecord) -> str:
    try:
        return f": {requested(opened, message).told}"
    except MessageError:
        return ""  # The tenant has gone since; its run is there all the same.


def _run_request(message: InboxRecord, request: Request) -> dg.RunRequest:
    config = {"ops": {"training_plan": {"config": dict(request.plan)}}} if request.plan else {}
    return dg.RunRequest(
        run_key=message.key,
        job_name=request.job,
        partition_key=message.tenant_id,
        run_config=config,
        tags={
            "cause": message.type.replace("_", " "),
            "tenant": message.tenant_id,
            CORRELATION_TAG: message.message_id,
            **priority_tags(request.priority),
            **({BATCH_TAG: request.batch} if request.batch else {}),
        },
    )


def _new_partitions(
    instance: dg.DagsterInstance, requests: list[dg.RunRequest]
) -> Iterator[dg.AddDynamicPartitionsRequest]:
    """Register tenants that no run has been made for yet: a run of an unknown partition would fail the tick."""
    known = set(instance.get_dynamic_partitions(TENANTS.name or ""))
    if new := sorted({one.partition_key for one in requests if one.partition_key} - known):
        yield TENANTS.build_add_request(new)
