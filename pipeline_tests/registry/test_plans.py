"""Plans and the ledger, on every database."""

from __future__ import annotations

import pytest

from contracts import Cause, Outcome
from pipeline.errors import NotRegisteredError, RegistryError
from pipeline.registry import Registry
from pipeline_tests.registry.builders import ledger_row, plan_row, start

ODD = ["a, b/../c", "…/..", "🥐" * 1000, "100 %", "100 %25", "nul\0here", "é", "e\u0301", " ", "'; DROP TABLE x; --"]


def test_a_plan_is_read_back_in_its_order(registry: Registry) -> None:
    """Every field and every odd product name survives, in the order of the plan."""
    job_id = start(registry)
    rows = [plan_row(name, importance=float(i)) for i, name in enumerate(ODD)]
    rows.append(plan_row("rest", due=False, cause=None, reason="nothing new", restricted=True))
    registry.save_plan(job_id, rows)
    assert registry.plan("bakery", job_id) == rows
    assert registry.plan("bakery", start(registry)) == []
    assert registry.plan("cafe", job_id) == []


def test_a_plan_that_is_saved_again_replaces_the_first(registry: Registry) -> None:
    """A retried step leaves one plan; an empty plan is a plan."""
    job_id = start(registry)
    registry.save_plan(job_id, [plan_row("a"), plan_row("b")])
    registry.save_plan(job_id, [plan_row("b", importance=9.0)])
    assert registry.plan("bakery", job_id) == [plan_row("b", importance=9.0)]
    registry.save_plan(job_id, [])
    assert registry.plan("bakery", job_id) == []


def test_a_plan_that_cannot_be_saved_leaves_the_old_one(registry: Registry) -> None:
    """A plan that names a product twice is refused as a whole."""
    job_id = start(registry)
    registry.save_plan(job_id, [plan_row("a")])
    with pytest.raises(RegistryError):
        registry.save_plan(job_id, [plan_row("b"), plan_row("b")])
    assert registry.plan("bakery", job_id) == [plan_row("a")]


def test_the_ledger_keeps_every_field(registry: Registry) -> None:
    """What is recorded is read back, in the order of recording."""
    job_id = start(registry)
    rows = [ledger_row(job_id, name) for name in ODD]
    rows.append(ledger_row(job_id, "x", outcome=Outcome.FAILED, cause=None, version=None, error_type="FamilyError"))
    for row in rows:
        registry.record(row)
    assert registry.ledger("bakery", job_id) == rows


def test_recording_again_replaces(registry: Registry) -> None:
    """One row stands for a product in a job, the last that was recorded."""
    job_id = start(registry)
    registry.record(ledger_row(job_id, "a", outcome=Outcome.FAILED, version=None))
    registry.record(ledger_row(job_id, "b"))
    registry.record(ledger_row(job_id, "a", cause=Cause.REQUEST))
    registry.record(ledger_row(job_id, "a", cause=Cause.REQUEST))
    assert registry.ledger("bakery") == [ledger_row(job_id, "a", cause=Cause.REQUEST), ledger_row(job_id, "b")]


def test_the_ledger_is_read_by_tenant_and_job(registry: Registry) -> None:
    """Without a job all of a tenant's rows come; never another tenant's."""
    first, second, other = start(registry), start(registry), start(registry, "cafe")
    registry.record(ledger_row(first, "a"))
    registry.record(ledger_row(second, "a"))
    registry.record(ledger_row(other, "a", tenant_id="cafe"))
    assert [row.job_id for row in registry.ledger("bakery")] == [first, second]
    assert registry.ledger("bakery", second) == [ledger_row(second, "a")]
    assert registry.ledger("bakery", other) == []


def test_rows_need_a_job_of_their_tenant(registry: Registry) -> None:
    """A row cannot name a job that was never started, nor another tenant's."""
    job_id = start(registry, "cafe")
    with pytest.raises(NotRegisteredError, match="'nope'"):
        registry.record(ledger_row("nope", "a"))
    with pytest.raises(RegistryError, match="belongs to tenant 'cafe'"):
        registry.record(ledger_row(job_id, "a"))
    with pytest.raises(NotRegisteredError, match="'nope'"):
        registry.save_plan("nope", [plan_row("a")])
    with pytest.raises(RegistryError, match="belongs to tenant 'cafe'"):
        registry.save_plan(job_id, [plan_row("a", tenant_id="cafe"), plan_row("a")])
    assert registry.plan("bakery", job_id) == []
