"""A small real shop: a CSV of sales, really extracted into an installation of its own, really trained."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from contracts import DemandClass, FileSource, PlanRow, Tenant
from pipeline import tenants
from pipeline.installation import Installation
from pipeline.settings import Settings
from pipeline.sources.calendar import build_calendar
from pipeline.sources.extract import extract_sales, load_sales
from pipeline.tables import write_table
from pipeline.tenant_data import TenantData, last_complete_day
from pipeline.training.gate import Verdict
from pipeline.training.job import Job, Order, training_job
from pipeline.training.plan import Occasion, make_plan
from pipeline.training.promotion import decide_all
from pipeline.training.trainer import Done

FIRST = pd.Timestamp("2024-01-01")
LENGTH = 240
ORDER = Order("test", "a test")
TRAINABLE = ("baguette", "tart", "rye", "young", "rare")
"""The shop's products that are trained, the most important first."""

Sales = dict[str, np.ndarray]


class Inline(Installation):
    """An installation that does its work in this process."""

    @property
    def workers(self) -> int:
        """None: no processes are started."""
        return 0


def sales_of(count: int = LENGTH, seed: int = 5) -> Sales:
    """Return `count` days of units by product; the shop is closed on Sundays.

    Beside three ordinary products there is one of 45 days, one of 15 observed days, one that sold nothing in
    the second half, and one that hardly ever sells. More days leave the first ones as they are.
    """
    is_open = np.arange(count) % 7 != 6
    draw = {name: np.random.default_rng([seed, number]) for number, name in enumerate((*TRAINABLE, "gone"))}
    week = 1 + 0.3 * np.sin(2 * np.pi * np.arange(count) / 7)
    levels = {"baguette": 60.0, "tart": 25.0, "rye": 12.0, "young": 6.0, "gone": 30.0}
    units = {name: draw[name].poisson(level * week).astype(float) for name, level in levels.items()}
    units["rare"] = (draw["rare"].random(count) < 0.04).astype(float)
    units["rare"][0] = 1.0
    units["young"][: LENGTH - 45] = 0
    units["gone"][LENGTH // 2 :] = 0
    new = np.zeros(count)
    new[np.flatnonzero(is_open[:LENGTH])[-15:]] = 4.0
    return {name: np.where(is_open, values, 0.0) for name, values in (units | {"new": new}).items()}


def write_csv(path: Path, sales: Mapping[str, np.ndarray]) -> None:
    """Write a row for each product and day with sales; of a product that never sells, for each day that is known."""
    dates = pd.date_range(FIRST, periods=len(next(iter(sales.values()))))
    frames = [pd.DataFrame({"date": dates, "product_id": name, "quantity": sales[name]}) for name in sorted(sales)]
    table = pd.concat(frames).dropna()
    never = table.groupby("product_id")["quantity"].transform("max") == 0
    table = table[(table["quantity"] > 0) | never].sort_values(["date", "product_id"])
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


FEW_TRIALS = {f"tuning_trials_{demand_class}": 6 for demand_class in DemandClass}


def quick_settings(home: Path, **changes: object) -> Settings:
    """Return settings that train in seconds: two past origins, a week ahead, few trials."""
    quick = {"pipeline_home": home, "evaluation_origins": 2, "horizon_days": 7, **FEW_TRIALS}
    return Settings.model_validate({**quick, **changes})


@dataclass
class Shop:
    """One installation under `root` with some tenants, each with its CSV beside it."""

    root: Path
    installation: Installation = field(init=False)

    def __post_init__(self) -> None:
        self.installation = Inline(quick_settings(self.root / "home"))

    def configure(self, **changes: object) -> None:
        """Open the same installation with other settings."""
        self.close()
        self.installation = Inline(quick_settings(self.root / "home", **changes))

    def close(self) -> None:
        """Close the registry."""
        self.installation.registry.close()

    def copy_to(self, root: Path) -> Shop:
        """Return an equal shop in another folder."""
        self.close()
        shutil.copytree(self.root, root)
        copied = Shop(root)
        for tenant in tenants.list_tenants(copied.installation.home).usable:
            copied._save(tenant.id)
        return copied

    def _save(self, tenant_id: str) -> Tenant:
        tenant = Tenant(
            id=tenant_id,
            name=tenant_id.title(),
            country="ES",
            timezone="Europe/Madrid",
            source=FileSource(path=str(self.root / tenant_id / "sales.csv")),
        )
        tenants.save_tenant(self.installation.home, tenant, replace=True)
        return tenant

    def sell(self, sales: Mapping[str, np.ndarray], tenant_id: str = "bakery") -> TenantData:
        """Write a tenant's sales, extract them, and return its data as of the last day."""
        write_csv(self.root / tenant_id / "sales.csv", sales)
        tenant, opened = self._save(tenant_id), self.installation
        after = FIRST + pd.Timedelta(days=len(next(iter(sales.values()))) + 2)
        extract_sales(tenant, opened.home, opened.settings, after.to_pydatetime().replace(tzinfo=dt.UTC))
        daily = load_sales(opened.home, tenant.id)
        origin = last_complete_day(opened.home, tenant, daily)
        frame = build_calendar(tenant, daily, origin, opened.settings.horizon_days)
        write_table(opened.home.table(tenant.id, "calendar"), frame)
        return self.data(tenant_id)

    def data(self, tenant_id: str = "bakery") -> TenantData:
        """Return a tenant's stored data."""
        return self.installation.data(tenant_id)

    def plan(self, tenant_id: str = "bakery", **occasion: object) -> list[PlanRow]:
        """Return a tenant's plan."""
        data, opened = self.data(tenant_id), self.installation
        return make_plan(data, opened.registry.latest(tenant_id), opened.settings, Occasion(**occasion))

    def job(self, tenant_id: str = "bakery", **occasion: object) -> AbstractContextManager[Job]:
        """Open a job for what is due."""
        order = replace(ORDER, terms=Occasion(**occasion).terms)
        return training_job(self.installation, tenant_id, lambda _data: self.plan(tenant_id, **occasion), order)

    def train(self, tenant_id: str = "bakery", **occasion: object) -> tuple[list[Done], Job]:
        """Train what is due, to the end."""
        with self.job(tenant_id, **occasion) as job:
            return list(job.train()), job

    def promote(self, tenant_id: str = "bakery") -> dict[str, Verdict]:
        """Decide about every model that nobody has decided about, and return the verdicts by product."""
        opened = self.installation
        verdicts = decide_all(tenant_id, opened.registry, opened.store, opened.settings)
        return {verdict.product_id: verdict for verdict in verdicts}
