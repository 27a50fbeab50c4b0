"""How cost and memory grow with the number of products: full trainings of the sample generator's tenants."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fresh import Fresh, in_fresh_process
from benchmarks.page import Choice, Page, Steps, figure, steps, table, verdict
from pipeline.sample import write_scale_sample

PRODUCTS = (100, 300, 1000)
MODES = ("whole", "local", "pooled")
MOST_GROWTH = 0.15
MOST_WORKER = 300.0
"""MB of a worker that fits products; one that fits the trees may hold twice their feature matrix beside."""


@dataclass(frozen=True)
class Size:
    """What a tenant of so many products cost: the whole training, and a fresh worker for products or trees alone."""

    products: int
    whole: Fresh
    local: Fresh
    pooled: Fresh

    @property
    def a_product(self) -> float:
        """CPU seconds a product."""
        return float(self.whole.found["cpu"]) / self.products

    @property
    def limit(self) -> float:
        """MB that a worker may hold which fits the trees, and so the largest of a training: it does both."""
        return MOST_WORKER + 2 * float(self.pooled.found["matrix"])


def measure(_choice: Choice) -> Iterator[Page]:
    """Yield the table of sizes, and whether the budgets hold."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, steps(len(PRODUCTS) * len(MODES)) as progress:
        found = [_size(products, Path(folder) / str(products), progress) for products in PRODUCTS]
    yield page(found)


def _size(products: int, folder: Path, progress: Steps) -> Size:
    tenant = write_scale_sample(folder / "sample", products)
    described = folder / "tenant.json"
    described.write_text(tenant.model_dump_json(), encoding="utf-8")
    runs = {}
    for mode in MODES:
        with progress.doing(f"{products} products: {mode}"):
            runs[mode] = in_fresh_process("benchmarks.training", mode, str(described), home=folder / mode)
    size = Size(products, **runs)
    progress.say(f"{products} products: {size.a_product:.2f} CPU s a product")
    return size


def page(found: Sequence[Size]) -> Page:
    """Return the page of two sizes or more, the smallest first."""
    budgets = [_growth(found), *(row for size in found for row in _workers(size))]
    second, last = found[-2], found[-1]
    marginal = (last.whole.found["cpu"] - second.whole.found["cpu"]) / (last.products - second.products)
    headings = (
        "products",
        "trained",
        "CPU s",
        "a product",
        "wall s",
        "parent MB",
        "largest worker MB",
        "its budget MB",
    )
    lines = [
        "# How cost and memory grow",
        "",
        "Full trainings of tenants of the sample generator, three years of daily sales each, never trained before, "
        f"worker processes: {found[0].whole.found['workers']}. *Largest worker* is that of the whole training, whose "
        "workers do everything; *local* and *pooled* are fresh ones that only fit products, or only the trees.",
        "",
        *table((*headings, "local MB", "pooled MB"), [_cells(size) for size in found]),
        *table(("budget", "measured", "at most", ""), budgets),
        f"Marginal cost, from {second.products:,} to {last.products:,}: {marginal:.2f} CPU s a product. "
        f"The budget of the largest worker is {MOST_WORKER:.0f} MB and twice the feature matrix of the trees.",
        "",
    ]
    return Page("\n".join(lines))


def _cells(size: Size) -> list[str]:
    whole = size.whole
    return [
        f"{size.products:,}",
        f"{whole.found['products']:,}",
        figure(whole.found["cpu"], 0),
        figure(size.a_product, 2),
        figure(whole.found["wall"], 0),
        *(figure(peak, 0) for peak in (whole.peak, whole.child_peak, size.limit)),
        *(figure(fresh.child_peak, 0) for fresh in (size.local, size.pooled)),
    ]


def _growth(found: Sequence[Size]) -> Sequence[str]:
    risen = found[-1].a_product / found[0].a_product - 1
    what = f"cost a product from {found[0].products:,} to {found[-1].products:,}"
    return what, f"{risen:+.0%}", f"{MOST_GROWTH:+.0%}", verdict(risen <= MOST_GROWTH)


def _workers(size: Size) -> Iterator[Sequence[str]]:
    for what, peak, limit in (
        ("fits products", size.local.child_peak, MOST_WORKER),
        ("fits the trees", size.pooled.child_peak, size.limit),
        ("does everything", size.whole.child_peak, size.limit),
    ):
        held = verdict(peak <= limit)
        yield f"{size.products:,} products, a worker that {what}, MB", figure(peak, 0), figure(limit, 0), held
