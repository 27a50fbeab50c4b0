"""Foreign artefacts become metadata by a table of where their fields stand, and what is wrong with one is named."""

from __future__ import annotations

import datetime as dt
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import DatasetMetadata, TrainingMetadata
from pipeline.errors import ConfigurationError, MetadataError
from pipeline.monitoring.adapters import adapters_of, shipped
from pipeline.monitoring.artefacts import find
from pipeline.monitoring.foreign import MAX_FOOTER
from pipeline.monitoring.metadata import MAX_BYTES
from pipeline.settings import Settings
from pipeline.tables import described, write_table
from pipeline_tests.metadata import JSON
from pipeline_tests.monitoring.foreign import DATASET, STAMP, bundle, document, parquet

MOMENT = dt.datetime(2026, 3, 2, 4, 5, 6, tzinfo=dt.UTC)


def read(path: Path, **settings: Any) -> Any:
    """What lies at a path, as its contract."""
    return find(path, adapters_of(Settings(pipeline_home=path.parent / "home", **settings))).metadata()


def read_or_refused(path: Path) -> Any:
    """The same by the adapters that come with the pipeline, or the words in which it is refused."""
    try:
        return find(path, shipped()).metadata()
    except MetadataError as error:
        return str(error)


def test_a_table_of_another_system_is_a_data_set(tmp_path: Path) -> None:
    """Its stamp is the moment, in UTC, and the version; its columns but for keys and target are features."""
    found = read(parquet(tmp_path / "stations.v2.parquet", features=4))
    assert found == DatasetMetadata(
        dataset_name="stations.v2", dataset_version=STAMP, path=str(tmp_path / "stations.v2.parquet"), built_at=MOMENT,
        row_count=3, feature_count=4, target="target_empty_next_hour", entity="station_id", event_ts="obs_ts",
    )  # fmt: skip


def test_a_bundle_is_a_training(tmp_path: Path) -> None:
    """What it does not say is unknown, the moment it was made, and where the run's model would lie."""
    found = read(bundle(tmp_path / "bundle"))
    assert found == TrainingMetadata(
        run_id="r7", model_name="boosted", model_version="unknown", input_dataset_name="unknown",
        input_dataset_version="unknown", started_at=MOMENT, completed_at=MOMENT,
        metrics={"rmse": 2.5, "mae": 1.5}, artifact_path="runs:/r7/model",
    )  # fmt: skip


def test_a_bundle_says_more(tmp_path: Path) -> None:
    """What it says itself goes before what would be assumed."""
    told = {
        "model_version": "7", "input_dataset_name": "stations", "input_dataset_version": "2",
        "started_at": "2026-03-02T05:00:00+01:00", "completed_at": "2026-03-02T06:00:00+01:00",
    }  # fmt: skip
    found = read(
        bundle(tmp_path / "bundle", {"val_rmse": 3, "val_mae": 2, "test_mae": 1}, " models:/boosted/7\n", **told)
    )
    assert (found.model_version, found.input_dataset_name, found.input_dataset_version) == ("7", "stations", "2")
    assert (found.started_at.hour, found.completed_at.hour, found.artifact_path) == (4, 5, "models:/boosted/7")
    assert (found.metrics.rmse, found.metrics.mae) == (3, 1)


def test_a_bundle_does_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    """A file of a bundle that is a link is refused: what it leads to is no part of it, and is told to nobody."""
    (tmp_path / "secret.env").write_text("TOKEN=abc123")
    folder = bundle(tmp_path / "run")
    (folder / "model_uri.txt").symlink_to(tmp_path / "secret.env")
    with pytest.raises(MetadataError, match=r"model_uri\.txt cannot be read") as refused:
        find(folder, shipped()).metadata()
    assert "abc123" not in str(refused.value)


def test_a_blank_uri_is_none(tmp_path: Path) -> None:
    """A model_uri.txt without a word in it is as good as absent."""
    assert read(bundle(tmp_path / "bundle", uri=" \n")).artifact_path == "runs:/r7/model"


def test_our_own_table_needs_no_adapter(tmp_path: Path) -> None:
    """The metadata in the schema of a table of ours is read as it stands."""
    import pandas as pd

    frame, path = pd.DataFrame({"product_id": ["a"], "lag_1": [1.0]}), tmp_path / "features.parquet"
    metadata = described("shop/features", path, frame, ("product_id",))
    write_table(path, frame, metadata)
    assert read(path) == metadata == read(path.with_suffix(".json"))


OPERATORS = """
[[adapter]]
name = "manifest"
reads = "json"
contract = "DatasetMetadata"
when = [{ key = "table.built" }]
[adapter.fields]
dataset_name = [{ key = "table.name" }]
dataset_version = [{ template = "{dataset_name}-{row_count}" }]
path = [{ path = "full" }]
built_at = [{ key = "table.built", as = "moment", format = "%d.%m.%Y %H:%M" }]
row_count = [{ key = "table.rows", as = "integer" }]
feature_count = [{ value = 0 }]
target = [{ value = "y" }]
entity = [{ value = "id" }]
event_ts = [{ value = "at" }]
"""


