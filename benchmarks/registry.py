"""How fast the registry is: registering, paging, and finding, verifying and loading a champion."""

from __future__ import annotations

import datetime as dt
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
from sqlalchemy import NullPool, create_engine, insert, make_url, text

from benchmarks.page import Choice, Page, figure, steps, table, verdict
from contracts import ArtefactRef, DemandClass, Member, Metrics, ModelManifest
from pipeline.engine.families import FAMILIES, Recipe
from pipeline.engine.panel import Outlook, Panel, Status
from pipeline.registry import ArtefactStore, Registry, Wanted, open_engine, open_registry
from pipeline.registry.database import writer
from pipeline.registry.manifests import model_row
from pipeline.registry.tables import PerformanceMetric, TrainedModel
from pipeline.settings import Settings

DATABASE = "PIPELINE_TEST_DATABASE_URL"
REGISTERED, VERSIONS, PAGE = 1_000, 100_000, 50
MOST_REGISTERING, MOST_PAGE, MOST_CHAMPION = 5.0, 0.050, 0.010
"""Seconds: to register the models, to read a page, to find, verify and load a champion that was read before."""
TIMES = 20
TENANT = "bakery"
BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
AT_ONCE = 5_000


@dataclass(frozen=True)
class Timed:
    """What one database took, seconds: registering, the first and the deepest page, a champion of each family."""

    database: str
    registering: float
    first_page: float
    last_page: float
    filtered: float
    champions: dict[str, float]


