"""Storage care: what is kept for ever, what goes and when, and that nothing in use goes by any order of events."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from contracts import ArtefactRef, Metrics
from pipeline.registry import Action, ArtefactStore, Figure, Registry
from pipeline.registry.retention import ExpiredModel, Rules
from pipeline.registry.sweep import GRACE, Announced, carry_out, propose
from pipeline.settings import Settings
from pipeline_tests.registry.builders import MOMENT, ledger_row, member, plan_row, register, start

DAY = dt.timedelta(days=1)
LATER = MOMENT + 30 * DAY
RULES = Rules(versions=3, days=60)
KEEP = Settings(max_model_versions_per_product=3, model_retention_days=60)


def versions(registry: Registry, job_id: str, ages: list[int], product: str = "baguette") -> list[str]:
    """Register models of these ages in days before LATER, the oldest first, and return their versions."""
    made = []
    for age in sorted(ages, reverse=True):
        moment = LATER - age * DAY
        version = moment.strftime("%Y%m%d_%H%M%S")
        made.append(register(registry, job_id, product_id=product, version=version, created_at=moment))
    return made


def expired(registry: Registry, rules: Rules = RULES) -> dict[str, str]:
    """The versions that need not be kept, with the reasons."""
    return {one.version: one.reason for one in registry.expired_models("bakery", rules, LATER)}


@pytest.fixture
def store(tmp_path: Path, registry: Registry) -> ArtefactStore:
    """A store in a folder that the registry has used for long."""
    made = ArtefactStore(tmp_path / "models")
    made.mark(registry.identity)
    (mark,) = (tmp_path / "models" / "registries").iterdir()
    mark.write_text((LATER - 1000 * DAY).isoformat())
    return made


def aged(store: ArtefactStore, tmp_path: Path, ref: ArtefactRef, days: float) -> Path:
    """Make an object as old as this, and return its file."""
    (path,) = (tmp_path / "models").rglob(f"{ref.sha256[2:]}*")
    then = (LATER - days * DAY).timestamp()
    os.utime(path, (then, then))
    return path


def test_old_and_surplus_versions_go(registry: Registry) -> None:
    """Beyond the number of versions, or the days, a version goes; the reason says which."""
    made = versions(registry, start(registry), [100, 50, 40, 30, 1])
    assert expired(registry) == {made[0]: "more than 3 versions", made[1]: "more than 3 versions"}
    assert expired(registry, Rules(10, 60)) == {made[0]: "older than 60 days"}
    assert expired(registry, Rules(10, 200)) == {}


def test_what_is_in_use_stays(registry: Registry) -> None:
    """Champion, predecessor and newest stay, however old; the predecessor only where the rules keep it."""
    made = versions(registry, start(registry), [400, 390, 380, 370, 365])
    for version in (made[0], made[2]):
        registry.promote("bakery", "baguette", version, reason="better", actor="tests", figures={})
    assert set(expired(registry)) == {made[1], made[3]}
    assert set(expired(registry, Rules(3, 60, predecessor=False))) == {made[0], made[1], made[3]}


def test_each_product_counts_for_itself(registry: Registry) -> None:
    """A product's versions do not push out another's, nor another tenant's."""
    job_id = start(registry)
    for product in ("baguette", "tart"):
        versions(registry, job_id, [3, 2, 1], product)
    assert expired(registry) == {}
    versions(registry, job_id, [4], "tart")
    assert len(expired(registry)) == 1
    assert registry.expired_models("cafe", RULES, LATER) == []


def test_deleting_takes_all_that_hangs_on_a_model(registry: Registry) -> None:
    """Metrics, artefacts and the row go together, and the audit names versions and reasons."""
    made = versions(registry, start(registry), [100, 1])
    gone = registry.expired_models("bakery", Rules(10, 60), LATER)
    assert registry.delete_models(gone, RULES, "sweep") == 1
    assert [one.version for one in registry.models("bakery")] == [made[1]]
    assert registry.metrics("bakery", "baguette", made[0]) == {}
    with registry._reading() as connection:
        assert connection.scalar(text("SELECT COUNT(DISTINCT model_id) FROM artefacts")) == 1
    (entry,) = registry.audit("bakery")
    assert (entry.action, entry.actor, entry.subject) == (Action.DELETE, "sweep", "baguette: 1 versions")
    assert entry.details == {made[0]: "older than 60 days"}