@pytest.mark.parametrize("place", ["home/adapters.toml", "elsewhere.toml"])
def test_an_operator_adds_a_form_without_code(tmp_path: Path, place: str) -> None:
    """A TOML under PIPELINE_HOME, or where METADATA_ADAPTERS says, reads a form of its own; others stay as they are."""
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(OPERATORS)
    given = {} if place.startswith("home") else {"metadata_adapters": tmp_path / place}
    told = {"table": {"name": "till", "built": "02.03.2026 04:05", "rows": "12"}}
    found = read(document(tmp_path / "manifest.json", told), **given)
    assert (found.dataset_name, found.dataset_version, found.row_count) == ("till", "till-12", 12)
    assert found.built_at == MOMENT.replace(second=0)
    assert read(document(tmp_path / "own.json"), **given).dataset_name == "features"
    assert read(parquet(tmp_path / "stations.parquet"), **given).dataset_name == "stations"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('entity = [{ value = "id" }]', "", "says nothing of entity"),
        (
            'entity = [{ value = "id" }]',
            'entity = [{ value = "id" }]\ncolour = [{ value = "red" }]',
            "no field 'colour'",
        ),
        ('when = [{ key = "table.built" }]', "", "must say when it fits"),
        ('{ value = "id" }', '{ value = "id", key = "id" }', "key belongs to a JSON object"),
        ('{ value = "id" }', "{ }", "a place is one of"),
        ('{ value = "id" }', '{ schema_key = "id" }', "reads json, which has no schema_key"),
        ('{ value = "id" }', '{ file = "../secret" }', "pattern"),
        ('{ value = "id" }', '{ value = "id", format = "%Y" }', 'format belongs to as = "moment"'),
        ('contract = "DatasetMetadata"', 'contract = "Tenant"', "contract = 'Tenant'"),
        ('reads = "json"', 'reads = "json', "Illegal character"),
        ("[[adapter]]", "[[adaptor]]", "adaptor"),
        ('name = "manifest"', 'name = "\udcff"', "can't decode|codec"),
    ],
)
def test_a_table_of_adapters_that_cannot_be_used_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    """It is refused by its path, in words that say which rule it breaks."""
    assert old in OPERATORS
    path = tmp_path / "adapters.toml"
    path.write_bytes(OPERATORS.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match=words) as refused:
        adapters_of(Settings(pipeline_home=tmp_path))
    assert str(path) in str(refused.value)


def test_adapters_that_are_named_must_be_there(tmp_path: Path) -> None:
    """A METADATA_ADAPTERS that names no file is no reason to go on without."""
    with pytest.raises(ConfigurationError, match="No such file"):
        adapters_of(Settings(pipeline_home=tmp_path, metadata_adapters=tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"build_timestamp": None}, r"dataset_version: Field required \(from schema_key 'build_timestamp'\)"),
        ({"build_timestamp": "2026-03-02"}, "built_at = '2026-03-02': .*format '%Y%m%d_%H%M%S'"),
        ({"build_timestamp": "2026032_4050"}, "built_at = '2026032_4050'"),
        ({"build_timestamp": "20260230_040506"}, "built_at = '20260230_040506'"),
        ({"build_timestamp": ""}, "dataset_version = ''"),
        ({"row_count": None}, "row_count: Field required"),
        ({"row_count": "-1"}, "row_count = -1: .*greater than or equal to 0"),
        ({"row_count": "many"}, "row_count = 'many'"),
        ({"row_count": "1.5"}, "row_count = '1.5'"),
        ({"dataset_metadata": "{"}, "dataset_metadata in its schema is no JSON"),
    ],
)
def test_bad_tables_are_refused_by_field(tmp_path: Path, schema: dict[str, Any], words: str) -> None:
    """File, field, value and rule are named, and where the value was looked for."""
    with pytest.raises(MetadataError, match=words) as refused:
        read(parquet(tmp_path / "stations.parquet", **schema))
    assert "stations.parquet" in str(refused.value)


@pytest.mark.parametrize(
    ("metrics", "more", "words"),
    [
        (None, {"run_id": None}, "run_id: Field required"),
        (None, {"run_id": ""}, "run_id = ''"),
        (None, {"run_id": 7}, "run_id = 7"),
        (None, {"model_type": None}, "needs what is not there: file 'metadata.json', key 'model_type'"),
        (None, {"created_at": "2026-03-02T04:05:06"}, "started_at = '2026-03-02T04:05:06'.*timezone"),
        (None, {"completed_at": "2026-03-02T04:05:05Z"}, "is before started_at"),
        ({"test_rmse": 1}, {}, r"metrics.mae: Field required \(from .*test_mae.* or .*val_mae"),
        ({"test_rmse": float("nan"), "test_mae": 1}, {}, "metrics.rmse = nan: .*finite"),
        ({"test_rmse": "1", "test_mae": 1}, {}, "metrics.rmse = '1'"),
        ({"test_rmse": -1, "test_mae": 1}, {}, "metrics.rmse = -1"),
    ],
)
def test_bad_bundles_are_refused_by_field(tmp_path: Path, metrics: Any, more: dict[str, Any], words: str) -> None:
    """File, field, value and rule are named, and where the value was looked for."""
    with pytest.raises(MetadataError, match=words) as refused:
        read(bundle(tmp_path / "bundle", metrics, **more))
    assert str(tmp_path / "bundle") in str(refused.value)


