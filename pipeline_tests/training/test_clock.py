"""A clock that is put back, between two trainings or within one: what counts is the order of registration."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.registry import jobs, promotions
from pipeline.registry.sweep import carry_out, propose
from pipeline.training import manifest, trainer
from pipeline_tests.training.killing import TENANT, made_shop, open_shop
from pipeline_tests.training.shop import Shop

YEAR = dt.timedelta(days=365)
BOTH = frozenset({"baguette", "rye"})


class Clock:
    """The moment that the code under test takes for now; `ahead` is how far it is from the real one."""

    ahead = dt.timedelta()

    def now(self, _zone: dt.tzinfo | None = None) -> dt.datetime:
        """The moment."""
        return dt.datetime.now(dt.UTC) + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock for trainings, jobs and decisions."""
    made = Clock()
    told = SimpleNamespace(datetime=SimpleNamespace(now=made.now), UTC=dt.UTC)
    for module in (trainer, manifest):
        monkeypatch.setattr(module, "dt", told)
    for module in (jobs, promotions):
        monkeypatch.setattr(module, "now", made.now)
    return made


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with sales and nothing trained."""
    root = tmp_path_factory.mktemp("clock") / "shop"
    made_shop(root).close()
    return root


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Iterator[Shop]:
    """A copy of it."""
    made = open_shop(shutil.copytree(template, tmp_path / "shop"), None)
    yield made
    made.close()


def test_a_later_training_has_the_newest_models(shop: Shop, clock: Clock) -> None:
    """Put back by a year between two trainings: the later models are newest, undecided, promoted and remembered."""
    registry = shop.installation.registry
    shop.train()
    first = {product: model.version for product, model in registry.latest(TENANT).items()}
    shop.promote()
    clock.ahead = -YEAR
    shop.train(requested=BOTH)
    undecided = registry.undecided(TENANT)
    assert set(undecided) == BOTH
    assert all(model.version > first[product] for product, model in undecided.items())
    assert registry.latest(TENANT) == undecided
    assert registry.champions(TENANT)["rye"].version == first["rye"]
    shop.promote()
    champion = registry.champions(TENANT)["rye"]
    assert (champion.version, champion.previous_version) == (undecided["rye"].version, first["rye"])
    assert [one.to_version for one in registry.promotions(TENANT, "rye")] == [champion.version, first["rye"]]
    assert [model.version for model in registry.models(TENANT, "rye")] == [champion.version, first["rye"]]
    assert registry.undecided(TENANT) == {}
    assert [row.due for row in shop.plan()] == [False, False]


def test_a_clock_put_back_within_a_training(shop: Shop, clock: Clock) -> None:
    """Put back after the first product: the job has an end that is not before its start, and the models their order."""
    registry = shop.installation.registry
    with shop.job() as job:
        for _ in job.train():
            clock.ahead -= YEAR
    (record,) = registry.jobs(TENANT)
    assert record.finished_at is not None
    assert record.finished_at >= record.started_at
    assert all(model.seconds >= 0 for model in registry.models(TENANT))
    assert all((line.milliseconds or 0) >= 0 for line in registry.logs(TENANT, record.id))
    shop.promote()
    assert registry.undecided(TENANT) == {}


def test_a_dead_job_is_closed_whatever_its_time(shop: Shop, clock: Clock) -> None:
    """A job that died while the clock was far behind is found among hundreds that seem newer, and closed."""
    registry = shop.installation.registry
    clock.ahead = -YEAR
    dead = registry.start_job(TENANT, name="n", cause="c", requested_by="r")
    clock.ahead = dt.timedelta()
    for _ in range(120):
        ended = registry.start_job(TENANT, name="n", cause="c", requested_by="r")
        registry.finish_job(ended, "completed", counts={})
    shop.train()
    assert registry.job(TENANT, dead).status.final


def test_a_sweep_under_a_clock_that_is_behind_takes_nothing(shop: Shop, clock: Clock) -> None:
    """What seems to be stored in the future is kept, by age and by number, and so is what was registered last."""
    opened = shop.installation
    shop.train()
    shop.promote()
    clock.ahead = -YEAR
    for _ in range(3):
        shop.train(requested=BOTH)
    shop.promote()
    newest = opened.registry.latest(TENANT)
    settings = opened.settings.model_copy(update={"max_model_versions_per_product": 2, "model_retention_days": 1})
    behind = propose(opened.registry, opened.store, settings, [TENANT], clock.now())
    assert (behind.objects, behind.jobs, behind.logs) == ((), (), 0)
    ahead = propose(opened.registry, opened.store, settings, [TENANT], clock.now() + 2 * YEAR)
    for proposal in (behind, ahead):
        carry_out(proposal, opened.registry, opened.store, "tests")
        assert opened.registry.latest(TENANT) == newest
        assert set(opened.registry.champions(TENANT)) == {"rye"}
    assert all(not opened.store.verify(ref) for ref in references(shop))


def references(shop: Shop):
    """The files of all that is registered."""
    registry = shop.installation.registry
    for model in registry.models(TENANT):
        for member in registry.manifest(TENANT, model.product_id, model.version).members:
            yield from member.files
