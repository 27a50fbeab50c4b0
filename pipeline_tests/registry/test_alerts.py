"""Alerts: raised once, counted, ended once, told to other systems, and closed by hand with an entry in the audit."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from contracts import AlertEnded, AlertRaised, Severity
from pipeline.errors import NotRegisteredError
from pipeline.registry import Action, Registry
from pipeline.registry.alerts import Subject, Trouble

NIGHT = dt.datetime(2024, 7, 20, 2, 0, tzinfo=dt.UTC)
TRAINING = Subject("run_failed", "bakery", "train_and_forecast")
GONE = Trouble(Severity.MEDIUM, "sales: SourceError: till.csv is not there", "Mend the sales.")


def after(minutes: int) -> dt.datetime:
    """A moment of the night."""
    return NIGHT + dt.timedelta(minutes=minutes)


def told(registry: Registry) -> list[dict[str, Any]]:
    """The bodies of all events, the first first."""
    return [json.loads(event.body) for event in registry.events(limit=1000)[::-1]]


def test_what_fails_again_is_one_alert(registry: Registry) -> None:
    """It is raised and told once; each later failure counts, and the last one's message stands."""
    assert registry.note_trouble(TRAINING, GONE, after(0))
    worse = Trouble(Severity.HIGH, "sales: StorageError: the disk is full", "Make room.")
    assert not registry.note_trouble(TRAINING, worse, after(10))
    (alert,) = registry.alerts()
    assert (alert.times, alert.raised_at, alert.last_at, alert.ended_at) == (2, after(0), after(10), None)
    assert (alert.severity, alert.message, alert.action) == (Severity.HIGH, worse.message, worse.action)
    (event,) = told(registry)
    raised = AlertRaised.model_validate(event)
    assert (raised.alert_id, raised.tenant_id, raised.subject) == (alert.id, "bakery", "train_and_forecast")
    assert (raised.severity, raised.message, raised.recommended_action) == (GONE.severity, GONE.message, GONE.action)


def test_what_succeeds_ends_it(registry: Registry) -> None:
    """The end is told once; a failure after it raises a new alert, and one from before it does not."""
    registry.note_trouble(TRAINING, GONE, after(0))
    assert registry.note_well(TRAINING, "run 7 succeeded", after(5))
    assert not registry.note_well(TRAINING, "run 7 succeeded", after(5))
    assert registry.alerts() == []
    (ended,) = registry.alerts(ended=True)
    assert (ended.ended_at, ended.outcome) == (after(5), "run 7 succeeded")
    assert AlertEnded.model_validate(told(registry)[-1]).outcome == "run 7 succeeded"
    assert not registry.note_trouble(TRAINING, GONE, after(0))
    assert registry.note_trouble(TRAINING, GONE, after(6))
    assert [event["event_type"] for event in told(registry)] == ["alert_raised", "alert_ended", "alert_raised"]


def test_a_success_before_the_failure_ends_nothing(registry: Registry) -> None:
    """What went well earlier says nothing of what fails now; where nothing failed there is nothing to end."""
    assert not registry.note_well(TRAINING, "run 6 succeeded", after(-5))
    registry.note_trouble(TRAINING, GONE, after(0))
    assert not registry.note_well(TRAINING, "run 6 succeeded", after(-5))
    assert len(registry.alerts()) == 1


def test_subjects_are_apart(registry: Registry) -> None:
    """Another tenant's success, another job's, or the installation's own ends nobody else's alert."""
    others = [Subject("run_failed", "cafe", TRAINING.name), Subject("run_failed", "bakery", "daily_forecast")]
    nobodys = Subject("run_failed", "", "purge_dagster_history")
    for subject in (TRAINING, *others, nobodys):
        assert registry.note_trouble(subject, GONE, after(0))
    assert registry.note_well(nobodys, "well", after(1))
    assert registry.note_well(others[0], "well", after(1))
    assert {(alert.tenant_id, alert.subject) for alert in registry.alerts()} == {
        ("bakery", "train_and_forecast"),
        ("bakery", "daily_forecast"),
    }
    assert [alert.tenant_id for alert in registry.alerts("cafe", ended=True)] == ["cafe"]
    assert [event["tenant_id"] for event in told(registry)] == ["bakery", "cafe", "bakery", None, None, "cafe"]


def test_it_is_closed_by_hand(registry: Registry) -> None:
    """The audit says who closed what and why; a second time, or an unknown number, is refused."""
    registry.note_trouble(TRAINING, GONE, after(0))
    (alert,) = registry.alerts()
    assert registry.close_alert(alert.id, actor="ana", reason="the shop has closed").message == GONE.message
    (ended,) = registry.alerts(ended=True)
    assert ended.outcome == "closed by ana: the shop has closed"
    (entry,) = registry.audit("bakery")
    assert (entry.action, entry.actor, entry.reason) == (Action.CLOSE_ALERT, "ana", "the shop has closed")
    assert entry.subject == f"alert {alert.id}: run_failed of train_and_forecast"
    for number in (alert.id, alert.id + 1):
        with pytest.raises(NotRegisteredError, match=f"no open alert has the number {number}"):
            registry.close_alert(number, actor="ana", reason="again")
    assert not registry.note_trouble(TRAINING, GONE, after(0))


def test_two_who_look_at_once_raise_one(registry: Registry) -> None:
    """Of eight that note the same failure at the same time one raises the alert, and it counts once."""
    with ThreadPoolExecutor(8) as pool:
        raised = list(pool.map(lambda _: registry.note_trouble(TRAINING, GONE, after(0)), range(8)))
    assert sorted(raised) == [False] * 7 + [True]
    (alert,) = registry.alerts()
    assert alert.times == 1
    assert len(told(registry)) == 1


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(ends=st.lists(st.booleans(), max_size=8), again=st.lists(st.integers(0, 8), max_size=4))
def test_looking_again_changes_nothing(registry: Registry, ends: list[bool], again: list[int]) -> None:
    """However often the ends of runs are looked at again from some earlier one on, alerts are as if seen once."""
    once, often = (Subject("run_failed", "bakery", uuid4().hex) for _ in range(2))
    moments = [(after(number), failed) for number, failed in enumerate(ends)]
    note(registry, once, moments)
    note(registry, often, moments)
    for start in again:
        note(registry, often, moments[start:])
    assert shown(registry, often) == shown(registry, once)
    open_ = [ended for _, _, ended in shown(registry, once) if ended is None]
    assert len(open_) == (1 if ends and ends[-1] else 0)


def note(registry: Registry, subject: Subject, moments: list[tuple[dt.datetime, bool]]) -> None:
    """Note failures and successes, in their order."""
    for at, failed in moments:
        if failed:
            registry.note_trouble(subject, GONE, at)
        else:
            registry.note_well(subject, "well", at)


def shown(registry: Registry, subject: Subject) -> list[tuple[int, dt.datetime, dt.datetime | None]]:
    """What is known of a subject: how often it failed, from when until when."""
    every = registry.alerts(ended=True, limit=None)
    return [(one.times, one.raised_at, one.ended_at) for one in every if one.subject == subject.name]
