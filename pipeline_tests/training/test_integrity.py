"""Whether stored models are whole: each fault is found and named with its product alone, and the product made due."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from contracts import ArtefactRef, Cause
from pipeline.registry import Action, ArtefactStore
from pipeline.registry.tables import TrainedModel
from pipeline.training.integrity import Fault, Verifier, set_aside, standing, unusable
from pipeline.training.plan import Occasion, make_plan
from pipeline_tests.training.killing import TENANT, made_shop, open_shop
from pipeline_tests.training.shop import Shop


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with two products, both with a model in use; they share the fit of one family."""
    root = tmp_path_factory.mktemp("whole") / "shop"
    shop = made_shop(root)
    shop.train()
    for product, model in shop.installation.registry.latest(TENANT).items():
        shop.installation.registry.promote(TENANT, product, model.version, reason="", actor="tests", figures={})
    shop.close()
    return root


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Iterator[Shop]:
    """A copy of it, to be damaged."""
    made = open_shop(shutil.copytree(template, tmp_path / "shop"), None)
    yield made
    made.close()


def file_of(shop: Shop, product: str, family: str = "linear") -> tuple[ArtefactRef, Path]:
    """A file of a product's model, and where it lies."""
    registry = shop.installation.registry
    manifest = registry.manifest(TENANT, product, registry.champions(TENANT)[product].version)
    (ref,) = next(member.files for member in manifest.members if member.family == family)
    (path,) = shop.installation.home.models.rglob(f"{ref.sha256[2:]}.*")
    return ref, path


def flip(_shop: Shop, path: Path) -> None:
    """Turn one bit round."""
    stored = bytearray(path.read_bytes())
    stored[len(stored) // 2] ^= 1
    path.write_bytes(stored)


def cut(_shop: Shop, path: Path) -> None:
    """Take the last byte."""
    path.write_bytes(path.read_bytes()[:-1])


def lose(_shop: Shop, path: Path) -> None:
    """Remove the file."""
    path.unlink()


def swap(shop: Shop, path: Path) -> None:
    """Put another product's file in its place."""
    path.write_bytes(file_of(shop, "baguette")[1].read_bytes())


def edit(shop: Shop, _path: Path) -> None:
    """Change the manifest by hand."""
    with shop.installation.registry._engine.begin() as connection:
        row = TrainedModel.product_id == "rye"
        connection.execute(update(TrainedModel).where(row).values(manifest=TrainedModel.manifest + " "))


def found(shop: Shop) -> list[Fault]:
    """All that is wrong with what forecasts."""
    opened = shop.installation
    verifier = Verifier(opened.registry, opened.store)
    return [fault for model in standing(opened.registry, TENANT) for fault in verifier.faults(model)]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (flip, "linear.json"),
        (cut, "linear.json"),
        (lose, "is missing"),
        (swap, "linear.json"),
        (edit, "was changed after it was registered"),
    ],
)
def test_each_fault_names_its_product_and_makes_it_due(
    shop: Shop, damage: Callable[[Shop, Path], None], told: str
) -> None:
    """Exactly the damaged product is named with its fault, is due for that, and is whole once it is trained."""
    assert found(shop) == []
    damage(shop, file_of(shop, "rye")[1])
    (fault,) = found(shop)
    assert fault.model.product_id == "rye"
    assert told in fault.fault
    opened = shop.installation
    broken = unusable(opened.registry, opened.store, TENANT)
    assert set(broken) == {"rye"}
    plan = make_plan(shop.data(), opened.registry.latest(TENANT), opened.settings, Occasion(), broken)
    (due,) = [row for row in plan if row.due]
    assert (due.product_id, due.cause) == ("rye", Cause.BROKEN_MODEL)
    assert due.reason.startswith("no model that can be used: version ")
    assert told in due.reason
    shop.train(requested=frozenset({"rye"}))
    newest = opened.registry.latest(TENANT)["rye"]
    assert list(Verifier(opened.registry, opened.store).faults(newest)) == []


def test_a_shared_file_is_hashed_once_and_names_all_its_products(shop: Shop) -> None:
    """A fit that both products share is read once, and where it is broken both are named."""
    opened = shop.installation
    verifier = Verifier(opened.registry, opened.store)
    models = standing(opened.registry, TENANT)
    assert [fault for model in models for fault in verifier.faults(model)] == []
    assert len(verifier.verdicts) == 3
    lose(shop, file_of(shop, "rye", "ets")[1])
    assert {fault.model.product_id for fault in found(shop)} == {"baguette", "rye"}


def test_what_is_broken_is_set_aside_and_audited(shop: Shop) -> None:
    """Broken files go to quarantine, each once, with an entry in the audit; what is missing or whole stays as it is."""
    opened, (ref, path) = shop.installation, file_of(shop, "rye")
    flip(shop, path)
    (place,) = set_aside([*found(shop), *found(shop)], opened.registry, opened.store, "ana")
    assert f"quarantine/{ref.sha256}" in place
    entry = opened.registry.audit(TENANT)[0]
    assert (entry.action, entry.actor, entry.subject) == (Action.QUARANTINE, "ana", ref.sha256)
    assert set_aside(found(shop), opened.registry, opened.store, "ana") == ()


class Silent(ArtefactStore):
    """A store whose disk gives an error for every read, as a server that is down does."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop.installation.home.models)
        for path in shop.installation.home.models.rglob("*.zst"):
            path.unlink()
            path.symlink_to("/proc/self/mem")


def test_a_place_that_does_not_answer_makes_nothing_due(shop: Shop) -> None:
    """Where no file can be read the faults are named as such; no product is due for it, and nothing is moved."""
    opened, store = shop.installation, Silent(shop)
    verifier = Verifier(opened.registry, store)
    faults = [fault for model in standing(opened.registry, TENANT) for fault in verifier.faults(model)]
    assert {fault.model.product_id for fault in faults} == {"baguette", "rye"}
    assert all(fault.silent and "cannot be read" in fault.fault for fault in faults)
    assert unusable(opened.registry, store, TENANT) == {}
    assert set_aside(faults, opened.registry, store, "ana") == ()
