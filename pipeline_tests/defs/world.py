"""An installation in a temporary folder, driven as the daemon and the command line drive it."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from contracts import DemandClass, FileSource, Tenant
from pipeline.commands.dagster_runs import RunResult, register_tenants, run_job
from pipeline.commands.shared import prepared
from pipeline.definitions import defs
from pipeline.home import Home
from pipeline.installation import Installation
from pipeline.keys import partition_key
from pipeline.settings import Settings, get_settings
from pipeline.tenants import save_tenant
from pipeline_tests.defs import tills

FEW_TRIALS = {f"TUNING_TRIALS_{demand_class.name}": "6" for demand_class in DemandClass}
QUICK = {"WORKERS": "1", "EVALUATION_ORIGINS": "2", "LOG_LEVEL": "WARNING", **FEW_TRIALS}
ODD, TWIN = "odd-till", "twin"
ONE_STEP = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def clear_environment(patch: pytest.MonkeyPatch) -> None:
    """Take every setting of the pipeline out of the environment."""
    aliases = [str(c) for f in Settings.model_fields.values() for c in getattr(f.validation_alias, "choices", ())]
    for name in (*Settings.model_fields, *aliases, "dagster_home", "columns"):
        patch.delenv(name.upper(), raising=False)


@functools.cache
def definitions() -> dg.Definitions:
    """All definitions, loaded once.

    Dagster's loader asks the instance that was opened last, even when it is gone: one is held open meanwhile.
    """
    with dg.DagsterInstance.ephemeral():
        return defs()


@dataclass(frozen=True)
class World:
    """One PIPELINE_HOME with its Dagster instance."""

    root: Path

    @property
    def home(self) -> Home:
        """Its folders."""
        return Home(self.root / "var")

    def environment(self) -> dict[str, str]:
        """What the environment must hold for a process to work here."""
        return {**QUICK, "PIPELINE_HOME": str(self.home.root)}

    def alone(self, **settings: str) -> dict[str, str]:
        """The whole environment of a process of its own: a terminal of 80 columns, and nothing of this process."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "80"}
        return {**kept, **path, **self.environment(), **settings}

    @contextmanager
    def around(self, **settings: str) -> Iterator[None]:
        """The environment is this world's inside the block, and as before after it."""
        with pytest.MonkeyPatch.context() as patch:
            clear_environment(patch)
            for name, value in {**self.environment(), **settings}.items():
                patch.setenv(name, value)
            get_settings.cache_clear()
            try:
                yield
            finally:
                get_settings.cache_clear()

    @contextmanager
    def entered(self, **settings: str) -> Iterator[Installation]:
        """Work here, as a command does."""
        with self.around(**settings):
            installation = prepared()
            try:
                yield installation
            finally:
                installation.registry.close()

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The Dagster instance."""
        with self.entered(), dg.DagsterInstance.get() as instance:
            yield instance

    def add(self, tenant_id: str, path: Path, country: str = "ES", *, register: bool = True) -> Tenant:
        """Make a tenant of a sales file, or point it at another one."""
        source = FileSource(path=str(path))
        made = Tenant(id=tenant_id, name=tenant_id, country=country, timezone="Europe/Madrid", source=source)
        with self.entered() as installation:
            save_tenant(self.home, made, replace=True)
            if register:
                register_tenants(installation)
        return made

    def run(self, tenant_id: str, job: str = "train_and_forecast", **settings: str) -> RunResult:
        """Run a job for a tenant, in this process."""
        with self.entered(**settings):
            return run_job(tenant_id, job)

    def retrain(self, tenant_id: str, products: Sequence[str], **terms: object) -> RunResult:
        """Run `retrain_products` as the launchpad does."""
        config = {"ops": {"training_plan": {"config": {"products": list(products), **terms}}}}
        with self.entered():
            return run_job(tenant_id, "retrain_products", config)

    def metadata(self, run_id: str, asset: str) -> dict[str, Any]:
        """The metadata of the one materialization of an asset in a run."""
        with self.instance() as instance:
            entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        made = [entry.asset_materialization for entry in entries]
        (found,) = [one for one in made if one and one.asset_key.to_user_string() == asset]
        return {name: entry.value for name, entry in found.metadata.items()}

    def by_hand(self, keys: Sequence[str]) -> dg.ExecuteInProcessResult:
        """Materialize `product_model` for adjacent partition keys, as the UI's materialize dialog does."""
        job = definitions().resolve_implicit_global_asset_job_def()
        span = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
        chosen: Mapping[str, Any] = {"tags": span} if len(keys) > 1 else {"partition_key": keys[0]}
        with self.instance() as instance:
            return job.execute_in_process(
                ONE_STEP,
                instance=instance,
                asset_selection=[dg.AssetKey("product_model")],
                raise_on_error=False,
                **chosen,
            )

    def copied(self, root: Path) -> World:
        """The same world again, for a test that changes it."""
        shutil.copytree(self.root, root)
        return World(root)


@dataclass(frozen=True)
class Finished:
    """A world with two tenants that have been run, and how their runs ended."""

    world: World
    runs: Mapping[str, RunResult]

    def events(self, tenant_id: str, kind: dg.DagsterEventType) -> list[dg.EventLogEntry]:
        """The stored events of a tenant's run."""
        with self.world.instance() as instance:
            return list(instance.all_logs(self.runs[tenant_id].run_id, of_type=kind))


@functools.cache
def finished(root: Path) -> Finished:
    """Run the odd till, and a second tenant that sells two products of the same names; once a session."""
    world = World(root)
    sales = tills.odd_sales()
    world.add(ODD, tills.write(sales, root / "exports" / "odd.csv"))
    twin = sales[sales["product_id"].isin(tills.STEADY[:2])].assign(quantity=lambda f: f["quantity"] * 3)
    world.add(TWIN, tills.write(twin, root / "exports" / "twin.csv"), country="FR")
    return Finished(world, {tenant: world.run(tenant) for tenant in (ODD, TWIN)})


def processes(world: World) -> dict[int, str]:
    """The processes, this one aside, that work in a world: their command lines by id."""
    mark, found = f"PIPELINE_HOME={world.home.root}".encode(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != os.getpid():
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has ended meanwhile, or is another user's
    return {pid: command for pid, command in found.items() if command}


def keys(tenant_id: str, products: Sequence[str]) -> list[str]:
    """Partition keys of a tenant's products."""
    return [partition_key(tenant_id, product) for product in products]