def test_broken_files_are_refused(tmp_path: Path) -> None:
    """Torn, empty, of another encoding, deep, a device, a folder without a bundle, gone: each is said in words."""
    whole = parquet(tmp_path / "whole.parquet").read_bytes()
    contents = {
        "torn.parquet": (whole[:-20], "no whole Parquet file"),
        "empty.parquet": (b"", "no whole Parquet file"),
        "footless.parquet": (whole[:-8] + (MAX_FOOTER + 1).to_bytes(4, "little") + b"PAR1", "its footer has"),
        "false.parquet": (b"PAR1" + b"\0" * 30 + (9).to_bytes(4, "little") + b"PAR1", "no Parquet file"),
        "torn.json": (b'{"dataset_name": "a"', "no JSON"),
        "empty.json": (b"", "no JSON"),
        "latin.json": ('{"dataset_name": "Café"}'.encode("latin-1"), "no JSON in UTF-8"),
        "wide.json": (json.dumps(DATASET).encode("utf-16"), "no JSON in UTF-8"),
        "list.json": (b"[1]", "must be a JSON object"),
        "deep.json": (b"[" * 100_000, "no JSON"),
        "long.json": (b'{"a": ' + b"1" * 10_000 + b"}", "no JSON|Field required|not permitted"),
    }
    for name, (content, words) in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MetadataError, match=words) as refused:
            read(tmp_path / name)
        assert name in str(refused.value)
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder").mkdir()
    strange = {
        "pipe.json": "no regular file",
        "gone.json": "No such file",
        "gone.parquet": "not there",
        "folder": "needs what is not there",
        "nul\0.json": "null",
    }
    for name, words in strange.items():
        with pytest.raises(MetadataError, match=words):
            read(tmp_path / name)


def test_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    """Of a huge file no more than the bound is read, also inside a bundle."""
    huge = bundle(tmp_path / "bundle") / "metrics.json"
    for path in (tmp_path / "huge.json", huge):
        with path.open("wb") as file:
            file.truncate(2**30)
    for path in (tmp_path / "huge.json", tmp_path / "bundle"):
        with pytest.raises(MetadataError, match=f"has more than {MAX_BYTES} bytes"):
            read(path)


@settings(max_examples=60, deadline=None)
@given(
    said=st.dictionaries(st.sampled_from(["run_id", "candidate_name", "model_type", "created_at", "started_at"]), JSON),
    metrics=st.dictionaries(st.sampled_from(["test_rmse", "test_mae", "val_rmse"]), st.floats() | JSON) | JSON,
    uri=st.binary(max_size=8),
)
def test_whatever_a_bundle_holds_it_is_a_training_or_refused(said: Any, metrics: Any, uri: bytes) -> None:
    """No content of the three files ends in anything but the contract or a MetadataError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "metadata.json").write_text(json.dumps(said))
        (path / "metrics.json").write_text(json.dumps(metrics))
        (path / "model_uri.txt").write_bytes(uri)
        found = read_or_refused(path)
        assert isinstance(found, TrainingMetadata) or folder in found


@settings(max_examples=40, deadline=None)
@given(stamp=st.text(max_size=16) | st.just(STAMP), rows=st.text(max_size=8) | st.integers().map(str))
def test_whatever_a_schema_holds_it_is_a_data_set_or_refused(stamp: str, rows: str) -> None:
    """A stamp that is taken is a real moment, written as agreed; a count is whole and not negative."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = parquet(Path(folder) / "stations.parquet", build_timestamp=stamp, row_count=rows)
        except UnicodeEncodeError:
            return  # No writer can put half a character there.
        found = read_or_refused(path)
        if isinstance(found, DatasetMetadata):
            assert f"{found.built_at:%Y%m%d_%H%M%S}" == stamp
            assert found.row_count == int(rows)
        else:
            assert str(path) in found


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=60), ending=st.sampled_from([".json", ".parquet"]))
def test_whatever_bytes_a_file_holds_they_are_refused_in_words(content: bytes, ending: str) -> None:
    """Garbage ends in a MetadataError that names the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"garbage{ending}"
        path.write_bytes(content)
        with pytest.raises(MetadataError, match="garbage"):
            find(path, shipped()).metadata()