def test_what_came_into_use_meanwhile_stays(registry: Registry) -> None:
    """Between the proposal and the deletion a model was deployed: it is not deleted, the others are."""
    made = versions(registry, start(registry), [120, 110, 1])
    gone = registry.expired_models("bakery", Rules(10, 60), LATER)
    registry.promote("bakery", "baguette", made[0], reason="by hand", actor="ana", figures={})
    assert registry.delete_models(gone, RULES, "sweep") == 1
    assert {one.version for one in registry.models("bakery")} == {made[0], made[2]}


def test_a_predecessor_of_meanwhile_stays(registry: Registry) -> None:
    """A rollback between proposal and deletion makes an old model the predecessor: it is not deleted."""
    made = versions(registry, start(registry), [130, 120, 110, 1])
    for version in made[:3]:
        registry.promote("bakery", "baguette", version, reason="better", actor="tests", figures={})
    gone = registry.expired_models("bakery", RULES, LATER)
    assert {one.version for one in gone} == {made[0]}
    registry.roll_back("bakery", "baguette", reason="too low", actor="ana")
    assert registry.delete_models(gone, RULES, "sweep") == 0
    assert made[0] in {one.version for one in registry.models("bakery")}


@pytest.mark.parametrize(
    ("status", "days", "goes"),
    [
        ("completed", 91, True),
        ("completed", 89, False),
        ("failed", 31, True),
        ("failed", 29, False),
        ("cancelled", 31, True),
        ("cancelled", 29, False),
    ],
)
def test_ended_jobs_go_in_time(registry: Registry, status: str, days: int, goes: bool) -> None:
    """Completed jobs are kept 90 days, others 30; plan, ledger and log go with them."""
    job_id = start(registry)
    registry.save_plan(job_id, [plan_row("baguette")])
    registry.record(ledger_row(job_id, "baguette", outcome="failed", version=None))
    registry.log("bakery", job_id, "info", "step", "text")
    registry.save_figures("bakery", job_id, [Figure(0, None, "combination", "wape", 0.2)])
    registry.finish_job(job_id, status, counts={})
    at = dt.datetime.now(dt.UTC) + days * DAY
    assert registry.expired_jobs(at) == ([job_id] if goes else [])
    assert registry.delete_jobs(registry.expired_jobs(at)) == int(goes)
    assert (
        len(registry.jobs("bakery"))
        == len(registry.plan("bakery", job_id))
        == len(registry.ledger("bakery"))
        == len(registry.figures("bakery", job_id))
        == (not goes)
    )


@pytest.mark.parametrize("status", ["pending", "running"])
def test_a_job_that_has_not_ended_stays(registry: Registry, status: str) -> None:
    """However old it is, and whatever stands as its end, as an earlier release wrote it when a job began."""
    job_id = start(registry)
    with registry._writing() as connection:
        long_ago = {"status": status, "at": LATER - 400 * DAY}
        connection.execute(text("UPDATE training_jobs SET status = :status, finished_at = :at"), long_ago)
    assert registry.expired_jobs(LATER) == []
    assert [job.id for job in registry.jobs("bakery")] == [job_id]


def test_a_job_with_a_model_stays(registry: Registry) -> None:
    """As long as a model refers to its job the job is kept; a running one is never old."""
    job_id, running = start(registry), start(registry)
    register(registry, job_id)
    registry.finish_job(job_id, "completed", counts={})
    at = dt.datetime.now(dt.UTC) + 400 * DAY
    assert registry.expired_jobs(at) == []
    assert registry.delete_jobs([job_id]) == 0
    assert {job.id for job in registry.jobs("bakery")} == {job_id, running}


