"""What Dagster costs: the same training with it and without it, in turn, each in a fresh process and folder.

With `PIPELINE_REAL_DATA` set the tenant is the German bakery chain found there (105 products, covariates);
else a tenant of the sample generator with 100 products.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.fresh import cpu_seconds, in_fresh_process
from benchmarks.page import Choice, Page, steps
from contracts import Tenant
from pipeline.commands.describing import Described, given_source, make_tenant
from pipeline.installation import open_installation
from pipeline.progress import listening
from pipeline.sample import write_scale_sample
from pipeline.tenants import save_tenant

ROUNDS = 3
WAYS = ("with dagster", "engine alone")


def measure(_choice: Choice) -> Iterator[Page]:
    """Yield a page with both ways' seconds and their ratio, round by round."""
    rounds: list[dict[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, steps(ROUNDS * len(WAYS)) as progress:
        for number in range(ROUNDS):
            rounds.append({})
            for way in WAYS:
                home = Path(folder) / f"{number}-{way.split()[0]}"
                with progress.doing(f"{way}, round {number + 1}"):
                    run = in_fresh_process("benchmarks.orchestration", way, home=home)
                rounds[-1][way] = {**run.found, "peak": run.peak}
    lines = [
        "# What orchestration costs",
        "",
        f"One training run of {rounds[0][WAYS[0]]['products']} products on {len(os.sched_getaffinity(0))} cores, "
        f"{ROUNDS} rounds, the two ways in turn. `engine alone` calls the same functions without Dagster; "
        "the modules are imported before the clock starts.",
        "",
        "| | wall s (median) | CPU s (median) | peak MB |",
        "|---|---|---|---|",
    ]
    for way in WAYS:
        wall, cpu, peak = (statistics.median(r[way][k] for r in rounds) for k in ("wall", "cpu", "peak"))
        lines.append(f"| {way} | {wall:.1f} | {cpu:.1f} | {peak:.0f} |")
    for name in ("wall", "cpu"):
        ratios = sorted(r[WAYS[0]][name] / r[WAYS[1]][name] for r in rounds)
        text = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        lines += ["", f"{name}: with / alone in each round {text}; median {statistics.median(ratios):.3f}."]
    per_event = statistics.median(r[WAYS[0]]["event"] for r in rounds)
    lines += ["", f"Logging a product's materialization, its plot included, took {1000 * per_event:.1f} ms (median)."]
    yield Page("\n".join([*lines, ""]))


def _tenant(folder: Path) -> Tenant:
    real = os.environ.get("PIPELINE_REAL_DATA")
    if real:
        chain = Path(real) / "ddop_bakery"
        sales = given_source(str(chain / "sales.parquet"))
        return make_tenant(Described(sales, "DE", str(chain / "covariates.parquet")))
    return write_scale_sample(folder / "sample", 100)


def _one_way(way: str) -> None:
    """Do it once, and print the figures as JSON."""
    from pipeline.commands.shared import prepared

    prepared()
    installation = open_installation()
    tenant = _tenant(installation.home.root)
    save_tenant(installation.home, tenant)
    events: list[float] = []
    if way == WAYS[0]:
        go = _prepare_dagster(tenant.id, events)
    else:
        from benchmarks.plain import walk

        def go() -> None:
            walk(installation, tenant.id)

    counted: list[int] = [0]
    begun, cpu = time.perf_counter(), cpu_seconds()
    with listening(lambda _step, _done, total: counted.append(total)):
        go()
    figures = {
        "wall": time.perf_counter() - begun,
        "cpu": cpu_seconds() - cpu,
        "products": counted[-1],
        "event": statistics.median(events) if events else 0.0,
    }
    print(json.dumps(figures))


def _prepare_dagster(tenant_id: str, events: list[float]) -> Callable[[], None]:
    import dagster as dg

    from pipeline.commands.dagster_runs import register_tenants, run_job
    from pipeline.definitions import defs

    defs()
    register_tenants(open_installation())
    log_event = dg.AssetExecutionContext.log_event

    def timed(self: dg.AssetExecutionContext, event: dg.AssetMaterialization) -> None:
        begun = time.perf_counter()
        log_event(self, event)
        events.append(time.perf_counter() - begun)

    dg.AssetExecutionContext.log_event = timed  # type: ignore[method-assign]

    def go() -> None:
        result = run_job(tenant_id)
        if not result.success:
            sys.exit(f"the run failed: {result.errors}")

    return go


if __name__ == "__main__":
    _one_way(sys.argv[1])
