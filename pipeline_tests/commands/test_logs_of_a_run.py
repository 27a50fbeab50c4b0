"""What a real run says on stderr: lines of JSON, each with what it is about, and no secret, whatever fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts import HttpSource, Tenant
from pipeline.home import Home
from pipeline.tenants import save_tenant
from pipeline_tests.commands.conftest import Answer, apart
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import World

ROOT = Path(__file__).parents[2]
PASSWORD, KEY, TOKEN = "pw-Tr0ub4dor", "k3y-of-sixteen-letters", "t0ken/of+source"
NOBODY = f"//me:{PASSWORD}@127.0.0.1:1"
"""Nothing listens at port 1: every library that connects there says so."""
PRODUCTS = set(tills.STEADY[:2])
FORMS = (PASSWORD, KEY, TOKEN, "t0ken%2Fof%2Bsource")
LOUD = {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG", "DB_ECHO": "1", "PYTHONPATH": str(ROOT), "TUNING_ENABLED": "0"}
OTHERS = {
    "RABBITMQ_URL": f"amqp:{NOBODY}/",
    "MLFLOW_TRACKING_URI": f"http:{NOBODY}",
    "MODEL_SIGNING_KEY": KEY,
    "PIPELINE_SOURCE_TOKEN": TOKEN,
}


def lines(answer: Answer) -> list[dict[str, Any]]:
    """What stands on stderr: each line is JSON, and none holds a secret."""
    shown = answer.out + answer.err
    assert not [form for form in FORMS if form in shown]
    return [json.loads(line) for line in answer.err.splitlines()]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The lines of a run that trains two products while the broker and MLflow are away."""
    folder = tmp_path_factory.mktemp("loud")
    sold = tills.odd_sales()
    sales = tills.write(sold[sold["product_id"].isin(PRODUCTS)], folder / "till.csv")
    answer = apart(World(folder / "world"), "run", "--sales", sales, "--country", "ES", **LOUD, **OTHERS)
    assert answer.status == 0, answer.err
    return lines(answer)


def test_lines_of_the_training_say_whose_they_are(told: list[dict[str, Any]]) -> None:
    """Each bears run, tenant, job and correlation, those of a product's fit its product, though a worker wrote it."""
    trained = [line for line in told if line["logger"].startswith("pipeline.training")]
    assert {"planning", "training products"} <= {line["event"].partition(":")[0] for line in trained}
    assert len({(one["run"], one["tenant"], one["job"], one["correlation"]) for one in trained}) == 1
    assert trained[0]["correlation"] == trained[0]["run"]
    fitted = {line["product"] for line in trained if line["logger"] == "pipeline.training.fitting"}
    assert fitted == PRODUCTS


def test_what_fails_is_told_without_its_secret(told: list[dict[str, Any]]) -> None:
    """The broker and MLflow that are away are named with their places; the echo of the registry has no values."""
    warned = " ".join(line["event"] for line in told if line["level"] == "warning")
    assert "RabbitMQ at amqp://127.0.0.1:1/ cannot be reached" in warned
    assert "could not be mirrored to MLflow at" in warned
    echoed = [line["event"] for line in told if line["logger"].startswith("sqlalchemy")]
    assert any("INSERT INTO" in event for event in echoed)
    assert not [event for event in echoed if event.startswith("[") and "hidden" not in event and "no key" not in event]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("DATABASE_URL", ("registry", "upgrade")),
        pytest.param("DAGSTER_DATABASE_URL", ("jobs", "list"), marks=pytest.mark.long),  # Dagster tries for long.
    ],
)
def test_a_database_that_refuses(name: str, command: tuple[str, str], tmp_path: Path) -> None:
    """The command fails with an error of ours, and its last line says so without the password."""
    answer = apart(World(tmp_path / "w"), *command, **LOUD, **OTHERS, **{name: f"postgresql:{NOBODY}/x"})
    assert answer.status == 1
    assert lines(answer)[-1]["level"] == "error"


def test_a_service_that_refuses(tmp_path: Path) -> None:
    """A source whose URL holds a login and a token is named without both."""
    world = World(tmp_path / "w")
    source = HttpSource(kind="http", url=f"http:{NOBODY}/sales?key=${{PIPELINE_SOURCE_TOKEN}}")
    save_tenant(
        Home(world.home.root), Tenant(id="cafe", name="C", country="ES", timezone="Europe/Madrid", source=source)
    )
    answer = apart(world, "run", "--tenant", "cafe", **LOUD, **OTHERS, RETRY_HTTP_ATTEMPTS="1", OUTAGE_WAIT_SECONDS="0")
    assert answer.status == 1
    assert "127.0.0.1:1" in lines(answer)[-1]["event"]