def measure(_choice: Choice) -> Iterator[Page]:
    """Yield the table of databases, and whether the bars hold."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        places = {"SQLite": None} | ({"PostgreSQL": os.environ[DATABASE]} if DATABASE in os.environ else {})
        with steps(len(places)) as progress:
            found = []
            for name, url in places.items():
                with progress.doing(f"{VERSIONS:,} versions on {name}"), _database(url) as own:
                    found.append(_timed(name, Settings(pipeline_home=Path(folder) / name, database_url=own)))
    yield page(found)


def page(found: list[Timed]) -> Page:
    """Return the page of what was measured."""
    rows, bars = [], []
    for one in found:
        slowest = max(one.champions.values())
        pages = max(one.first_page, one.last_page, one.filtered)
        rows.append(
            [
                one.database,
                figure(one.registering, 2),
                *(figure(1000 * seconds, 1) for seconds in (one.first_page, one.last_page, one.filtered)),
                *(figure(1000 * seconds, 1) for seconds in one.champions.values()),
            ]
        )
        for what, seconds, most in (
            (f"{REGISTERED:,} models registered", one.registering, MOST_REGISTERING),
            (f"a page of {VERSIONS:,} versions", pages, MOST_PAGE),
            ("a champion found, verified, loaded", slowest, MOST_CHAMPION),
        ):
            bars.append([f"{one.database}: {what}", f"{seconds:.3f} s", f"{most:g} s", verdict(seconds <= most)])
    families = list(found[0].champions)
    lines = [
        "# How fast the registry is",
        "",
        f"One tenant. Medians of {TIMES}, but for registering: {REGISTERED:,} models one after the other, each in a "
        f"transaction of its own. Pages of {PAGE} among {VERSIONS:,} versions of 1,000 products.",
        "",
        *table(
            (
                "",
                "registering, s",
                *(f"{what}, ms" for what in ("first page", "last page", "one family, in use", *families)),
            ),
            rows,
        ),
        *table(("bar", "measured", "at most", ""), bars),
    ]
    return Page("\n".join(lines))


@contextmanager
def _database(url: str | None) -> Iterator[str | None]:
    """A database of its own on the server, dropped afterwards."""
    if url is None:
        yield None
        return
    name = f"pipeline_bench_{uuid4().hex}"
    own = make_url(url).set(database=name)
    server = create_engine(
        make_url(url).set(drivername="postgresql+psycopg2"), isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield own.render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def _timed(name: str, settings: Settings) -> Timed:
    store = ArtefactStore(settings.home / "models")
    with open_registry(settings) as registry:
        job = registry.start_job(TENANT, name="bench", cause="bench", requested_by="bench")
        begun = time.perf_counter()
        for number in range(REGISTERED):
            registry.register(small_manifest(job, f"product {number}", BEGIN))
        registering = time.perf_counter() - begun
        champions = {family: _champion(family, job, registry, store) for family in ("linear", "lightgbm")}
        _fill(settings, job)
        return Timed(
            name,
            registering,
            _median(lambda: registry.listing(TENANT, limit=PAGE)),
            _median(lambda: registry.listing(TENANT, limit=PAGE, offset=VERSIONS - PAGE)),
            _median(lambda: registry.listing(TENANT, Wanted(family="linear", deployed=True), PAGE)),
            champions,
        )


def _champion(family: str, job: str, registry: Registry, store: ArtefactStore) -> float:
    """Seconds to find, verify and load a champion of one family."""
    panel, outlook = _sales()
    files = FAMILIES[family].fit(panel, outlook, Recipe()).to_files()
    refs = tuple(store.put(name, content) for name, content in files.items())
    made = registry.register(small_manifest(job, family, BEGIN, family, refs))
    registry.promote(TENANT, family, made.version, reason="bench", actor="bench", figures={})

    def load() -> None:
        (record,) = registry.models(TENANT, family, deployed=True, limit=1)
        manifest = registry.manifest(TENANT, family, record.version)
        FAMILIES[family].from_files({ref.name: store.get(ref) for ref in manifest.members[0].files})

    return _median(load)


def _fill(settings: Settings, job: str) -> None:
    """Put in the rest of the versions, as `register` would have, many at once."""
    row = model_row(small_manifest(job, "product 0", BEGIN), None)
    figures = [("combination", "wape", 0.2), ("naive", "wape", 0.3)]
    engine = open_engine(settings)
    with writer(engine).begin() as connection:  # A hundred thousand transactions would take minutes.
        for start in range(0, VERSIONS, AT_ONCE):
            rows = []
            for number in range(start, start + AT_ONCE):
                moment = BEGIN + dt.timedelta(days=1 + number // 1000)
                product = f"product {number % 1000}"
                rows.append(
                    row
                    | {"product_id": product, "product_key": product.replace(" ", "-"), "created_at": moment}
                    | {"version": moment.strftime("%Y%m%d_%H%M%S")}
                )
            ids = connection.scalars(insert(TrainedModel).returning(TrainedModel.id), rows).all()
            connection.execute(
                insert(PerformanceMetric),
                [{"model_id": i, "family": f, "metric": m, "value": v} for i in ids for f, m, v in figures],
            )
    if engine.dialect.name == "postgresql":  # What its own housekeeping does after a while.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()


def small_manifest(
    job: str, product: str, moment: dt.datetime, family: str = "linear", files: tuple[ArtefactRef, ...] = ()
) -> ModelManifest:
    """Return the manifest of a small model."""
    metrics = Metrics(n=56, mae=2.0, rmse=3.0, wape=0.2, mase=0.7, coverage=0.9)
    return ModelManifest(
        tenant_id=TENANT,
        product_id=product,
        version=moment.strftime("%Y%m%d_%H%M%S"),
        created_at=moment,
        job_id=job,
        origin=moment.date(),
        horizon=14,
        demand_class=DemandClass.HIGH,
        data_days=700,
        data_fingerprint="0" * 64,
        config_fingerprint="1" * 64,
        members=(Member(family=family, weight=1.0, scope="product", files=files, metrics=metrics),),
        scale=3.0,
        metrics=metrics,
        naive_metrics=metrics,
        evaluation="none",
        libraries={},
        code_version="0",
        seed=1,
        seconds=0.1,
    )


def _sales() -> tuple[Panel, Outlook]:
    """Three years of three products with a weekly season."""
    days = 1095
    week = 1 + 0.3 * np.sin(2 * np.pi * np.arange(days) / 7)
    units = np.random.default_rng(1).poisson(np.array([[20.0], [50.0], [100.0]]) * week).astype(float)
    dates = pd.date_range("2021-01-01", periods=days + 28)
    status = np.where(units > 0, Status.SOLD, Status.ZERO).astype(np.int8)
    return Panel(("a", "b", "c"), dates[:days], units, status), Outlook(dates)


def _median(work: Callable[[], object]) -> float:
    work()
    taken = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)
