"""A year of weekly retraining on stable sales: does the gate hold on to old models, or swing between recipes?"""

from __future__ import annotations

import datetime as dt
import shutil
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.page import Choice, Page, Steps, figure, steps, table
from contracts import FileSource, ModelManifest, Tenant
from pipeline.installation import Installation
from pipeline.settings import Settings
from pipeline.sources.calendar import build_calendar
from pipeline.sources.extract import extract_sales
from pipeline.tables import write_table
from pipeline.tenant_data import DAYS_BEYOND, last_complete_day
from pipeline.tenants import save_tenant
from pipeline.training.job import Order, training_job
from pipeline.training.plan import Occasion, make_plan
from pipeline.training.promotion import decide_all

TENANT = "stable"
WEEKS, CHANGED = 52, 40
"""Weekly trainings, and the one from which the settings are others."""
HISTORY = 400
FIRST = pd.Timestamp("2023-01-02")
LEVELS = (150.0, 60.0, 25.0, 12.0, 6.0, 3.0, 1.5, 0.5)
SCENARIOS: Mapping[str, Mapping[str, object]] = {
    "the same settings": {},
    "another seed": {"seed": 1},
    "no days of the week": {
        "prophet_weekly_seasonality": "false",
        "without_families": "lightgbm,lightgbm_direct,ets,theta,tsb",
    },
}


class _Here(Installation):
    """An installation that starts no processes: a dozen products are fitted before these have imported anything."""

    @property
    def workers(self) -> int:
        """None."""
        return 0


@dataclass
class Year:
    """What happened to the champions, from the week of the change on.

    `ages`: days since each champion's last day, week by week; `recipes`: by product the families and the mode of each
    champion, one after the other; `decided`: how often what was decided; `apart`: differences over standard errors.
    """

    name: str
    ages: list[int] = field(default_factory=list)
    recipes: dict[str, list[str]] = field(default_factory=dict)
    decided: Counter[str] = field(default_factory=Counter)
    apart: list[float] = field(default_factory=list)

    @property
    def changes(self) -> int:
        """How often a champion's families or mode were not those of the one before."""
        return sum(a != b for found in self.recipes.values() for a, b in pairwise(found))

    @property
    def returns(self) -> int:
        """How often a product came back to what it had had two champions before: a swing."""
        return sum(
            a == c != b for found in self.recipes.values() for a, b, c in zip(found, found[1:], found[2:], strict=False)
        )


def measure(_choice: Choice) -> Iterator[Page]:
    """Yield the table of scenarios."""
    total = WEEKS + (WEEKS - CHANGED) * (len(SCENARIOS) - 1)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, steps(total) as progress:
        root = Path(folder)
        before = lived(Year(f"the first {CHANGED} weeks"), root / "first", {}, _shown(range(CHANGED), progress))
        found = []
        for number, (name, changes) in enumerate(SCENARIOS.items()):
            home = root / str(number)
            shutil.copytree(root / "first", home)
            found.append(lived(Year(name), home, changes, _shown(range(CHANGED, WEEKS), progress)))
    yield page(before, found)


def page(before: Year, found: list[Year]) -> Page:
    """Return the page of the half-years."""
    headings = (
        "",
        "oldest champion, days",
        "mean age, days",
        "promoted",
        "refused: recipe",
        "refused: other",
        "changes",
        "swings",
        "in use",
    )
    lines = [
        "# A year of weekly retraining",
        "",
        f"{len(LEVELS)} products with {LEVELS[-1]} to {LEVELS[0]:.0f} units a day and stable sales, {HISTORY} days of "
        f"history and {WEEKS} weekly trainings after it, the first {CHANGED} of them with the default settings, the "
        "others with what the line says. *Refused: recipe*: worse than that of the champion, at the same origins. "
        "*Changes* are champions whose families or mode (additive, multiplicative) are not those of the one before; "
        "*swings* are changes back to earlier ones.",
        "",
        *table(headings, [_cells(one) for one in (before, *found)]),
        *_noise(found),
    ]
    return Page("\n".join(lines))


def _cells(year: Year) -> list[str]:
    decided = year.decided
    return [
        year.name,
        f"{max(year.ages)}",
        figure(statistics.mean(year.ages), 1),
        f"{decided['promoted']}",
        f"{decided['recipe']}",
        f"{decided['other']}",
        f"{year.changes}",
        f"{year.returns}",
        f"{len(year.recipes)}",
    ]


