"""The nested evaluation of a tenant: its past origins, in parallel, kept by content.

An origin that was evaluated on the same sales, calendar and recipes is not evaluated again: a run that
takes up another's rest, or trains one product by hand, finds it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts import DemandClass, Metrics
from pipeline.engine.demand import sells
from pipeline.engine.evaluate import OriginForecasts, Task, nested
from pipeline.engine.metrics import measure
from pipeline.engine.observe import observe
from pipeline.engine.panel import Outlook
from pipeline.home import write_atomically
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData
from pipeline.training.fingerprint import fingerprints, of_tenant
from pipeline.training.recipes import CODE_VERSION, config_fingerprint, evaluated_families, recipes, search_of

ARRAYS = ("actual", "combined", "scale", "difference", "squared", "closed")


@dataclass(frozen=True)
class Evaluation:
    """Past origins with calibrated intervals, and how nested their figures are."""

    scored: tuple[OriginForecasts, ...]

    @property
    def origins(self) -> tuple[pd.Timestamp, ...]:
        """The origins, in order."""
        return tuple(one.origin for one in self.scored)

    @property
    def nesting(self) -> str:
        """In words, for manifests."""
        return nesting_of(len(self.scored))


def nesting_of(origins: int) -> str:
    """Return how nested the figures over so many past origins are, in words."""
    if not origins:
        return "not evaluated: too little history for a past origin"
    how = "forecasts nested; weights and intervals from earlier origins, leaving one out for the first two"
    return f"{origins} rolling origins; {how}"


def measured(table: pd.DataFrame) -> tuple[Metrics, Metrics]:
    """Return the metrics over all days of a stored evaluation, and the seasonal naive's on the same days.

    MASE is the mean over products and origins; RMSSE is None: its divisor is not stored.
    """
    if table.empty:
        return Metrics(n=0), Metrics(n=0)
    names = ("actual", "y_hat", "seasonal_naive", "lower", "upper")
    actual, y_hat, naive, lower, upper = (table[name].to_numpy(float) for name in names)
    scaled = ((table["actual"] - table["y_hat"]).abs() / table["scale"]).groupby([table["product_id"], table["origin"]])
    mase = float(scaled.mean().mean())
    # Evaluations that were stored without the quantiles' losses have none to tell.
    losses = table["pinball"].to_numpy(float) if "pinball" in table else None
    total = measure(actual, y_hat, lower=lower, upper=upper, losses=losses)
    return total.model_copy(update={"mase": mase if np.isfinite(mase) else None}), measure(actual, naive)


def honesty(table: pd.DataFrame) -> dict[str, float]:
    """Return how well the ranges of a stored evaluation hold what came true.

    `coverage` of the range over the `days` of products that are not expected to sell few units a day, and
    `below_upper`, the share of the `days_of_few` of the other products that its upper end holds: a range on whole units
    at small rates holds too much by necessity. What has no day is left out.
    """
    if table.empty:
        return {}
    expected = table.groupby(["product_id", "origin"])["y_hat"].transform("mean").to_numpy(float)
    known = table[["actual", "lower", "upper"]].notna().all(axis=1)
    more, few = table[known & sells(expected, few=False)], table[known & sells(expected, few=True)]
    found: dict[str, float] = {}
    if len(more):
        found |= {"coverage": float(more["actual"].between(more["lower"], more["upper"]).mean()), "days": len(more)}
    if len(few):
        found |= {"below_upper": float((few["actual"] <= few["upper"]).mean()), "days_of_few": len(few)}
    return found


def past_origins(data: TenantData, settings: Settings) -> list[pd.Timestamp]:
    """Return the origins to evaluate, one horizon apart, as far as history carries them."""
    step = pd.Timedelta(days=settings.horizon_days)
    wanted = [data.origin - step * k for k in range(settings.evaluation_origins, 0, -1)]
    earliest = data.sales.dates[0] + pd.Timedelta(days=settings.min_training_data_days - 1)
    return [origin for origin in wanted if origin >= earliest]


class Origins:
    """A tenant's past origins: which are known already, which are to be evaluated, and where they are kept.

    Args:
        data: the tenant.
        folder: where results are kept by content; what is there for other sales or settings is removed.
        settings: horizon, number of origins, minimum days.
    """

    def __init__(self, data: TenantData, folder: Path, settings: Settings) -> None:
        self._tasks = {origin: origin_task(data, origin, settings) for origin in past_origins(data, settings)}
        self._kept = {origin: folder / f"{_key(data, task, settings)}.npz" for origin, task in self._tasks.items()}
        read = {origin: _read(path, origin) for origin, path in self._kept.items() if path.exists()}
        self._done = {origin: one for origin, one in read.items() if one is not None}
        for stale in set(folder.glob("*.npz")) - set(self._kept.values()):
            stale.unlink()

    @property
    def missing(self) -> list[Task]:
        """The origins that are still to be evaluated, with `at_origin`."""
        return [task for origin, task in self._tasks.items() if origin not in self._done]

    @property
    def progress(self) -> tuple[int, int]:
        """How many origins are done, and of how many."""
        return len(self._done), len(self._tasks)

    def add(self, one: OriginForecasts) -> None:
        """Take and keep the result of an origin."""
        write_atomically(self._kept[one.origin], _written(one))
        self._done[one.origin] = one

    def give_up(self, origin: pd.Timestamp) -> None:
        """Do without an origin that could not be evaluated."""
        del self._tasks[origin]

    def evaluation(self) -> Evaluation:
        """Return all origins with calibrated intervals; none may be missing."""
        return Evaluation(tuple(nested([self._done[origin] for origin in self._tasks])))


def origin_task(data: TenantData, origin: pd.Timestamp, settings: Settings) -> Task:
    """Return one past origin to evaluate, with the recipe of today."""
    return Task(
        data.sales,
        data.outlook,
        origin,
        settings.horizon_days,
        evaluated_families(settings),
        recipes(settings),
        settings.min_training_data_days,
        settings.zero_share_error,
        search=search_of(settings),
    )


def outlook_digest(outlook: Outlook, until: pd.Timestamp | None = None) -> str:
    """Return the SHA-256 of all that is known by date, up to a day if one is given."""
    days = None if until is None else int(outlook.dates.searchsorted(until, side="right"))
    digest = hashlib.sha256(str(outlook.dates[0]).encode())
    closed = {} if outlook.closed is None else {"": outlook.closed}
    for group in (outlook.holidays, outlook.covariates, outlook.by_product, closed):
        for name, values in group.items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(values[..., :days]).tobytes())
    return digest.hexdigest()


def _key(data: TenantData, task: Task, settings: Settings) -> str:
    end = min(task.origin + pd.Timedelta(days=task.horizon), data.origin)
    seen = fingerprints(observe(data.sales, data.outlook, end))
    stamp = of_tenant(sorted(seen.values()), config_fingerprint(settings, data.outlook))
    return hashlib.sha256(f"{stamp} {outlook_digest(task.outlook)} {task.origin} {CODE_VERSION}".encode()).hexdigest()


def _written(one: OriginForecasts) -> bytes:
    buffer = io.BytesIO()
    faults = [[*where, text] for where, text in one.faults.items()]
    words = json.dumps({"products": one.products, "classes": one.classes, "faults": faults, "held": one.held})
    arrays = {name: getattr(one, name) for name in ARRAYS}
    arrays |= {f"family_{name}": made for name, made in one.families.items()}
    np.savez(buffer, words=np.frombuffer(words.encode(), np.uint8), **arrays)
    return buffer.getvalue()


def _read(path: Path, origin: pd.Timestamp) -> OriginForecasts | None:
    """Return a kept origin; None where its file is damaged: it is evaluated again then."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return _unpacked(stored, origin)
    except (zipfile.BadZipFile, EOFError, ValueError, KeyError):
        return None


def _unpacked(stored: Mapping[str, np.ndarray], origin: pd.Timestamp) -> OriginForecasts:
    words = json.loads(stored["words"].tobytes())
    families = {name.removeprefix("family_"): made for name, made in stored.items() if name.startswith("family_")}
    arrays: dict[str, Any] = {name: stored[name] for name in ARRAYS}
    return OriginForecasts(
        origin,
        tuple(words["products"]),
        families=families,
        classes=tuple(DemandClass(label) for label in words["classes"]),
        faults={(product, family): text for product, family, text in words["faults"]},
        held=words["held"],
        **arrays,
    )


def faults_of(scored: Sequence[OriginForecasts], product: str) -> tuple[str, ...]:
    """Return what went wrong with a product at the past origins, each thing once."""
    found = {
        f"{family} at {one.origin.date()}: {text}"
        for one in scored
        for (where, family), text in one.faults.items()
        if where == product
    }
    return tuple(sorted(found))
