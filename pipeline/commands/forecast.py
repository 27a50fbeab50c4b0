"""`pipeline forecast`: what to bake."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from pipeline.commands.shared import AsJson, WhichTenant, one_tenant, prepared, show
from pipeline.errors import ConfigurationError, DataError

app = typer.Typer(help="Look at the forecasts.", no_args_is_help=True)


@app.command("show")
def show_(
    tenant: WhichTenant = None,
    product: Annotated[str | None, typer.Option("--product", help="One product, all its days.")] = None,
    date: Annotated[str | None, typer.Option("--date", help="One day, YYYY-MM-DD; the first when unset.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the forecast: all products for the next day, or one product for every day.

    `expected` is the mean; nine days of ten fall between `low` and `high`.

    Example: pipeline forecast show --tenant my-bakery --date 2024-07-19
    """
    from pipeline.forecasting.stale import last_forecasts
    from pipeline.tables import records

    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    path = installation.home.table(tenant_id, "forecasts")
    frame = last_forecasts(path)
    if frame is None:
        raise DataError(f"the forecasts: {path} is not there yet; run the pipeline for this tenant first")
    if frame.empty:
        raise DataError(f"{tenant_id} has no product that still sells: nothing is forecast")
    frame["date"] = frame["date"].astype(str)
    if product is not None:
        chosen = frame[frame["product_id"] == product]
        if chosen.empty:
            raise ConfigurationError(
                f"{tenant_id} has no forecast of {product!r}; products are listed without --product"
            )
        chosen = chosen if date is None else chosen[chosen["date"] == _day(date)]
        title = f"{product}, from sales up to {frame['origin'].iloc[0]}"
    else:
        day = _day(date) if date else frame["date"].min()
        chosen = frame[frame["date"] == day].sort_values("y_hat", ascending=False)
        title = f"{tenant_id} on {dt.date.fromisoformat(day):%A %d %B %Y}, from sales up to {frame['origin'].iloc[0]}"
    if chosen.empty:
        days = frame["date"]
        raise ConfigurationError(f"nothing is forecast for {date}; the days are {days.min()} to {days.max()}")
    if as_json:
        typer.echo(chosen.to_json(orient="records", date_format="iso", force_ascii=False, indent=2))
        return
    key = "date" if product else "product_id"
    rows = [
        {
            key: row[key],
            "expected": f"{row['y_hat']:,.1f}",
            "low": f"{row['lower']:,.1f}",
            "high": f"{row['upper']:,.1f}",
            "from": row["rung"] if not row["stale"] else f"{row['rung']} (stale)",
            "version": row["model_version"],
        }
        for row in records(chosen)
    ]
    show(rows, False, title, right=("expected", "low", "high"))


def _day(text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise ConfigurationError(f"--date {text!r} is no day of the form YYYY-MM-DD") from error
