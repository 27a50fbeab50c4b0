"""Events that a sink refuses: an alert for as long as they hold up their tenant, and the way to give one up."""

from __future__ import annotations

from contracts import Severity
from pipeline.registry.alerts import Subject, Trouble
from pipeline.registry.outbox import OutboxRecord
from pipeline.registry.registry import Registry
from pipeline.registry.repository import now

EVENT_REFUSED = "event_refused"


def subject_of(event: OutboxRecord) -> Subject:
    """Return what the alert of a refused event is about: an alert of its tenant would wait behind the event."""
    return Subject(EVENT_REFUSED, "", f"event {event.event_id} of {event.tenant_id or 'the installation'}")


def note_refusal(registry: Registry, event: OutboxRecord, why: str) -> None:
    """Raise the alert of an event that is refused, or count one more time."""
    action = f"Let it be taken where events go, or give it up: `pipeline events drop {event.event_id} --reason TEXT`."
    registry.note_trouble(subject_of(event), Trouble(Severity.HIGH, f"{why}; later ones wait behind it", action), now())


def refused(registry: Registry) -> set[str]:
    """Return the subjects of the alerts of refused events that are open."""
    return {alert.subject for alert in registry.alerts("", limit=None) if alert.kind == EVENT_REFUSED}


def drop_event(registry: Registry, event_id: str, *, actor: str, reason: str) -> OutboxRecord:
    """Give up an event that waits, with an entry in the audit, and end its alert; return what it was.

    Raises:
        NotRegisteredError: no event of this id waits.
    """
    was = registry.give_up_event(event_id, actor=actor, reason=reason)
    registry.note_well(subject_of(was), f"dropped by {actor}: {reason}", now())
    return was
