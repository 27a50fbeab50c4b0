"""What needs a person though no run has failed: conditions that hold now, and the alerts that they raise and end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from contracts import Cause, HealthStatus, Measured, Severity
from pipeline.errors import MetadataError
from pipeline.home import Home
from pipeline.installation import Installation
from pipeline.keys import label
from pipeline.monitoring.causes import findings, open_findings
from pipeline.monitoring.dataset_freshness import unreadable_tenants
from pipeline.monitoring.found import read_freshness, read_serving_health, stale
from pipeline.monitoring.metrics.read import Waiting
from pipeline.places import redacted
from pipeline.registry.alerts import Subject, Trouble
from pipeline.registry.breakers import CLOSED
from pipeline.registry.measures import CHECKSUMS
from pipeline.registry.registry import Registry
from pipeline.resilience.breakers import tenant_of
from pipeline.settings import Settings
from pipeline.tenants import tenant_ids

BREAKER, QUEUE, CHECKSUM = "breaker_open", "queue_long", "checksum_failed"
STALE, UNSEEN, DEPLOYMENT = "products_stale", "tenant_unreadable", "deployment_unwell"
COVERAGE, DRIFT, ACCURACY = "coverage_out_of_range", "demand_drift", "accuracy_falling"
KINDS = {BREAKER, QUEUE, CHECKSUM, STALE, UNSEEN, DEPLOYMENT, COVERAGE, DRIFT, ACCURACY}
CAUSES = {DRIFT: Cause.DRIFT, ACCURACY: Cause.LIVE_ACCURACY}
OF_FINDINGS = (COVERAGE, DRIFT, ACCURACY)
"""Kinds that come of one file of a tenant."""
CHANGES = 100
"""Alerts that a look raises and ends at most, so that it takes no longer than a tick may."""
SHOWN = 5
"""Products that a message names."""
LONGEST = 2000


class Memory(BaseModel):
    """What is remembered from one look to the next: since when the queue is long, and when a broken file was last met.

    Where it is lost, a long queue has to stay long anew; a broken file that was ever met counts as met now.
    """

    model_config = ConfigDict(frozen=True)

    queue_long_since: AwareDatetime | None = None
    broken: float = 0
    broken_at: AwareDatetime | None = None

    @classmethod
    def read(cls, text: str | None) -> Memory:
        """Return what was remembered; nothing, where that cannot be read."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()


@dataclass(frozen=True)
class Condition:
    """Something that is wrong now."""

    subject: Subject
    trouble: Trouble


@dataclass
class Look:
    """What holds now, what could not be looked at, and what is to be remembered."""

    memory: Memory
    holds: list[Condition] = field(default_factory=list)
    unseen: set[tuple[str, str]] = field(default_factory=set)
    """Kinds that could not be looked at, with the tenant where each has its own file: their alerts stay as they are."""
    faults: list[str] = field(default_factory=list)


def look(opened: Installation, queue: Sequence[Waiting], memory: Memory, at: dt.datetime) -> Look:
    """Return the conditions that hold.

    Args:
        opened: whose registry and files are looked at.
        queue: the runs that wait.
        memory: what the look before remembered.
        at: now, UTC.

    Raises:
        RegistryError: the registry cannot be read.
    """
    settings, home, registry = opened.settings, opened.home, opened.registry
    found = Look(_remembered(registry, queue, memory, settings, at))
    sources: list[tuple[Sequence[str], str, Callable[[], Iterable[Condition]]]] = [
        ([BREAKER], "", partial(_breakers, registry, settings, at)),
        ([QUEUE], "", partial(_queue, found.memory, settings, at)),
        ([CHECKSUM], "", partial(_checksums, found.memory, settings, at)),
        ([STALE], "", partial(_stale, home)),
        ([UNSEEN], "", partial(_not_looked_at, home, found)),
        ([DEPLOYMENT], "", partial(_deployments, home)),
    ]
    sources += [(OF_FINDINGS, tenant, partial(_found, opened, tenant)) for tenant in tenant_ids(home)]
    for kinds, tenant, source in sources:
        try:
            found.holds += source()
        except MetadataError as error:
            found.unseen |= {(kind, tenant) for kind in kinds}
            found.faults.append(str(error))
    return found


