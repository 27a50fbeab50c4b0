"""A product's materialization: its version, figures, weights, checksums, and a plot."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import numpy as np
import pandas as pd

from contracts import ModelManifest
from pipeline.defs.shown import numbers
from pipeline.engine.parts import Parts
from pipeline.forecasting.why import told_parts
from pipeline.keys import partition_key
from pipeline.plots import as_markdown_image, product_plot
from pipeline.tenant_data import TenantData
from pipeline.training.evaluation import Evaluation
from pipeline.training.trainer import Done

PLOT_DAYS = 120
SHOWN_LETTERS = 60
"""Of a product's name in the plot and the words that stand for it: the event must stay small."""
SHOWN_PARTS = 6


def materialization(done: Done, data: TenantData, evaluation: Evaluation) -> dg.AssetMaterialization:
    """Return the event of one trained product."""
    manifest = done.manifest
    if manifest is None:
        raise dg.Failure(f"{done.ledger.product_id!r} has no model to show")
    figures = manifest.metrics.model_dump(exclude={"n"})
    naive = {
        f"naive_{name}": value for name, value in manifest.naive_metrics.model_dump(include={"mae", "wape"}).items()
    }
    plot = as_markdown_image(plot_of(done, data, evaluation), f"forecast of {manifest.product_id[:SHOWN_LETTERS]}")
    return dg.AssetMaterialization(
        "product_model",
        partition=partition_key(manifest.tenant_id, manifest.product_id),
        description=f"version {manifest.version}: {'; '.join(_parts(manifest))}",
        metadata={
            "forecast": dg.MetadataValue.md(plot),
            **({"why": dg.MetadataValue.md(why(done.why, manifest, data))} if done.why else {}),
            "version": manifest.version,
            "cause": str(done.ledger.cause),
            "origin": str(manifest.origin),
            "demand_class": str(manifest.demand_class),
            "grade": str(manifest.grade or "not scored"),
            "data_days": manifest.data_days,
            "weights": {member.family: round(member.weight, 4) for member in manifest.members},
            "sha256": {f"{m.family}/{ref.name}": ref.sha256 for m in manifest.members for ref in m.files},
            "evaluation": manifest.evaluation,
            "seconds": round(manifest.seconds, 3),
            "notes": list(manifest.notes),
            **{name: round(value, 6) for name, value in numbers({**figures, **naive}).items()},
        },
        tags={"dagster/data_version": manifest.data_fingerprint[:32]},
    )


def why(parts: Parts, manifest: ModelManifest, data: TenantData) -> str:
    """Return a Markdown table of the parts of the first day's forecast, the largest first."""
    day = (data.origin + pd.Timedelta(days=1)).date()
    units = {part: float(values[0, 0]) for part, values in parts.items()}
    told = told_parts(units, data.outlook, manifest.product_id, day)
    rows = [(part.words, f"{part.units:+.2f}") for part in told[:SHOWN_PARTS]]
    rest = [part.units for part in told[SHOWN_PARTS:]]
    rows += [(f"{len(rest)} more", f"{sum(rest):+.2f}")] if rest else []
    rows.append(("**together**", f"**{sum(units.values()):.2f}**"))
    lines = [f"| {day:%A} {day.day} {day:%B %Y} | units |", "|---|--:|", *(f"| {_cell(a)} | {b} |" for a, b in rows)]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A text that ends no cell of a Markdown table, on one line, and short."""
    return " ".join(text.split())[:SHOWN_LETTERS].replace("|", "\\|")


def plot_of(done: Done, data: TenantData, evaluation: Evaluation) -> str:
    """Return an SVG of the product's last months, its nested backtest, and its forecast with the interval."""
    product = done.ledger.product_id
    row = data.panel.row[product]
    dates = data.panel.dates[-PLOT_DAYS:]
    history = [
        (day.date(), float(units)) for day, units in zip(dates, data.panel.quantity[row, -PLOT_DAYS:], strict=True)
    ]
    y_hat = np.empty(0) if done.y_hat is None else done.y_hat
    ahead = pd.date_range(data.origin + pd.Timedelta(days=1), periods=len(y_hat))
    lower, upper = (np.empty(0), np.empty(0)) if done.ahead is None else (done.ahead[0], done.ahead[-1])
    return product_plot(
        history,
        backtest(evaluation, product),
        [day.date() for day in ahead],
        y_hat,
        lower,
        upper,
        title=(data.panel.name[row] or product)[:SHOWN_LETTERS],
        subtitle="; ".join(_parts(done.manifest)) if done.manifest else "",
    )


def backtest(evaluation: Evaluation, product: str) -> list[tuple[dt.date, float]]:
    """Return (date, units) of the combination at past origins."""
    points: list[tuple[dt.date, float]] = []
    for one in evaluation.scored:
        if product in one.row:
            made = one.combined[one.row[product]]
            days = pd.date_range(one.origin + pd.Timedelta(days=1), periods=len(made))
            points += [(day.date(), float(units)) for day, units in zip(days, made, strict=True)]
    return points


def _parts(manifest: ModelManifest) -> list[str]:
    members = " + ".join(member.family for member in manifest.members if member.weight > 0)
    wape, naive = manifest.metrics.wape, manifest.naive_metrics.wape
    return [
        members,
        *([f"WAPE {wape:.3f} against {naive:.3f} of the naive"] if wape is not None and naive is not None else []),
    ]
