"""The same training twice: from a provider that is well, and from one that fails now and then and is away for a minute.

`python -m benchmarks.outage TENANT_FILE` is one of them: a run as `pipeline run` makes it, in a process of its own.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.fresh import in_fresh_process
from benchmarks.page import Choice, Page, figure, steps, table, verdict
from benchmarks.provider import Provider, Trouble
from contracts import Outcome, Tenant
from contracts.tenants import HttpSource, SignalKind, SignalSource
from pipeline.home import Home
from pipeline.sample import write_scale_sample
from pipeline.settings import Settings

PRODUCTS, DAYS, PAGE_ROWS = 100, 730, 600
WELL = Trouble()
ILL = Trouble(share=0.1, seed=5, dark_after=40, dark_seconds=60)
NOISE_SECONDS = 5
"""Two readings differ by so much on a machine that is not quite quiet; requests that fail take their time, too."""
COMPARED = ("sales", "forecasts")
ASKING = ("sales", "calendar")


@dataclass(frozen=True)
class Trained:
    """What became of one training: its figures, the provider's, and the tables that it left."""

    found: dict[str, Any]
    requests: int
    met: dict[str, int]
    tables: dict[str, pd.DataFrame]

    def asked(self, name: str) -> float:
        """A figure of the calls that the run made, over all assets that make any."""
        return float(sum(self.found["asked"][asset].get(name, 0) for asset in ASKING))

    @property
    def asking(self) -> float:
        """Seconds of the steps that ask the provider."""
        return float(sum(self.found["seconds"][asset] for asset in ASKING))

    @property
    def backoff(self) -> float:
        """Seconds waited before repetitions."""
        return self.asked("seconds_waited") - self.asked("seconds_left_alone")