def test_lines_of_logs_go_after_a_week(registry: Registry) -> None:
    """Lines of seven days and more are counted and deleted, newer ones stay."""
    job_id = start(registry)
    registry.log("bakery", job_id, "info", "step", "text")
    now = dt.datetime.now(dt.UTC)
    assert (registry.old_logs(now + 6 * DAY), registry.delete_logs(now + 6 * DAY)) == (0, 0)
    assert (registry.old_logs(now + 8 * DAY), registry.delete_logs(now + 8 * DAY)) == (1, 1)


def test_objects_that_nothing_refers_to_go(registry: Registry, store: ArtefactStore, tmp_path: Path) -> None:
    """An object without a reference goes after two days; one that a model or a shared fit refers to never does."""
    used, shared, orphan, fresh = (store.put(name, name.encode()) for name in ("used", "shared", "orphan", "fresh"))
    register(registry, start(registry), members=(member("linear").model_copy(update={"files": (used,)}),))
    registry.save_tenant_model("bakery", "lightgbm", "a" * 64, [shared], origin=MOMENT.date(), seconds=1.0)
    for ref in (used, shared, orphan):
        aged(store, tmp_path, ref, 30)
    aged(store, tmp_path, fresh, 1)
    proposal = propose(registry, store, KEEP, ["bakery"], LATER)
    assert [one.sha256 for one in proposal.objects] == [orphan.sha256]
    assert proposal.freed == proposal.objects[0].bytes > 0
    swept = carry_out(proposal, registry, store, "sweep")
    assert (swept.objects, swept.freed) == (1, proposal.freed)
    assert [store.has(ref) for ref in (used, shared, orphan, fresh)] == [True, True, False, True]


def test_what_may_be_anothers_is_not_swept(registry: Registry, store: ArtefactStore, tmp_path: Path) -> None:
    """Without this registry's mark, beside another's, or from before the own one, no object goes."""
    ref = store.put("theirs", b"theirs")
    aged(store, tmp_path, ref, 30)
    (own,) = (tmp_path / "models" / "registries").iterdir()

    def swept() -> int:
        return len(propose(registry, store, KEEP, ["bakery"], LATER).objects)

    assert swept() == 1
    elsewhere = KEEP.model_copy(update={"model_storage_path": str(tmp_path / "models")})
    assert not propose(registry, store, elsewhere, ["bakery"], LATER).objects
    sole = elsewhere.model_copy(update={"model_storage_own": True})
    assert len(propose(registry, store, sole, ["bakery"], LATER).objects) == 1
    store.mark("f" * 32)
    assert swept() == 0
    (own.parent / ("f" * 32)).unlink()
    own.write_text((LATER - 29 * DAY).isoformat())
    assert swept() == 0
    own.unlink()
    assert swept() == 0


def test_a_mark_is_left_once(store: ArtefactStore, registry: Registry) -> None:
    """Marking again leaves the time of the first mark; a registry has the same identity whenever it is asked."""
    before = store.marks()
    store.mark(registry.identity)
    assert store.marks() == before
    assert set(before) == {registry.identity}


def test_an_object_that_is_stored_again_stays(registry: Registry, store: ArtefactStore, tmp_path: Path) -> None:
    """What a training stores again between proposal and deletion is young and stays, though nothing refers to it."""
    ref = store.put("model", b"content")
    aged(store, tmp_path, ref, 30)
    proposal = propose(registry, store, KEEP, [], LATER)
    store.put("model", b"content")
    assert carry_out(proposal, registry, store, "sweep").objects == 0
    assert store.verify(ref) is None


def test_an_object_that_is_registered_meanwhile_stays(registry: Registry, store: ArtefactStore, tmp_path: Path) -> None:
    """What a model refers to by the time of the deletion stays, however old the object is."""
    ref = store.put("model", b"content")
    aged(store, tmp_path, ref, 30)
    proposal = propose(registry, store, KEEP, [], LATER)
    register(registry, start(registry), members=(member("linear").model_copy(update={"files": (ref,)}),))
    assert carry_out(proposal, registry, store, "sweep").objects == 0
    assert store.verify(ref) is None


