"""A training that ended early: what is done stays done, the rest is taken up, and nothing is worked out twice."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from sqlalchemy import select

from contracts import Cause, Outcome
from pipeline.registry.records import JobStatus
from pipeline.registry.tables import TenantModel
from pipeline.training.job import close_interrupted
from pipeline_tests.training.shop import LENGTH, TRAINABLE, Shop, sales_of
from pipeline_tests.training.test_evaluation import kept

POOLED = ["ets", "lightgbm", "theta"]


class Died(BaseException):
    """Stands for whatever ends a run in its middle."""


def train_some(shop: Shop, count: int) -> list[str]:
    """Train until so many models are registered, then die; return the trained products."""
    with pytest.raises(Died):
        die_after(shop, count)
    return list(shop.installation.registry.latest("bakery"))


def die_after(shop: Shop, count: int) -> None:
    """Train so many models, then die."""
    with shop.job() as job:
        trained = (one for one in job.train() if one.manifest is not None)
        assert len(list(itertools.islice(trained, count))) == count
        raise Died("the run was ended")


def pooled_fits(shop: Shop) -> list[tuple[str, str, dt.datetime]]:
    """Return the family and the key of each pooled fit that the registry knows, and when it was made."""
    wanted = select(TenantModel.family, TenantModel.key, TenantModel.created_at).order_by(TenantModel.family)
    with shop.installation.registry._engine.connect() as connection:
        return [(row.family, row.key, row.created_at) for row in connection.execute(wanted)]


def versions(shop: Shop) -> dict[str, str]:
    """Return the newest version of each product."""
    return {product: record.version for product, record in shop.installation.registry.latest("bakery").items()}


def boosters(shop: Shop) -> set[str]:
    """Return the hashes of all boosters that manifests refer to."""
    registry, found = shop.installation.registry, set()
    for product, version in versions(shop).items():
        for member in registry.manifest("bakery", product, version).members:
            found |= {ref.sha256 for ref in member.files if ref.name == "booster.txt"}
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_the_next_run_takes_up_the_rest(fresh: Shop, count: int) -> None:
    """Products that were done keep their models; the others, and they alone, are trained by the next run."""
    first = train_some(fresh, count)
    assert set(first) == set(TRAINABLE[:count])
    before = versions(fresh)
    assert [row.product_id for row in fresh.plan() if row.due] == list(TRAINABLE[count:])
    done, _ = fresh.train()
    trained = [one.ledger.product_id for one in done if one.ledger.outcome is Outcome.TRAINED]
    assert trained == list(TRAINABLE[count:])
    assert {one.ledger.cause for one in done if one.manifest} == {Cause.NEVER_TRAINED}
    assert {product: versions(fresh)[product] for product in first} == before


def test_past_origins_and_the_pooled_fit_are_reused(fresh: Shop) -> None:
    """The second run evaluates no origin again and fits nothing pooled again: files, rows and hashes stay."""
    train_some(fresh, 1)
    files, fits, first = kept(fresh), pooled_fits(fresh), boosters(fresh)
    searched = [f"settings {label}" for label in ("high", "intermittent", "low", "medium")]
    assert (len(files), [family for family, *_ in fits], len(first)) == (2, sorted([*POOLED, *searched]), 1)
    told: list[tuple[str, int, int]] = []
    with fresh.job() as job:
        job.trainer.progress = lambda *step: told.append(step)
        list(job.train())
    assert told[0] == ("evaluating past origins", 2, 2)
    assert (kept(fresh), pooled_fits(fresh), boosters(fresh)) == (files, fits, first)


def test_a_product_trained_by_hand_reuses_both(trained: Shop) -> None:
    """Training one product anew leaves the origins and the booster as they are, and gives an equal model."""
    files, fits, first, before = kept(trained), pooled_fits(trained), boosters(trained), versions(trained)
    done, _ = trained.train(requested=frozenset({"tart"}))
    assert [one.ledger.product_id for one in done if one.manifest] == ["tart"]
    assert (kept(trained), pooled_fits(trained), boosters(trained)) == (files, fits, first)
    registry = trained.installation.registry
    old, new = (registry.manifest("bakery", "tart", v) for v in (before["tart"], versions(trained)["tart"]))
    assert old.version != new.version
    same = {"members", "metrics", "naive_metrics", "bands", "scale", "data_fingerprint", "origins"}
    assert old.model_dump(include=same) == new.model_dump(include=same)


def test_a_damaged_booster_is_fitted_again(trained: Shop) -> None:
    """A pooled fit whose file is torn is not used: it is fitted anew, and stored whole."""
    store, registry = trained.installation.store, trained.installation.registry
    manifest = registry.manifest("bakery", "tart", versions(trained)["tart"])
    ref = next(ref for m in manifest.members for ref in m.files if ref.name == "booster.txt")
    path = next(trained.installation.home.models.glob(f"{ref.sha256[:2]}/{ref.sha256[2:]}*"))
    path.write_bytes(path.read_bytes()[:1000])
    assert store.verify(ref) is not None
    trained.train(requested=frozenset({"rye"}))
    assert store.verify(ref) is None
    assert boosters(trained) == {ref.sha256}


def test_new_sales_are_a_new_pooled_fit(trained: Shop) -> None:
    """With a day more the booster is another one, and both are known."""
    first = boosters(trained)
    trained.sell(sales_of(LENGTH + 1))
    trained.train(scheduled=True)
    assert len([family for family, *_ in pooled_fits(trained) if family in POOLED]) == 2 * len(POOLED)
    assert boosters(trained).isdisjoint(first)


def test_a_run_that_dies_closes_its_job(fresh: Shop) -> None:
    """The job of a run that was asked to end is cancelled, with the reason and the counts of what it had done."""
    train_some(fresh, 2)
    job = fresh.installation.registry.jobs("bakery")[0]
    assert (job.status, job.error) == (JobStatus.CANCELLED, "Died: the run was ended")
    assert (job.trained, job.insufficient, job.skipped, job.failed) == (2, 1, 1, 0)


def test_a_job_whose_process_is_gone_is_closed_by_the_next(fresh: Shop) -> None:
    """A job that still runs though nobody holds the lock is closed as interrupted, with its ledger's counts."""
    train_some(fresh, 2)
    opened = fresh.installation
    orphan = opened.registry.start_job("bakery", name="t", cause="t", requested_by="t")
    for row in opened.registry.ledger("bakery"):
        opened.registry.record(row.model_copy(update={"job_id": orphan}))
    other = opened.registry.start_job("cafe", name="t", cause="t", requested_by="t")
    close_interrupted(opened, "bakery")
    closed = opened.registry.job("bakery", orphan)
    assert closed.status is JobStatus.FAILED
    assert closed.error is not None
    assert closed.error.startswith("interrupted")
    assert (closed.trained, closed.insufficient) == (2, 1)
    assert opened.registry.job("cafe", other).status is JobStatus.RUNNING
