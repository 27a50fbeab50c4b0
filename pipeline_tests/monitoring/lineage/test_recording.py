"""What a training notes: a portion at a time, from the data that it saw, whatever becomes of it."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from contracts import LedgerRow, Metrics, ModelManifest, Outcome, TrainingMetadata
from pipeline.home import Home
from pipeline.monitoring.lineage import recording
from pipeline.monitoring.lineage.log import Reader, day_files
from pipeline.monitoring.lineage.recording import described_in, training_data, trainings
from pipeline.tables import content_version, described, read_metadata, write_table
from pipeline.training.trainer import Done
from pipeline_tests.registry.builders import manifest

KEYS = ("product_id", "date", "quantity")
SCORED = Metrics(n=28, mae=1.5, rmse=2.5)


def table(home: Home, name: str, units: float = 1.0) -> str:
    """Write one of the tenant's tables with its metadata; return its version."""
    frame = pd.DataFrame({"product_id": ["bread"], "date": [pd.Timestamp("2026-01-01")], "quantity": [units]})
    path = home.table("shop", name)
    metadata = described(f"shop/{name}", path, frame, KEYS)
    write_table(path, frame, metadata)
    return metadata.dataset_version


def done(product: str, metrics: Metrics = SCORED) -> Done:
    """A product that was trained."""
    made = manifest("a job", tenant_id="shop", product_id=product).model_copy(update={"metrics": metrics})
    ledger = LedgerRow(
        tenant_id="shop", product_id=product, job_id=made.job_id, outcome=Outcome.TRAINED, reason="tests",
        data_days=100, data_fingerprint=made.data_fingerprint, origin=made.origin, seconds=1.0,
    )  # fmt: skip
    return Done(ledger, made)


def noted(home: Home) -> list[str]:
    """The models that were noted."""
    steps = [step for path in day_files(home.lineage) for _, step in Reader().steps(path)]
    return [step.outputs["model"].name for step in steps]


def test_a_training_that_fails_keeps_what_it_noted(tmp_path: Path) -> None:
    """Models that were stored before a training failed are noted and described; those after it are others' matter."""
    home = Home(tmp_path)
    version = [table(home, name) for name in ("sales", "features")][1]
    with suppress(RuntimeError), trainings(home, "shop", "a run") as one:
        one.add(done("bread"))
        raise RuntimeError
    assert noted(home) == ["shop/bread"]
    (line,) = described_in(home, "shop").read_bytes().splitlines()
    found = TrainingMetadata.model_validate_json(line)
    assert (found.model_name, found.run_id, found.metrics.mae, found.metrics.rmse) == ("shop/bread", "a run", 1.5, 2.5)
    assert (found.input_dataset_name, found.input_dataset_version) == ("shop/features", version)


def test_a_model_without_errors_is_noted_and_not_described(tmp_path: Path) -> None:
    """Where no past origin was there to score a model it has no errors to tell: the others are described."""
    home = Home(tmp_path)
    for name in ("sales", "features"):
        table(home, name)
    with trainings(home, "shop", "a run") as one:
        one.add(done("new", Metrics(n=0)))
        one.add(done("bread"))
    assert noted(home) == ["shop/new", "shop/bread"]
    names = [
        TrainingMetadata.model_validate_json(x).model_name for x in described_in(home, "shop").read_bytes().splitlines()
    ]
    assert names == ["shop/bread"]


def test_a_run_that_trains_nothing_leaves_the_last_training_described(tmp_path: Path) -> None:
    """The file is that of the last training that made models."""
    home = Home(tmp_path)
    for name in ("sales", "features"):
        table(home, name)
    with trainings(home, "shop", "first") as one:
        one.add(done("bread"))
    before = described_in(home, "shop").read_bytes()
    with trainings(home, "shop", "second"):
        pass
    assert described_in(home, "shop").read_bytes() == before


def test_trainings_are_noted_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many are on disk while the training still runs, in one write; the rest when it ends."""
    home = Home(tmp_path)
    monkeypatch.setattr(recording, "AT_ONCE", 3)
    monkeypatch.setattr(recording, "SECONDS", 3600)
    with trainings(home, "shop", "a run") as one:
        for number in range(4):
            one.add(done(f"product {number}"))
        assert len(noted(home)) == 3
    assert len(noted(home)) == 4


def test_a_training_learns_from_what_is_newest(tmp_path: Path) -> None:
    """The features, unless the sales are newer than they; nothing, where nothing is known."""
    home = Home(tmp_path)
    assert training_data(home, "shop") is None
    sales = table(home, "sales")
    found = training_data(home, "shop")
    assert found is not None
    assert (found.name, found.version) == ("shop/sales", sales)
    features = table(home, "features")
    found = training_data(home, "shop")
    assert found is not None
    assert (found.name, found.version) == ("shop/features", features)
    newer = table(home, "sales", 2.0)
    found = training_data(home, "shop")
    assert found is not None
    assert (found.name, found.version) == ("shop/sales", newer)
    home.table("shop", "sales").with_suffix(".json").write_text("damaged")
    assert training_data(home, "shop") is None


def test_a_version_is_that_of_the_content(tmp_path: Path) -> None:
    """Equal tables have equal versions, also when read back; any other value, name, type or order has another."""
    moments = pd.to_datetime(["2026-01-01", "2026-01-02"])
    columns = {"product_id": ["a", None], "date": moments, "quantity": [1.0, float("nan")], "rows": [1, 2]}
    frame = pd.DataFrame(columns | {"open": pd.array([True, None], "boolean")})
    version = content_version(frame)
    path = tmp_path / "table.parquet"
    write_table(path, frame, described("shop/table", path, frame, KEYS))
    assert content_version(pd.read_parquet(path)) == version
    kept = read_metadata(path)
    assert kept is not None
    assert kept.dataset_version == version
    assert content_version(frame.assign(quantity=[1.0, -0.0])) == content_version(frame.assign(quantity=[1.0, 0.0]))
    others = [
        frame.assign(product_id=["a", "b"]),
        frame.assign(quantity=[1.0, 0.0]),
        frame.assign(date=moments + dt.timedelta(seconds=1)),
        frame.assign(open=pd.array([True, False], "boolean")),
        frame.assign(rows=[1.0, 2.0]),
        frame.rename(columns={"rows": "row"}),
        frame.iloc[::-1],
        frame.iloc[:1],
        frame[list(frame)[::-1]],
    ]
    assert len({version, *map(content_version, others)}) == len(others) + 1


def test_products_of_any_name_are_noted(tmp_path: Path) -> None:
    """A name with a slash, a line's end or an emoji is one line of the log."""
    home = Home(tmp_path)
    names = ["a/b", "line\nbreak", "🥐", "…" * 300]
    with trainings(home, "shop", "a run") as one:
        for name in names:
            one.add(done(name))
    assert len(noted(home)) == len(names)
    assert isinstance(done("x").manifest, ModelManifest)