def test_a_shared_object_outlives_one_of_its_models(registry: Registry, store: ArtefactStore, tmp_path: Path) -> None:
    """Of two models with one booster the old one goes, the booster stays; sharing it is told as bytes saved."""
    ref = store.put("booster", b"x" * 1000)
    job_id = start(registry)
    both = (member("lightgbm", 1.0).model_copy(update={"files": (ref,)}),)
    old = (LATER - 100 * DAY).strftime("%Y%m%d_%H%M%S")
    register(registry, job_id, members=both, version=old, created_at=LATER - 100 * DAY)
    register(registry, job_id, members=both, created_at=LATER)
    aged(store, tmp_path, ref, 100)
    proposal = propose(registry, store, KEEP, ["bakery"], LATER)
    assert (len(proposal.models), proposal.objects, proposal.shared) == (1, (), 0)
    assert propose(registry, store, Settings(), ["bakery"], LATER - 50 * DAY).shared == 1000
    carry_out(proposal, registry, store, "sweep")
    assert store.verify(ref) is None


def test_only_what_was_announced_is_deleted(registry: Registry, store: ArtefactStore, tmp_path: Path) -> None:
    """The first sweep announces, the second deletes just that; a file that cannot be read announces nothing."""
    place, ref = tmp_path / "announced.json", store.put("orphan", b"orphan")
    aged(store, tmp_path, ref, 30)
    versions(registry, start(registry), [100, 1])
    proposal = propose(registry, store, KEEP, ["bakery"], LATER)
    nothing = Announced.read(place).among(proposal)
    assert (nothing.models, nothing.objects) == ((), ())
    Announced.of(proposal).write(place)
    again = Announced.read(place).among(proposal)
    assert (again.models, again.objects) == (proposal.models, proposal.objects)
    place.write_text("[1, 2]")
    assert Announced.read(place) == Announced()


@hypothesis.settings(deadline=None)
@given(
    ages=st.lists(st.integers(0, 500), min_size=1, max_size=12, unique=True),
    rules=st.builds(Rules, versions=st.integers(1, 12), days=st.integers(1, 400), predecessor=st.booleans()),
    champions=st.lists(st.integers(0, 11), max_size=3),
)
def test_whatever_the_rules_what_is_needed_stays(
    many: Registry, ages: list[int], rules: Rules, champions: list[int]
) -> None:
    """For any ages, rules and promotions: newest, champion and kept predecessor stay, and the rest obeys the rules."""
    tenant = f"t{os.urandom(6).hex()}"
    job_id = many.start_job(tenant, name="n", cause="c", requested_by="r")
    made = []
    for age in sorted(ages, reverse=True):
        moment = LATER - age * DAY
        version = moment.strftime("%Y%m%d_%H%M%S")
        made.append(register(many, job_id, tenant, version=version, created_at=moment, metrics=Metrics(n=0)))
    for place in champions:
        many.promote(tenant, "baguette", made[place % len(made)], reason="r", actor="a", figures={})
    gone = many.expired_models(tenant, rules, LATER)
    many.delete_models(gone, rules, "sweep")
    left = [one.version for one in many.models(tenant, limit=100)]
    assert made[-1] in left
    in_use = many.champions(tenant)
    if champions:
        champion = in_use["baguette"]
        assert champion.version in left
        assert not rules.predecessor or champion.previous_version in (None, *left)
    needless = [one for one in left if one not in {made[-1], *(c.version for c in in_use.values())}]
    spare = 1 if rules.predecessor else 0
    assert len(needless) <= max(rules.versions - 1, 0) + spare
    assert {one.version for one in gone} == set(made) - set(left)
    assert all(isinstance(one, ExpiredModel) for one in gone)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for many examples, each with a tenant of its own."""
    from pipeline.registry import open_registry

    with open_registry(Settings(pipeline_home=tmp_path_factory.mktemp("many"))) as opened:
        yield opened


def test_grace_is_longer_than_any_training() -> None:
    """An object is kept for longer than a training may run before it registers the model."""
    assert Settings().max_training_time_minutes * dt.timedelta(minutes=1) < GRACE
