"""Logs of jobs and the audit, on every database."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import text

from contracts import Metrics
from pipeline.errors import NotRegisteredError, RegistryError
from pipeline.registry import Action, Registry
from pipeline_tests.registry.builders import register, start

METRICS = Metrics(n=56, mae=2.0, wape=0.18)


def test_a_log_is_read_back_in_order(registry: Registry) -> None:
    """Lines come back as they were written, the first first, and from a level on where that is asked for."""
    before, job_id = dt.datetime.now(dt.UTC), start(registry)
    registry.log("bakery", job_id, "info", "evaluating", "4 origins", milliseconds=812.5, details={"origins": 4})
    registry.log("bakery", job_id, "warning", "training", "a disk \0 is nearly full")
    first, second = registry.logs("bakery", job_id)
    assert (first.level, first.step, first.message) == ("info", "evaluating", "4 origins")
    assert (first.milliseconds, first.details) == (812.5, {"origins": 4})
    assert (second.milliseconds, second.details, second.message) == (None, {}, "a disk \ufffd is nearly full")
    assert before <= first.at <= second.at <= dt.datetime.now(dt.UTC)
    assert registry.logs("bakery", job_id, "warning") == [second]
    assert registry.logs("bakery", job_id, limit=1) == [first]


def test_a_log_belongs_to_its_tenant(registry: Registry) -> None:
    """Nobody reads or writes the log of another tenant's job, and no job is made up."""
    job_id = start(registry)
    registry.log("bakery", job_id, "info", "step", "ours")
    assert registry.logs("cafe", job_id) == []
    with pytest.raises(RegistryError, match="belongs to tenant 'bakery'"):
        registry.log("cafe", job_id, "info", "step", "theirs")
    with pytest.raises(NotRegisteredError, match="'nobody'"):
        registry.log("bakery", "nobody", "info", "step", "no job")


@pytest.mark.parametrize(("level", "details"), [("loud", {}), ("info", {"share": float("nan")})])
def test_what_cannot_be_logged_is_said(registry: Registry, level: str, details: dict[str, object]) -> None:
    """Unknown levels and figures that JSON does not know are refused by name, and nothing is written."""
    job_id = start(registry)
    with pytest.raises(RegistryError, match=r"loud|share is nan"):
        registry.log("bakery", job_id, level, "step", "text", details=details)
    assert registry.logs("bakery", job_id) == []


def test_what_changes_a_champion_is_audited(registry: Registry) -> None:
    """Promotions, rollbacks and withdrawals say who did what, and why; a refusal changes nothing."""
    job_id = start(registry)
    first, second = (register(registry, job_id) for _ in range(2))
    registry.refuse("bakery", "baguette", first, reason="worse", actor="pipeline", figures={"mae": 3.0})
    registry.promote("bakery", "baguette", first, reason="first", actor="pipeline", figures={"mae": 2.0})
    registry.promote("bakery", "baguette", second, reason="better", actor="ana", figures={"mae": 1.5})
    registry.roll_back("bakery", "baguette", reason="too low", actor="ben")
    registry.withdraw("bakery", "baguette", first, reason="loses", actor="pipeline", figures={})
    told = [(one.action, one.actor, one.subject, one.reason) for one in registry.audit("bakery")]
    assert told == [
        (Action.WITHDRAW, "pipeline", f"baguette {first}", "loses"),
        (Action.ROLL_BACK, "ben", f"baguette {first}", "too low"),
        (Action.PROMOTE, "ana", f"baguette {second}", "better"),
        (Action.PROMOTE, "pipeline", f"baguette {first}", "first"),
    ]
    assert registry.audit("bakery")[2].details == {"from": first, "to": second, "mae": 1.5}
    assert registry.audit("cafe") == []


def test_other_actions_are_added(registry: Registry) -> None:
    """What is done outside the registry's own transactions is added with its details; the limit gives the newest."""
    registry.record_action(
        "bakery", Action.DELETE, "tart 20260101_000000", actor="sweep", reason="old", details={"n": 2}
    )
    registry.record_action("bakery", Action.QUARANTINE, "booster.txt", actor="sweep", reason="torn")
    (newest,) = registry.audit("bakery", limit=1)
    assert (newest.action, newest.subject, newest.details) == (Action.QUARANTINE, "booster.txt", {})


def test_active_jobs_are_a_view(registry: Registry) -> None:
    """The view `active_jobs` holds the jobs that have not ended, with what a person would ask of them."""
    running, ended = start(registry), start(registry)
    registry.update_job(running, step="fitting", percentage=40)
    registry.finish_job(ended, "completed", counts={})
    with registry._reading() as connection:
        (row,) = connection.execute(text("SELECT * FROM active_jobs")).mappings().all()
    assert (row["id"], row["step"], row["percentage"], row["priority"]) == (running, "fitting", 40, "normal")


def test_experiments_are_a_view(registry: Registry) -> None:
    """The view `experiments` has a line a job with its models' best and mean error; a job without models has none."""
    job_id, empty = start(registry), start(registry)
    for wape in (0.2, 0.4):
        register(registry, job_id, metrics=METRICS.model_copy(update={"wape": wape}))
    with registry._reading() as connection:
        rows = {row["job_id"]: row for row in connection.execute(text("SELECT * FROM experiments")).mappings()}
    assert (rows[job_id]["models"], rows[job_id]["best_wape"]) == (2, 0.2)
    assert rows[job_id]["mean_wape"] == pytest.approx(0.3)
    assert (rows[empty]["models"], rows[empty]["best_wape"]) == (0, None)
