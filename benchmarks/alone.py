"""`python -m benchmarks.alone TASK FOLDER SYSTEM`: one system forecasts one prepared task; prints what it cost.

The clock starts when the sales are read and the libraries imported: a peer's import is no part of its cost. What this
project spends on starting its workers, and on cleaning the sales, is.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path

import pandas as pd

from benchmarks.fresh import cpu_seconds
from benchmarks.peers import PEERS, SAMPLED, Peer, Problem
from benchmarks.scoring import HORIZON, Daily
from benchmarks.tasks import TASKS, Material, Task, prepared

OURS = "pipeline"
"""The system that this project is."""
COLUMNS = ["product", "origin", "date", "y_hat", "lower", "upper"]


def main() -> None:
    """Forecast, write `SYSTEM.parquet` into the folder, and print the figures as JSON."""
    name, folder, system = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    warnings.simplefilter("ignore")  # what the libraries say of each other's ways
    logging.disable(logging.WARNING)
    task, material = TASKS[name], prepared(folder)
    for module in PEERS[system].needs if system in PEERS else ():
        importlib.import_module(module)
    begun, cpu = time.perf_counter(), cpu_seconds()
    made = ours(task, material) if system == OURS else theirs(PEERS[system], task, material)
    figures = {"cpu": cpu_seconds() - cpu, "wall": time.perf_counter() - begun, "forecasts": len(made) // HORIZON}
    made.to_parquet(folder / f"{system}.parquet")
    print(json.dumps(figures))


def ours(task: Task, material: Material) -> pd.DataFrame:
    """Return what `pipeline backtest` forecasts, with its ranges."""
    from pipeline.engine.evaluate import table
    from pipeline.settings import get_settings
    from pipeline.training.backtest import Span, backtest

    workers = get_settings().workers or len(os.sched_getaffinity(0))
    span = Span(HORIZON, task.origins)
    scored = backtest(material.tenant, get_settings(), span, workers, lambda _done, _total: None)
    return table(scored, material.tenant.id).rename(columns={"product_id": "product"})[COLUMNS]


def theirs(peer: Peer, task: Task, material: Material) -> pd.DataFrame:
    """Return what a peer forecasts at every origin; one that is sampled, at the last origin for a few products."""
    made = []
    for origin in material.sales.origins(task.origins)[-1 if peer.sampled else 0 :]:
        problem = at(origin, material.sales, material)
        forecast = peer.forecast(problem.few(SAMPLED) if peer.sampled else problem)
        made.append(forecast[["unique_id", "ds", "y_hat"]].assign(origin=origin))
    return pd.concat(made, ignore_index=True).rename(columns={"unique_id": "product", "ds": "date"})


def at(origin: pd.Timestamp, sales: Daily, material: Material) -> Problem:
    """Return what a peer is given at an origin."""
    return Problem(material.tenant.country, sales.long(origin), origin, sales.dates, material.covariates)


if __name__ == "__main__":
    main()