def measure(_choice: Choice) -> Iterator[Page]:
    """Yield the page of both trainings."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, steps(2) as progress:
        sales = products_sold(Path(folder), PRODUCTS, DAYS)
        with progress.doing("a provider that is well"):
            well = trained(Path(folder) / "well", sales, WELL)
        with progress.doing("one that fails, and is away for a minute"):
            ill = trained(Path(folder) / "ill", sales, ILL)
    yield page(well, ill, ILL)


def products_sold(folder: Path, products: int, days: int) -> tuple[Tenant, pd.DataFrame]:
    """Return a tenant of the sample generator, and its sales as a provider gives them."""
    made = write_scale_sample(folder / "sample", products, days)
    mapping = made.source.mapping
    sales = pd.read_parquet(str(made.source.path))  # type: ignore[union-attr]  # its source is a file
    sales[mapping.date] = pd.to_datetime(sales[mapping.date]).dt.strftime("%Y-%m-%d")
    return made, sales


def trained(
    home: Path, sold: tuple[Tenant, pd.DataFrame], trouble: Trouble, page_rows: int = PAGE_ROWS, **environment: str
) -> Trained:
    """Train a tenant whose sales and weather a provider gives, in a new home.

    Args:
        home: folder of the installation; not there yet.
        sold: the tenant and its sales.
        trouble: what is wrong with the provider.
        page_rows: rows of a page.
        environment: settings of the run beside the defaults.
    """
    tenant, sales = sold
    provider = Provider(sales.rename(columns={tenant.source.mapping.date: "date"}), page_rows, trouble)
    with provider.serving() as address:
        mapping = tenant.source.mapping.model_copy(update={"date": "date"})
        source = HttpSource(kind="http", url=f"{address}/sales", mapping=mapping)
        weather = SignalSource(kind=SignalKind.WEATHER, url=f"{address}/weather", columns={"warmth": "warmth"})
        described = tenant.model_copy(update={"source": source, "signals": (weather,)})
        home.mkdir(parents=True)
        file = home / "tenant.json"
        file.write_text(described.model_dump_json(), encoding="utf-8")
        found = in_fresh_process("benchmarks.outage", str(file), json.dumps(environment), home=home).found
    tables = {name: pd.read_parquet(Home(home).table(tenant.id, name)) for name in COMPARED}
    return Trained(found, provider.requests, provider.met, tables)


def same(well: Trained, ill: Trained) -> dict[str, bool]:
    """Return what has to be the same after both trainings, and whether it is."""
    return {
        "all products trained": well.found["trained"] == ill.found["trained"] == well.found["products"],
        "the same sales": _equal(well, ill, "sales"),
        "the same forecasts": _equal(well, ill, "forecasts"),
        "the same events, none waits": (well.found["events"], well.found["told"], 0)
        == (ill.found["events"], ill.found["told"], ill.found["waiting"]),
        "no signal degraded": not ill.found["degraded"],
    }


def page(well: Trained, ill: Trained, trouble: Trouble) -> Page:
    """Return the page of what was measured."""
    both = (well, ill)
    waited, allowed = ill.asked("seconds_waited"), trouble.dark_seconds + ill.backoff
    added = ill.asking - well.asking
    met = ", ".join(f"{number} x {name}" for name, number in sorted(ill.met.items()))
    rows = [
        ["the run, s", *(figure(one.found["wall"], 1) for one in both)],
        ["of these `sales` and `calendar`, which ask, s", *(figure(one.asking, 1) for one in both)],
        ["products trained", *(str(one.found["trained"]) for one in both)],
        ["rows of sales", *(f"{len(one.tables['sales']):,}" for one in both)],
        ["requests that reached the provider", *(str(one.requests) for one in both)],
        ["calls", *(figure(one.asked("calls"), 0) for one in both)],
        ["attempts", *(figure(one.asked("attempts"), 0) for one in both)],
        ["waited before repetitions, s", *(figure(one.backoff, 1) for one in both)],
        ["waited while the breaker was open, s", *(figure(one.asked("seconds_left_alone"), 1) for one in both)],
        ["events sent", *(str(sum(one.found["events"].values())) for one in both)],
        ["products that they tell of as trained", *(str(one.found["told"]) for one in both)],
    ]
    judged = [[name, verdict(held)] for name, held in same(well, ill).items()]
    judged += [
        [
            f"waited {waited:.1f} s in all: at most the outage and the backoff's waits, {allowed:.1f} s (and 1 s)",
            verdict(waited <= allowed + 1),
        ],
        [
            f"asking took {added:.1f} s longer: at most these {allowed:.1f} s (and {NOISE_SECONDS} s of noise)",
            verdict(added <= allowed + NOISE_SECONDS),
        ],
    ]
    lines = [
        "# What an outage costs",
        "",
        f"One training of {well.found['products']} products, sales in pages of {PAGE_ROWS} rows and weather over HTTP, "
        "a run as `pipeline run` makes it, twice: from a provider that is well, and from one that fails "
        f"{100 * trouble.share:g} % of its requests (here {met}) and refuses all connections for "
        f"{trouble.dark_seconds:g} s from its request {trouble.dark_after} on, in the midst of the extraction. "
        f"All settings are the defaults: {_defaults()}.",
        "",
        *table(("", "well", "failing"), rows),
        *table(("", ""), judged),
    ]
    return Page("\n".join(lines))


def _defaults() -> str:
    names = ("retry_http_attempts", "breaker_sales_failures", "breaker_sales_seconds", "outage_wait_seconds")
    return ", ".join(f"{name.upper()} = {getattr(Settings(), name):g}" for name in names)


def _equal(well: Trained, ill: Trained, name: str) -> bool:
    """Whether both left the same table, but for what tells of the moment and of the training."""
    one, other = (tables.drop(columns=_OF_THE_RUN, errors="ignore") for tables in (well.tables[name], ill.tables[name]))
    return bool(one.equals(other))


_OF_THE_RUN = ["model_version", "issued_at"]


def _one(tenant: Tenant) -> dict[str, Any]:
    """Run it once, and return its figures."""
    from pipeline.commands.dagster_runs import opened_instance, register_tenants, run_job
    from pipeline.commands.shared import prepared
    from pipeline.tenants import save_tenant

    installation = prepared()
    save_tenant(installation.home, tenant)
    register_tenants(installation)
    begun = time.perf_counter()
    result = run_job(tenant.id)
    wall = time.perf_counter() - begun
    if not result.success:
        sys.exit(f"the run failed: {result.errors} {result.failed_checks}")
    registry = installation.registry
    with opened_instance() as instance:
        told, seconds = _told(instance, result.run_id)
    ledger = registry.ledger(tenant.id)
    lines = [line for path in sorted(installation.home.events.glob("*.ndjson")) for line in path.open(encoding="utf-8")]
    events = [json.loads(line) for line in lines]
    kinds = [event["event_type"] for event in events]
    made = [one["product_id"] for event in events for one in event.get("results", {}).get("models_created", ())]
    return {
        "wall": wall,
        "seconds": seconds,
        "asked": told,
        "degraded": told["calendar"]["degraded_signals"],
        "products": told["sales"]["products"],
        "trained": sum(row.outcome is Outcome.TRAINED for row in ledger),
        "events": {kind: kinds.count(kind) for kind in kinds},
        "told": len(set(made)),
        "waiting": registry.waiting_events(),
    }


def _told(instance: Any, run_id: str) -> tuple[dict[str, dict[str, Any]], dict[str, float]]:
    """The metadata of the assets that ask, and how long each step took."""
    import dagster as dg

    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    made = [entry.asset_materialization for entry in entries]
    told = {
        one.asset_key.to_user_string(): {name: value.value for name, value in one.metadata.items()}
        for one in made
        if one and one.asset_key.to_user_string() in ASKING
    }
    ended = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_SUCCESS)
    seconds = {
        str(entry.step_key): entry.dagster_event.step_success_data.duration_ms / 1000
        for entry in ended
        if entry.dagster_event
    }
    kept = ("calls", "attempts", "seconds_waited", "seconds_left_alone", "last_fault", "products", "degraded_signals")
    return {asset: {name: one[name] for name in kept if name in one} for asset, one in told.items()}, seconds


if __name__ == "__main__":
    os.environ |= json.loads(sys.argv[2])
    print(json.dumps(_one(Tenant.model_validate_json(Path(sys.argv[1]).read_bytes()))))
