"""What is forecast: the sample businesses always; real sales where `PIPELINE_REAL_DATA` names a folder with them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.scoring import HORIZON, Daily
from contracts import Tenant
from pipeline.commands.describing import Described, given_source, make_tenant
from pipeline.sample import write_sample
from pipeline.sample.catalogue import BUSINESSES
from pipeline.settings import get_settings
from pipeline.training.backtest import read

REAL_DATA = "PIPELINE_REAL_DATA"


@dataclass(frozen=True)
class Bars:
    """What this project has to reach: an error at most `bar`, better `goal`, and a coverage within two ends."""

    bar: float
    goal: float
    coverage: tuple[float, float] | None = None


@dataclass(frozen=True)
class Task:
    """Sales to forecast at the last `origins` origins.

    `metric` is what it is judged by; `since` and `every` thin real sales: rows from a day on, and of the products in
    sorted order the first of every so many.
    """

    name: str
    about: str
    origins: int
    metric: str = "wape"
    country: str | None = None
    bars: Bars | None = None
    since: str | None = None
    every: int = 1

    @property
    def real(self) -> bool:
        """Whether its sales are real ones, which are not part of this project."""
        return self.country is not None


@dataclass(frozen=True)
class Material:
    """A task's sales, for this project as a tenant, for its peers as a table; `covariates` by `unique_id, ds`."""

    tenant: Tenant
    sales: Daily
    covariates: pd.DataFrame | None


TASKS = {
    task.name: task
    for task in (
        *(Task(business.id, f"sample business, {len(business.items)} products", 4) for business in BUSINESSES),
        Task(
            "ddop_bakery",
            "German bakery chain, 105 products in 35 shops, weather (realised) and promotions",
            10,
            country="DE",
            bars=Bars(0.203, 0.195, (0.87, 0.93)),
        ),
        Task(
            "french_bakery",
            "French bakery, articles with less than two years of history",
            4,
            country="FR",
            bars=Bars(0.299, 0.285, (0.82, 0.96)),
        ),
        Task(
            "m5_foods3",
            "American supermarket, every 6th food, 62 % of its days without a sale",
            4,
            metric="rmsse",
            country="US",
            bars=Bars(0.750, 0.735),
            since="2013-06-01",
            every=6,
        ),
    )
}


def real_data() -> Path | None:
    """Return the folder of real sales, if one is named."""
    place = os.environ.get(REAL_DATA)
    return Path(place) if place else None


def at_hand() -> list[Task]:
    """Return the tasks whose sales are there."""
    folder = real_data()
    return [task for task in TASKS.values() if not task.real or (folder and (folder / task.name).is_dir())]


def prepare(task: Task, folder: Path) -> Material:
    """Write what a task's systems read into a folder: sales as this project takes them in, and as the peers do."""
    folder.mkdir(parents=True)
    material = _real(task, folder) if task.real else _sample(task, folder)
    (folder / "tenant.json").write_text(material.tenant.model_dump_json(), encoding="utf-8")
    begun = np.isfinite(material.sales.units)
    row, day = np.nonzero(begun)
    ids = np.array(material.sales.products, object)[row]
    units = material.sales.units[begun]
    pd.DataFrame({"product": ids, "date": material.sales.dates[day], "units": units}).to_parquet(
        folder / "daily.parquet"
    )
    if material.covariates is not None:
        material.covariates.to_parquet(folder / "covariates.parquet")
    return material


def prepared(folder: Path) -> Material:
    """Read what `prepare` has written."""
    tenant = Tenant.model_validate_json((folder / "tenant.json").read_bytes())
    covariates = folder / "covariates.parquet"
    given = pd.read_parquet(covariates) if covariates.exists() else None
    return Material(tenant, Daily.of(pd.read_parquet(folder / "daily.parquet")), given)


def _real(task: Task, folder: Path) -> Material:
    """The rows as they stand in the file; this project does its own cleaning, the peers have none."""
    home = real_data()
    if home is None or task.country is None:
        raise ValueError(f"task {task.name} needs {REAL_DATA}, a folder with {task.name}/sales.parquet")
    source, foreseen = home / task.name / "sales.parquet", home / task.name / "covariates.parquet"
    rows = pd.read_parquet(source)
    if task.since or task.every > 1:
        rows = rows[pd.to_datetime(rows["date"]) >= pd.Timestamp(task.since or pd.Timestamp.min)]
        kept = sorted(rows["product_id"].unique())[:: task.every]
        rows, source = rows[rows["product_id"].isin(kept)], folder / "sales.parquet"
        rows.to_parquet(source, index=False)
    covariates = str(foreseen) if foreseen.exists() else None
    tenant = make_tenant(Described(given_source(str(source)), task.country, covariates))
    sold = pd.DataFrame(
        {"product": rows["product_id"], "date": pd.to_datetime(rows["date"]), "units": rows["quantity"].astype(float)}
    )
    sales = Daily.of(sold)
    return Material(tenant, sales, _by_product(pd.read_parquet(foreseen), sales) if covariates else None)


def _by_product(given: pd.DataFrame, sales: Daily) -> pd.DataFrame:
    """Covariates by `unique_id, ds`; what is missing is as on the last day that is known, else 0."""
    table = given.drop(columns=["tenant_id"], errors="ignore").assign(ds=pd.to_datetime(given["date"]))
    table = table.drop(columns="date").rename(columns={"product_id": "unique_id"})
    if "unique_id" not in table:
        table = pd.DataFrame({"unique_id": sales.products}).merge(table, how="cross")
    names = [str(name) for name in table if name not in ("unique_id", "ds")]
    table = table.sort_values(["unique_id", "ds"])
    table[names] = table.groupby("unique_id")[names].ffill().fillna(0.0).astype(float)
    return table[["unique_id", "ds", *names]]


def _sample(task: Task, folder: Path) -> Material:
    """The made-up tills' files; the peers, which read no tickets, get the sales that this project has cleaned."""
    tenant = next(tenant for tenant in write_sample(folder / "sample").tenants if tenant.id == task.name)
    ledger, outlook = read(tenant, get_settings(), HORIZON)
    begun = ledger.present.cumsum(axis=1) > 0
    sales = Daily(ledger.products, ledger.dates, np.where(begun, ledger.quantity, np.nan))
    shape = (len(ledger.products), len(outlook.dates))
    values = {name: np.broadcast_to(one, shape) for name, one in outlook.covariates.items()} | dict(outlook.by_product)
    if not values:
        return Material(tenant, sales, None)
    every = pd.MultiIndex.from_product([ledger.products, outlook.dates], names=["unique_id", "date"])
    given = pd.DataFrame({name: block.ravel() for name, block in values.items()}, index=every).reset_index()
    return Material(tenant, sales, _by_product(given, sales))
