"""The documented family of one's own, really built, installed beside the pipeline, and taken through all of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest

from contracts import Cause
from pipeline_tests.defs import tills
from pipeline_tests.training.shop import Shop, sales_of

ROOT = Path(__file__).parent.parent
PROJECT = ROOT / "docs" / "examples" / "own_family"
NAME = "weekday_median"
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


def run(site: Path, *arguments: str | Path, cwd: Path = ROOT, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own that finds the distributions of `site`."""
    path = os.pathsep.join(map(str, (site, ROOT)))
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": path, "COLUMNS": "200", **settings},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example's wheel, built by its own back-end and unpacked."""
    place = tmp_path_factory.mktemp("own")
    project, target = place / "project", place / "site"
    shutil.copytree(PROJECT, project)
    built = run(place, "-c", BUILD, place, cwd=project)
    assert built.returncode == 0, built.stderr
    with ZipFile(place / built.stdout.split()[-1]) as wheel:
        wheel.extractall(target)
    return target


def test_it_keeps_every_promise(site: Path) -> None:
    """Its own tests pass, the conformance suite among them, on what is installed."""
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", PROJECT)
    done = run(site, *command)
    assert done.returncode == 0, done.stdout
    assert "TestWeekdayMedian" in run(site, *command, "--collect-only").stdout


def test_a_backtest_shows_it(site: Path, tmp_path: Path) -> None:
    """`pipeline backtest` has its column, forecasts everything with it, and weighs it with the others."""
    frame = pd.concat([tills.steady("Bun", 20, 135), tills.steady("Roll", 10, 135)], ignore_index=True)
    place, out = tills.write(frame, tmp_path / "till.csv"), tmp_path / "scored.parquet"
    command = ("backtest", "--sales", place, "--country", "ES", "--folds", "1", "--out", out, "--json")
    done = run(site, "-m", "pipeline.cli", *command, PIPELINE_HOME=str(tmp_path / "var"), WORKERS="1")
    assert done.returncode == 0, done.stderr
    assert NAME in [row["forecast"] for row in json.loads(done.stdout)]
    assert np.isfinite(pd.read_parquet(out)[NAME]).all()


def test_a_training_makes_it_a_member(site: Path, tmp_path: Path) -> None:
    """A training with workers stores it as a member with its files; without it, products are due for the new code."""
    shop = Shop(tmp_path)
    shop.sell(sales_of())
    done = run(site, "-m", "pipeline_tests.training.killed_training", tmp_path)
    assert done.returncode == 0, done.stderr
    registry = shop.installation.registry
    version = registry.latest("bakery")["rye"].version
    manifest = registry.manifest("bakery", "rye", version)
    (member,) = [member for member in manifest.members if member.family == NAME]
    assert [ref.name for ref in member.files] == ["weekday_median.json"]
    assert member.metrics.mae is not None
    assert manifest.libraries[NAME] == "own-family 0.1.0"
    assert {row.cause for row in shop.plan() if row.due} == {Cause.NEW_CODE}
    shop.close()


def test_another_version_is_other_code(site: Path, tmp_path: Path) -> None:
    """The code version, by which products are due again, differs with the family, and with each version of it."""
    newer = tmp_path / "newer"
    shutil.copytree(site, newer)
    metadata = next(newer.glob("*.dist-info")) / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 0.1.0", "Version: 0.2.0"))
    told = ("-c", "from pipeline.training.recipes import CODE_VERSION; print(CODE_VERSION)")
    versions = [run(folder, *told).stdout for folder in (tmp_path, site, site, newer)]
    assert versions[1] == versions[2]
    assert len(set(versions)) == 3


def test_one_that_cannot_be_loaded_stops_the_command(site: Path, tmp_path: Path) -> None:
    """The command ends with one message that names the family and its distribution, not with a traceback."""
    broken = tmp_path / "broken"
    shutil.copytree(site, broken)
    (broken / "weekday_median.py").unlink()
    command = ("backtest", "--sales", "till.csv", "--country", "ES", "--out", tmp_path / "scored.parquet")
    done = run(broken, "-m", "pipeline.cli", *command, PIPELINE_HOME=str(tmp_path / "var"))
    assert done.returncode == 1
    assert "ConfigurationError: family 'weekday_median' (" in done.stderr
    assert "of own-family 0.1.0: it cannot be loaded: ModuleNotFoundError" in done.stderr
    assert "Traceback" not in done.stderr
