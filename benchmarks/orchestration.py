"""What Dagster costs: the same training with it and without it, in turn, each in a fresh process and folder.

With `PIPELINE_REAL_DATA` set the tenant is the German bakery chain found there (105 products, covariates);
else a tenant of the sample generator with 100 products.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contracts import Tenant
from pipeline.commands.tenants import Described, make_tenant
from pipeline.installation import open_installation
from pipeline.progress import listening
from pipeline.sample import write_scale_sample
from pipeline.tenants import save_tenant

ROUNDS = 3
WAYS = ("with dagster", "engine alone")


def measure() -> str:
    """Return a Markdown page with both ways' seconds and their ratio, round by round."""
    rounds = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for number in range(ROUNDS):
            found = {way: _in_fresh_process(way, Path(folder) / f"{number}-{way.split()[0]}") for way in WAYS}
            rounds.append(found)
            print(f"round {number + 1}: {found}", file=sys.stderr)
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
    return "\n".join([*lines, ""])


def _in_fresh_process(way: str, home: Path) -> dict[str, float]:
    environment = {
        **os.environ,
        "PIPELINE_HOME": str(home),
        "DAGSTER_HOME": "",
        "WORKERS": str(len(os.sched_getaffinity(0))),
    }
    command = [sys.executable, "-m", "benchmarks.orchestration", way]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{way} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _tenant(folder: Path) -> Tenant:
    real = os.environ.get("PIPELINE_REAL_DATA")
    if real:
        chain = Path(real) / "ddop_bakery"
        return make_tenant(Described(str(chain / "sales.parquet"), "DE", str(chain / "covariates.parquet")))
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
    begun, cpu = time.perf_counter(), _cpu()
    with listening(lambda _step, _done, total: counted.append(total)):
        go()
    figures = {
        "wall": time.perf_counter() - begun,
        "cpu": _cpu() - cpu,
        "products": counted[-1],
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "event": statistics.median(events) if events else 0.0,
    }
    print(json.dumps(figures))


def _prepare_dagster(tenant_id: str, events: list[float]):  # noqa: ANN202 - a closure
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

    dg.AssetExecutionContext.log_event = timed

    def go() -> None:
        result = run_job(tenant_id)
        if not result.success:
            sys.exit(f"the run failed: {result.errors}")

    return go


def _cpu() -> float:
    """CPU seconds of this process and of the children that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    _one_way(sys.argv[1])
