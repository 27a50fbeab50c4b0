"""`python -m benchmarks.training MODE TENANT_FILE`: train a tenant, or parts of it, and print what it cost as JSON.

`whole` does a full training as a run does it, `steps` its steps one by one in this process, `start` starts workers that
do nothing, `local` and `pooled` do final fits in a single worker, whose memory is looked at from outside.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import anatomy, plain
from benchmarks.fresh import cpu_seconds
from contracts import Tenant
from pipeline.commands.shared import prepared
from pipeline.compute import map_unordered
from pipeline.engine.families import FAMILIES, Scope
from pipeline.engine.features import names
from pipeline.installation import Installation
from pipeline.tenants import save_tenant
from pipeline.training.fitting import PooledTask, ProductTask, fit_pooled, fit_product
from pipeline.training.recipes import recipes

LOCAL_PRODUCTS = 40
"""Products that are fitted one after the other to see how large a worker grows."""
FLOAT32 = 4


def main() -> None:
    """Do what the mode asks for, and print the figures."""
    mode, tenant = sys.argv[1], Tenant.model_validate_json(Path(sys.argv[2]).read_bytes())
    warnings.simplefilter("ignore")
    installation = prepared()
    logging.disable(logging.WARNING)
    save_tenant(installation.home, tenant, replace=True)
    if mode != "start":
        plain.take_in(installation, tenant.id)
    print(json.dumps(MODES[mode](installation, tenant.id)))


def _whole(installation: Installation, tenant_id: str) -> dict[str, Any]:
    wall, cpu = time.perf_counter(), cpu_seconds()
    trained = plain.train(installation, tenant_id)
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    return {"cpu": cpu, "wall": wall, "products": trained, "workers": installation.workers}


def _steps(installation: Installation, tenant_id: str) -> dict[str, Any]:
    return {"steps": anatomy.spent(installation, tenant_id)}


def _start(installation: Installation, _tenant_id: str) -> dict[str, Any]:
    cpu = cpu_seconds()
    _drained(map_unordered(anatomy.ready, [0], workers=1, timeout=600))
    return {"cpu": cpu_seconds() - cpu}


def _local(installation: Installation, tenant_id: str) -> dict[str, Any]:
    data, settings = installation.data(tenant_id), installation.settings
    own = {
        name: recipe
        for name, recipe in recipes(settings).items()
        if FAMILIES[name].scope is Scope.PRODUCT and not FAMILIES[name].gatekeeper
    }
    panel, horizon = data.held.panel, settings.horizon_days
    step = max(1, len(panel.products) // LOCAL_PRODUCTS)
    tasks = (
        ProductTask(panel.take([panel.row[product]]), data.outlook.take([product]), own, horizon)
        for product in panel.products[::step]
    )
    _drained(map_unordered(fit_product, islice(tasks, LOCAL_PRODUCTS), workers=1, timeout=600))
    return {}


def _pooled(installation: Installation, tenant_id: str) -> dict[str, Any]:
    data, settings = installation.data(tenant_id), installation.settings
    panel = data.held.panel.take(data.demand.trainable(settings.min_training_data_days))
    outlook = data.outlook.take(panel.products)
    most = int(recipes(settings)["lightgbm"].parameters.get("max_rows", _most_rows()))
    task = PooledTask("lightgbm", panel, outlook, recipes(settings)["lightgbm"], settings.horizon_days)
    _drained(map_unordered(fit_pooled, [task], workers=1, timeout=float("inf")))
    rows = min(int(panel.observed.sum()), most)
    return {"matrix": rows * len(names(outlook)) * FLOAT32 / 2**20}


def _most_rows() -> int:
    from pipeline.engine.families.lightgbm import DEFAULTS

    return int(DEFAULTS["max_rows"])


def _drained(outcomes: Iterable[Any]) -> None:
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error


MODES = {"whole": _whole, "steps": _steps, "start": _start, "local": _local, "pooled": _pooled}
__all__: Sequence[str] = ("MODES", "main")

if __name__ == "__main__":
    main()
