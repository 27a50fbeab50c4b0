"""The rules that keep the house in order, enforced."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = (
    ("contracts",),
    (
        "pipeline",
        "pipeline.cron",
        "pipeline.errors",
        "pipeline.settings",
        "pipeline.keys",
        "pipeline.logs",
        "pipeline.redaction",
        "pipeline.home",
        "pipeline.appending",
        "pipeline.places",
        "pipeline.progress",
        "pipeline.nights",
        "pipeline.queue",
        "pipeline.requests",
        "pipeline.tables",
        "pipeline.tags",
        "pipeline.who",
        "pipeline.worker",
    ),
    ("pipeline.resilience",),
    (
        "pipeline.engine",
        "pipeline.registry",
        "pipeline.sources",
        "pipeline.compute",
        "pipeline.tenants",
        "pipeline.plots",
        "pipeline.sample",
    ),
    ("pipeline.tenant_data", "pipeline.installation", "pipeline.events"),
    ("pipeline.training", "pipeline.forecasting", "pipeline.monitoring"),
    ("pipeline.report",),
    ("pipeline.defs", "pipeline.definitions"),
    ("pipeline.cli", "pipeline.commands"),
)
PEERS_APART = ("pipeline.engine", "pipeline.registry", "pipeline.sources")
HEAVY = {"mlflow", "prophet", "lightgbm", "optuna", "matplotlib", "holidays", "sklearn", "statsforecast", "mlforecast"}
MODEL_LIBRARIES = {"prophet", "lightgbm", "statsforecast", "mlforecast"}
DAGSTER_FREE_UNTIL = 7
MAX_LINES = 400


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of ours with its file."""
    for package in ("contracts", "pipeline"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path, *, top_level: bool = False) -> Iterator[str]:
    """Names of the modules that a file imports; of those at its top level alone where asked."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(module: str) -> int:
    """Number of the layer that a module belongs to; the longest matching prefix decides."""
    found = [
        (len(prefix), number)
        for number, prefixes in enumerate(LAYERS)
        for prefix in prefixes
        if module == prefix or (module.startswith(f"{prefix}.") and prefix != "pipeline")
    ]
    assert found, f"{module} belongs to no layer: give it a place in LAYERS"
    return max(found)[1]


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: value if isinstance(value, str) else "")
def test_imports_point_one_way(module: str, path: Path):
    """A module imports only from its own layer or from those below it."""
    mine = layer(module)
    ours = [name for name in imports(path) if name.split(".")[0] in ("contracts", "pipeline")]
    above = sorted({name for name in ours if _is_module(name) and layer(name) > mine})
    assert not above, f"{module} (layer {mine}) imports {above}"


@pytest.mark.parametrize("peer", PEERS_APART)
def test_engine_registry_and_sources_do_not_know_each_other(peer: str):
    """The engine, the registry and the sources can each be read, tested and replaced without the others."""
    others = tuple(f"{other}." for other in PEERS_APART if other != peer)
    for module, path in modules():
        if module.startswith(peer):
            known = [name for name in imports(path) if f"{name}.".startswith(others)]
            assert not known, f"{module} imports {known}"


@pytest.mark.parametrize("peer", ["pipeline.engine", "pipeline.registry"])
def test_resilience_is_for_what_calls_outside(peer: str):
    """The engine asks nobody, and the registry keeps the breakers' state without knowing what it is for."""
    for module, path in modules():
        if module.startswith(peer):
            known = [name for name in imports(path) if f"{name}.".startswith("pipeline.resilience.")]
            assert not known, f"{module} imports {known}"


def test_dagster_stands_only_in_the_shell():
    """Dagster is imported by the definitions and the commands that start runs, nowhere else."""
    allowed = {"pipeline.commands.dagster_runs"}
    for module, path in modules():
        if layer(module) < DAGSTER_FREE_UNTIL or (module.startswith("pipeline.c") and module not in allowed):
            assert not [n for n in imports(path) if n.split(".")[0] == "dagster"], f"{module} imports dagster"


def test_model_libraries_stand_in_families_inside_functions():
    """Prophet, LightGBM and their like are imported by the families alone, and never when a module is loaded."""
    for module, path in modules():
        top = {name.split(".")[0] for name in imports(path, top_level=True)}
        assert not top & HEAVY, f"{module} imports {top & HEAVY} at its top level"
        inside = {name.split(".")[0] for name in imports(path)} & MODEL_LIBRARIES
        assert not inside or module.startswith("pipeline.engine.families"), f"{module} imports {inside}"


def test_no_private_parts_of_libraries_and_no_code_in_files():
    """Nothing private of a library is imported, and no format is used that runs code when it is loaded."""
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    for module, path in modules():
        names = list(imports(path))
        private = [n for n in names if n.split(".")[0] not in ("contracts", "pipeline") and "._" in n]
        assert not private, f"{module} imports {private}"
        assert not {n.split(".")[0] for n in names} & forbidden, f"{module} imports a format that runs code"


def test_files_are_short_enough_to_know():
    """No file of ours is longer than 400 lines."""
    long = {str(path): lines for _, path in modules() if (lines := len(path.read_text().splitlines())) > MAX_LINES}
    assert not long, long


def test_the_code_location_loads_no_model_library():
    """Loading every definition imports none of the heavy libraries."""
    names = sorted(HEAVY - {"matplotlib"})
    code = f"import sys; from pipeline.definitions import defs; defs(); print([n for n in {names} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]", done.stdout


def test_workers_load_no_database():
    """What a worker of a training imports before its first task is the engine, and no library that it never calls."""
    code = "import sys, pipeline.training.fitting; print([n for n in ('sqlalchemy', 'fsspec') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]", done.stdout


def _is_module(name: str) -> bool:
    """Whether a dotted name is a module of ours, not an object inside one."""
    place = ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py").exists() or place.is_dir()
