"""`pipeline backtest`: what would have been forecast, for comparison with other tools."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline import logs
from pipeline.commands.shared import AsJson, DateFormat, only_lines, show
from pipeline.settings import get_settings

FEW, MORE = "combination, under 5 units a day", "combination, 5 units and more"
"""Products by volume: where little is sold the upper end and the pinball loss tell more than the coverage."""


def backtest(
    sales: Annotated[str, typer.Option("--sales", help="CSV or Parquet: a file, a folder, a glob or a URL.")],
    country: Annotated[str, typer.Option("--country", help="Country of the holidays, two capitals such as ES.")],
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write.")],
    covariates: Annotated[str | None, typer.Option("--covariates", help="File of values by date.")] = None,
    horizon: Annotated[int, typer.Option(help="Days ahead.", min=1, max=365)] = 14,
    folds: Annotated[int, typer.Option(help="Past origins, one horizon apart.", min=1, max=52)] = 4,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Tenant id; found from the file when unset.")] = None,
    mapping: Annotated[str | None, typer.Option("--map", help="Your column names: date=Datum,quantity=Menge")] = None,
    date_format: DateFormat = None,
    as_json: AsJson = False,
) -> None:
    """Forecast the past: a row a product, origin and day, with every family beside the combination.

    The origins are the last day of the data less 14, 28, ... days. At each, nothing later is used but the
    covariates given in the file and the calendar. Days without a row count as zero sales when scored.

    Example: pipeline backtest --sales till.csv --country ES --folds 4 --out backtest.parquet
    """
    import io

    from rich.console import Console
    from rich.progress import Progress

    from pipeline.commands.describing import Described, given_source, make_tenant
    from pipeline.engine.evaluate import of_volume, score, table
    from pipeline.home import write_atomically
    from pipeline.training.backtest import Span
    from pipeline.training.backtest import backtest as run

    logs.configure(get_settings())
    made = make_tenant(Described(given_source(sales), country, covariates, tenant, mapping, date_format))
    workers = get_settings().workers or len(os.sched_getaffinity(0))
    with Progress(console=Console(stderr=True), disable=as_json or only_lines()) as progress:
        bar = progress.add_task("origins", total=None)
        scored = run(
            made,
            get_settings(),
            Span(horizon, folds),
            workers,
            lambda done, total: progress.update(bar, completed=done, total=total),
        )
    frame = table(scored, made.id).drop(columns=["actual", "scale", "pinball"])
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    write_atomically(out.resolve(), buffer.getvalue())
    rows = []
    few, more = (of_volume(scored, few=asked) for asked in (True, False))
    judged = [
        ("combination", scored, None),
        (FEW, few, None),
        (MORE, more, None),
        *((family, scored, family) for family in scored[-1].families),
    ]
    for name, origins, family in judged:
        metrics = score(origins, family)
        rows.append(
            {
                "forecast": name,
                "WAPE": metrics.wape,
                "MASE": metrics.mase,
                "RMSSE": metrics.rmsse,
                "bias": metrics.bias,
                "coverage": metrics.coverage,
                "below upper": metrics.below_upper,
                "pinball": metrics.pinball,
            }
        )
    show(rows, as_json, f"{made.id}: {len(scored)} origins, {horizon} days ahead", right=list(rows[0])[1:])
    if not as_json:
        typer.echo(f"{len(frame)} rows written to {out}")
        if held := scored[-1].held:
            typer.echo(f"{held} one-day outliers were held back in fitting; they are scored as sold")
