"""What earlier releases left behind is read for ever: databases, manifests, artefacts, and the forecasts they make."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import MetaData, create_engine, insert, select

import pipeline_tests.frozen
from pipeline.errors import SchemaMismatchError
from pipeline.forecasting.ladder import Ladder
from pipeline.registry import check_schema, database, open_engine, open_registry, upgrade
from pipeline.settings import Settings
from pipeline.training.integrity import broken_files
from pipeline_tests.training.shop import Inline, quick_settings

RELEASES = sorted(
    path for path in Path(pipeline_tests.frozen.__file__).parent.iterdir() if (path / "registry.db").exists()
)


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of an earlier release's installation."""
    home = tmp_path / request.param.name
    shutil.copytree(request.param, home)
    return home


def counts(home: Path) -> dict[str, int]:
    """Rows of each table of a SQLite registry."""
    with sqlite3.connect(home / "registry.db") as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {name: connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for (name,) in tables}


def upgraded(settings: Settings) -> None:
    """Bring a registry to this code's schema."""
    engine = open_engine(settings)
    upgrade(engine)
    check_schema(engine)
    engine.dispose()


def test_there_are_earlier_releases() -> None:
    """Every schema but the newest has a frozen installation."""
    schemas = {script.revision for script in database._scripts().walk_revisions()}
    assert {path.name for path in RELEASES} >= schemas - {database._scripts().get_current_head()}


def test_an_older_database_is_refused_until_it_is_upgraded(release: Path) -> None:
    """It is said that the database is behind and what to type; nothing is touched before."""
    settings, before = quick_settings(release), counts(release)
    if release.name != database._scripts().get_current_head():
        with pytest.raises(SchemaMismatchError, match=rf"behind: it has {release.name}.*`pipeline registry upgrade`"):
            open_registry(settings)
    assert counts(release) == before
    upgraded(settings)
    after = counts(release)
    assert {table: after[table] for table in before} == before


def test_its_models_are_whole(release: Path) -> None:
    """Every manifest can be read, every file is what its reference says, and the champions are still in use."""
    upgraded(quick_settings(release))
    opened = Inline(quick_settings(release))
    records = opened.registry.models("bakery")
    assert len(records) >= 5
    for record in records:
        manifest = opened.registry.manifest("bakery", record.product_id, record.version)
        assert broken_files(manifest, opened.store) == []
    assert len(opened.registry.champions("bakery")) == len(records)
    opened.registry.close()


def test_its_models_forecast_what_they_did(release: Path) -> None:
    """The champions of that release make the forecasts that they made then, to a thousandth of a unit."""
    settings = quick_settings(release)
    upgraded(settings)
    opened = Inline(settings)
    frame = Ladder(opened.data("bakery"), opened.registry, opened.store, settings, 0).climb(None)
    then = pd.read_parquet(opened.home.table("bakery", "forecasts"))
    both = frame.merge(then, on=["product_id", "date"], suffixes=("", "_then"))
    assert len(both) == len(then) == len(frame)
    assert (both["rung"] == both["rung_then"]).all()
    for column in ("y_hat", "lower", "upper"):
        np.testing.assert_allclose(both[column], both[f"{column}_then"], atol=1e-3)
    opened.registry.close()


def test_it_can_move_to_postgresql(release: Path, empty_postgres: str, tmp_path: Path) -> None:
    """The rows of the old schema, put into PostgreSQL as they are, are upgraded there as on SQLite."""
    from alembic import command

    settings = Settings(pipeline_home=tmp_path / "other", database_url=empty_postgres)
    engine = open_engine(settings)
    with database.writer(engine).begin() as connection:
        config = database._alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, release.name)
    source, tables = create_engine(f"sqlite:///{release / 'registry.db'}"), MetaData()
    tables.reflect(bind=engine)
    with source.connect() as old, engine.begin() as new:
        for table in tables.sorted_tables:
            if table.name != database.VERSION_TABLE and (rows := old.execute(select(table)).mappings().all()):
                new.execute(insert(table), [dict(row) for row in rows])
    source.dispose()
    upgrade(engine)
    check_schema(engine)
    engine.dispose()
    with open_registry(settings) as opened:
        for product, record in opened.champions("bakery").items():
            assert opened.manifest("bakery", product, record.version).product_id == product


def test_its_files_are_told_apart_and_found(release: Path) -> None:
    """After the upgrade every file's row says what it is and where it lies, and there it lies."""
    upgraded(quick_settings(release))
    with sqlite3.connect(release / "registry.db") as connection:
        rows = connection.execute("SELECT name, type, location FROM artefacts").fetchall()
    assert {(name, kind) for name, kind, _ in rows} >= {("booster.txt", "model/text"), ("linear.json", "model/json")}
    for name, _, location in rows:
        assert list((release / "models").glob(f"{location}.*")), name


def test_its_messages_keep_their_place(release: Path) -> None:
    """What waits is as urgent as it was, and waits for the run that was asked for; before 0004 there was none."""
    upgraded(quick_settings(release))
    with open_registry(quick_settings(release)) as registry:
        found = registry.unclaimed_messages(9, timedelta(0))
    if release.name < "0004":
        assert found == []
        return
    urgent, asked = found
    assert (urgent.rank, urgent.run_key) == (-20, None)
    assert (asked.rank, asked.message_id) == (0, "bakery/training_trigger/spring")
    assert asked.run_key is not None
    if release.name == "0004":
        assert asked.key == asked.message_id