def note(registry: Registry, found: Look, at: dt.datetime) -> Iterator[str]:
    """Raise and end alerts as a look found it, and yield in words what has changed.

    An alert that is open, and says what is found again, is left alone: it is no further event that it still holds. What
    goes beyond `CHANGES` is left for the next look, and told.
    """
    before = {Subject(one.kind, one.tenant_id, one.subject): one for one in registry.alerts(limit=None)}
    holding = {one.subject: one.trouble for one in found.holds}
    ended = [
        subject
        for subject in before.keys() - holding.keys()
        if subject.kind in KINDS and not {(subject.kind, ""), (subject.kind, subject.tenant_id)} & found.unseen
    ]
    told = {subject: (alert.severity, alert.message) for subject, alert in before.items()}
    raised = [subject for subject in holding if subject not in before]
    other = [s for s, now in holding.items() if s in before and told[s] != (now.severity, now.message)]
    changes = [*raised, *ended, *other]
    for subject in changes[:CHANGES]:
        if subject in holding:
            if registry.note_trouble(subject, holding[subject], at):
                yield f"an alert was raised: {subject.kind}: {subject.name}: {holding[subject].message}"
        elif registry.note_well(subject, "it does not hold any more", at):
            yield f"an alert has ended: {subject.kind}: {subject.name}"
    if left := changes[CHANGES:]:
        yield f"{len(left)} alerts more are raised or ended at the next look"


def _remembered(
    registry: Registry, queue: Sequence[Waiting], memory: Memory, settings: Settings, at: dt.datetime
) -> Memory:
    broken = sum(registry.totals(CHECKSUMS).values())
    long = len(queue) > settings.alert_queue_depth
    return Memory(
        queue_long_since=(memory.queue_long_since or at) if long else None,
        broken=broken,
        broken_at=at if broken > memory.broken else memory.broken_at,
    )


def _breakers(registry: Registry, settings: Settings, at: dt.datetime) -> Iterator[Condition]:
    """Services that have been left alone for too long; a trial that fails does not begin the time anew."""
    since = at - dt.timedelta(minutes=settings.alert_breaker_minutes)
    for one in registry.breakers():
        if one.state != CLOSED and one.opened_at is not None and one.opened_at <= since:
            tenant = tenant_of(one.name) or ""
            message = f"left alone since {one.opened_at:%Y-%m-%d %H:%M} UTC: {one.last_error or 'no error is known'}"
            action = "See that the service is up; `pipeline breakers list` says when it is tried again."
            yield Condition(Subject(BREAKER, tenant, one.name), _trouble(Severity.MEDIUM, message, action))


def _queue(memory: Memory, settings: Settings, at: dt.datetime) -> Iterator[Condition]:
    since = memory.queue_long_since
    if since is not None and at - since >= dt.timedelta(minutes=settings.alert_queue_minutes):
        most = settings.alert_queue_depth
        message = f"more than {most} runs have waited since {since:%Y-%m-%d %H:%M} UTC, {most} are usual at the most"
        action = "`pipeline jobs list` shows what waits and what runs; raise MAX_CONCURRENT_JOBS where there are cores."
        yield Condition(Subject(QUEUE, "", "queue"), _trouble(Severity.MEDIUM, message, action))


def _checksums(memory: Memory, settings: Settings, at: dt.datetime) -> Iterator[Condition]:
    met = memory.broken_at
    if met is not None and at - met < dt.timedelta(hours=settings.alert_checksum_hours):
        message = f"a stored file or manifest is not what it was, last met {met:%Y-%m-%d %H:%M} UTC"
        action = "`pipeline models verify` names what is broken; train that product again."
        yield Condition(Subject(CHECKSUM, "", "artefacts"), _trouble(Severity.HIGH, message, action))