def _noise(found: list[Year]) -> list[str]:
    rows = [
        (
            one.name,
            f"{len(one.apart)}",
            figure(statistics.mean(one.apart), 2),
            f"{np.mean(np.array(one.apart) > 1):.0%}",
        )
        for one in found
        if one.apart
    ]
    if not rows:
        return []
    return [
        "How far the new recipes were apart from the champions', in standard errors (above 0: worse), each time that "
        "they were compared:",
        "",
        *table(("", "compared", "mean", "above 1"), rows),
    ]


def _shown(weeks: range, progress: Steps) -> Iterator[int]:
    for week in weeks:
        with progress.doing(f"week {week + 1} of {WEEKS}"):
            yield week


def lived(year: Year, root: Path, changes: Mapping[str, object], weeks: Iterable[int]) -> Year:
    """Sell, train and decide week by week, and write down what happened.

    Args:
        year: filled and returned.
        root: folder of the installation.
        changes: settings that are not the usual ones.
        weeks: numbers of the weeks, from 0.
    """
    settings = Settings.model_validate({"pipeline_home": root / "home", **changes})
    installation = _Here(settings)
    with installation.registry:
        for week in weeks:
            _week(year, installation, root, week)
    return year


def _week(year: Year, installation: Installation, root: Path, week: int) -> None:
    """Sell until the week's end, train on schedule, decide, and note what is in use."""
    days = HISTORY + 7 * week
    _sell(installation, root, days)
    plan = make_plan(
        installation.data(TENANT), installation.registry.latest(TENANT), installation.settings, Occasion(scheduled=True)
    )
    with training_job(installation, TENANT, lambda _data: plan, Order("weekly", "benchmark")) as job:
        for _ in job.train():
            pass
    for verdict in decide_all(TENANT, installation.registry, installation.store, installation.settings):
        kind = "recipe" if verdict.reason.startswith("worse than the recipe") else "other"
        year.decided["promoted" if verdict.promoted else kind] += 1
        manifest = installation.registry.manifest(TENANT, verdict.product_id, verdict.version)
        year.apart += _apart(manifest)
    origin = installation.data(TENANT).origin.date()
    for product, champion in installation.registry.champions(TENANT).items():
        year.ages.append((origin - champion.origin).days)
        manifest = installation.registry.manifest(TENANT, product, champion.version)
        recipe, known = _recipe(manifest), year.recipes.setdefault(product, [])
        if champion.origin == origin or not known:
            known.append(recipe)


def _apart(manifest: ModelManifest) -> list[float]:
    found = manifest.against
    if found is None or found.loss is None or found.champion_loss is None or not found.standard_error:
        return []
    return [(found.loss - found.champion_loss) / found.standard_error]


def _recipe(manifest: ModelManifest) -> str:
    modes = {str(member.parameters.get("seasonality_mode", "")) for member in manifest.members}
    return f"{'+'.join(member.family for member in manifest.members)} {''.join(sorted(modes))}"


def _sell(installation: Installation, root: Path, days: int) -> None:
    """Write sales of so many days, the same ones each time, and take them in."""
    week = np.array([0.85, 0.8, 0.85, 0.95, 1.15, 1.4, 1.0])
    frames = []
    for number, level in enumerate(LEVELS):
        mean = level * week[np.arange(days) % 7]
        # One generator each, so that more days leave the first ones as they are.
        busy, sold = (np.random.default_rng([3, number, part]) for part in range(2))
        units = sold.poisson(mean * busy.gamma(10, 1 / 10, days))
        dates = FIRST + pd.to_timedelta(np.arange(days), unit="D")
        frames.append(pd.DataFrame({"date": dates, "product_id": f"P{number:02d}", "quantity": units}))
    path = root.parent / f"{root.name}.csv"
    rows = pd.concat(frames)
    rows[rows["quantity"] > 0].sort_values(["date", "product_id"]).to_csv(path, index=False)
    tenant = Tenant(id=TENANT, name="Stable", country="ES", timezone="UTC", source=FileSource(path=str(path)))
    home, settings = installation.home, installation.settings
    save_tenant(home, tenant, replace=True)
    now = (FIRST + pd.Timedelta(days=days + 1)).to_pydatetime().replace(tzinfo=dt.UTC)
    extraction = extract_sales(tenant, home, settings, now)
    origin = last_complete_day(home, tenant, extraction.daily)
    calendar = build_calendar(tenant, extraction.daily, origin, settings.horizon_days + DAYS_BEYOND)
    write_table(home.table(TENANT, "calendar"), calendar)
