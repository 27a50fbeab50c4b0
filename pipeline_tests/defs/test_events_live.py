"""The real thing: a daemon that takes messages from RabbitMQ, runs what they want, and tells what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

import pipeline
from pipeline.events.receive import receive
from pipeline.sources.extract import remember_plan, source_fingerprint
from pipeline_tests.defs import tills
from pipeline_tests.defs.server import Server, serving
from pipeline_tests.defs.world import World
from pipeline_tests.events.broker import Corner, broker_url, corner

TENANTS = {"hasty": "urgent", "usual": "normal", "patient": "low"}
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def rabbit() -> Iterator[Corner]:
    """A corner of a real RabbitMQ, with someone who listens to events."""
    with corner(broker_url(), f"test-{uuid4().hex[:12]}.") as made:
        made.listen()
        yield made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three tenants whose files were taken in, so that nothing but messages asks for runs."""
    made = World(tmp_path_factory.mktemp("live") / "world")
    for tenant_id in TENANTS:
        place = tills.write(tills.steady("Bun", days=60), made.root / "exports" / f"{tenant_id}.csv")
        made.add(tenant_id, place, register=False)
        with made.entered() as installation:
            tenant = installation.tenant(tenant_id)
            found = source_fingerprint(tenant, made.home, installation.settings)
        remember_plan(made.home, tenant_id, found)
    return made


def limit_runs(world: World, number: int) -> None:
    """Let the queue start so many runs at once."""
    folder = world.home.dagster
    folder.mkdir(parents=True, exist_ok=True)
    instance = yaml.safe_load((Path(pipeline.__file__).parent.parent / "dagster.yaml").read_text())
    instance["concurrency"]["runs"]["max_concurrent_runs"] = number
    (folder / "dagster.yaml").write_text(yaml.safe_dump(instance))


def runs_of_tenants(server: Server) -> list[dict[str, Any]]:
    """The runs but for what a schedule starts at this hour."""
    answer = server.ask("{ runsOrError { ... on Runs { results { status startTime tags { key value } } } } }")
    runs: list[dict[str, Any]] = answer["runsOrError"]["results"]
    tagged = [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in runs]
    return [run for run in tagged if "tenant" in run["tags"]]


def queued(server: Server, number: int) -> bool | None:
    """Whether so many runs wait in the queue."""
    return True if [run["status"] for run in runs_of_tenants(server)] == ["QUEUED"] * number else None


def order_of_starts(server: Server) -> list[tuple[str, str]] | None:
    """Tenant and status of each run, the first started first, once all have ended."""
    found = runs_of_tenants(server)
    if any(run["status"] not in ENDED for run in found):
        return None
    return [(run["tags"]["tenant"], run["status"]) for run in sorted(found, key=lambda run: run["startTime"])]


def test_messages_become_runs_the_urgent_first_and_are_answered(
    world: World, rabbit: Corner, tmp_path_factory: pytest.TempPathFactory
):
    """Each trigger, sent often, becomes one run, over a restart too; the urgent one starts first; all is told."""
    logs = tmp_path_factory.mktemp("log")
    broker = {"RABBITMQ_URL": rabbit.url, "RABBITMQ_PREFIX": rabbit.prefix}
    # With a DAGSTER_HOME that is set, the rules of the queue are those that were written there.
    settings = {**broker, "EVENTS_INTERVAL_SECONDS": "5", "DAGSTER_HOME": str(world.home.dagster)}
    with world.entered(**broker) as installation:
        receive(installation, 10)  # declares the queues
    limit_runs(world, 0)
    rabbit.tell("training.trigger", b"rubbish")
    with serving(world, logs / "first.log", **settings) as server:
        trigger(rabbit, "patient", "usual")
        server.wait("two runs wait", lambda: queued(server, 2))
        trigger(rabbit, "patient", "hasty", "usual")
        server.wait("the urgent run waits", lambda: queued(server, 3))
    limit_runs(world, 1)
    trigger(rabbit, *TENANTS)
    with serving(world, logs / "second.log", **settings) as server:
        starts = server.wait("all runs end", lambda: order_of_starts(server), 400)
        assert starts == [(tenant_id, "SUCCESS") for tenant_id in TENANTS]
        told = server.wait("all is told", lambda: heard(rabbit, len(TENANTS)))
        server.wait("all is handled", lambda: handled(world))
    assert sorted((one["tenant_id"], one["event_type"]) for one in told) == sorted(
        (tenant_id, "training_completed") for tenant_id in TENANTS
    )
    assert rabbit.waiting("pipeline.dead") == 1


def trigger(rabbit: Corner, *tenants: str) -> None:
    """Want tenants trained, as another system does, under the same names however often."""
    for tenant_id in tenants:
        told = {"tenant_id": tenant_id, "products": "all", "priority": TENANTS[tenant_id], "event_id": tenant_id}
        rabbit.tell("training.trigger", json.dumps(told).encode())


SO_FAR: list[dict[str, Any]] = []


def heard(rabbit: Corner, number: int) -> list[dict[str, Any]] | None:
    """Every event so far, once there are so many."""
    SO_FAR.extend(json.loads(body) for _, _, body in rabbit.take(rabbit.heard))
    return SO_FAR if len(SO_FAR) >= number else None


def handled(world: World) -> bool | None:
    """Whether every message has its outcome."""
    with world.entered() as installation:
        messages = installation.registry.messages()
    assert len(messages) == len(TENANTS)
    return True if all((one.outcome or "").startswith("run ") for one in messages) else None