def _stale(home: Home) -> Iterator[Condition]:
    """One a tenant and clock, whatever the number of its products."""
    frame = read_freshness(home)
    if frame is None:
        return
    actions = {
        "data": "See that the tenant's sales arrive; `pipeline tenants check` says what was wrong with them.",
        "model": "Train the tenant: `pipeline run`; the training ledger says why products were not trained.",
        "forecast": "Run the tenant: `pipeline run`; the last forecasts stand meanwhile.",
    }
    for (tenant, clock), rows in stale(frame).groupby(["tenant_id", "clock"]):
        reasons = dict(zip(rows["product_id"].astype(str), rows["reason"].astype(str), strict=True))
        action = actions.get(str(clock), "See what the reason names.")
        yield Condition(Subject(STALE, str(tenant), str(clock)), _trouble(Severity.MEDIUM, _named(reasons), action))


def _not_looked_at(home: Home, found: Look) -> Iterator[Condition]:
    """Tenants whose sales, models or forecasts could not be read: what was late of theirs is late still."""
    for tenant, fault in unreadable_tenants(home).items():
        found.unseen.add((STALE, tenant))
        action = "Mend or remove what the message names; `pipeline run` makes a tenant's tables anew."
        yield Condition(Subject(UNSEEN, tenant, "freshness"), _trouble(Severity.HIGH, fault, action))


def _deployments(home: Home) -> Iterator[Condition]:
    health = read_serving_health(home)
    severities = {HealthStatus.UNHEALTHY: Severity.HIGH, HealthStatus.DEGRADED: Severity.MEDIUM}
    for one in health.deployments if health is not None else ():
        if one.status in severities:
            subject = Subject(DEPLOYMENT, "", label(one.deployment_id))
            action = "See the server's own log; `pipeline monitor serving-health` says what its windows show."
            yield Condition(subject, _trouble(severities[one.status], f"{one.status.value}: {one.detail}", action))


def _found(opened: Installation, tenant: str) -> Iterator[Condition]:
    """What accuracy and drift found of a tenant's models."""
    found = findings(opened.home, tenant)
    if found is None:
        return
    yield from _coverage(tenant, found.coverage, opened.settings)
    left = open_findings(found, opened.registry)
    action = "Nothing at first: the products are due for training, with this cause. Look whether something changed."
    for kind, cause in CAUSES.items():
        if reasons := {one.product_id: one.reason for one in left if one.cause is cause}:
            yield Condition(Subject(kind, tenant, "products"), _trouble(Severity.LOW, _named(reasons), action))


def _coverage(tenant: str, measured: Measured | None, settings: Settings) -> Iterator[Condition]:
    least, most = settings.alert_coverage_least, settings.alert_coverage_most
    if measured is None or measured.days < settings.alert_coverage_days or least <= measured.value <= most:
        return
    share = f"{measured.value:.1%} of {measured.days} product days"
    message = f"{share} lay inside the range, {least:.0%} to {most:.0%} should"
    action = "Train the tenant: ranges are measured anew. Until then take the range for narrower than the days are."
    if measured.value > most:
        action = "Train the tenant: ranges are measured anew. Until then they are wider than they need be."
    yield Condition(Subject(COVERAGE, tenant, "coverage"), _trouble(Severity.MEDIUM, message, action))


def _named(reasons: Mapping[str, str]) -> str:
    """How many products, the first of them by name, and why the first is there."""
    names = sorted(reasons)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    what = "product" if len(names) == 1 else "products"
    return f"{len(names)} {what}: {', '.join(names[:SHOWN])}{more}; {names[0]}: {reasons[names[0]]}"


def _trouble(severity: Severity, message: str, action: str) -> Trouble:
    return Trouble(severity, redacted(message)[:LONGEST], action)
