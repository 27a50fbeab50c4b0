"""`pipeline forecast`: what to bake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from contracts import Explanation
from pipeline.commands.asked_evaluation import evaluate
from pipeline.commands.asked_forecast import make
from pipeline.commands.shared import AsJson, WhichTenant, one_tenant, prepared, show, tell
from pipeline.errors import ConfigurationError, DataError

BAR = 24
"""Letters of the longest bar."""

app = typer.Typer(help="Look at the forecasts, and make others.", no_args_is_help=True)
app.command("make")(make)
app.command("evaluate")(evaluate)


@app.command("show")
def show_(
    tenant: WhichTenant = None,
    product: Annotated[str | None, typer.Option("--product", help="One product, all its days.")] = None,
    date: Annotated[str | None, typer.Option("--date", help="One day, YYYY-MM-DD; the next when unset.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the forecast: all products for the next day, or one product for every day.

    The next day is the first from today on, in the tenant's time zone; where all are over it is the first, and the
    title says so. `expected` is the mean; nine days of ten fall between `low` and `high`.

    Example: pipeline forecast show --tenant my-bakery --date 2024-07-19
    """
    from pipeline.forecasting.coming import today_in
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
        today = today_in(installation.tenant(tenant_id).timezone)
        day = _day(date) if date else _next(frame["date"], today)
        chosen = frame[frame["date"] == day].sort_values("y_hat", ascending=False)
        title = _title(tenant_id, dt.date.fromisoformat(day), today, frame["origin"].iloc[0])
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


@app.command("explain")
def explain(
    tenant: Annotated[str, typer.Argument(help="Tenant id.")],
    product: Annotated[str, typer.Argument(help="Product id.")],
    date: Annotated[str | None, typer.Option("--date", help="One day, YYYY-MM-DD; the next when unset.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say why a product's forecast is what it is: parts in units that add up to it, from the newest stored sales.

    Example: pipeline forecast explain my-bakery "Croissant, butter" --date 2024-07-20
    """
    from pipeline.forecasting.coming import today_in
    from pipeline.forecasting.ladder import Ladder
    from pipeline.forecasting.why import explain_product
    from pipeline.forecasting.words import sentences

    opened = prepared()
    data = opened.data(tenant)
    days = explain_product(Ladder(data, opened.registry, opened.store, opened.settings, workers=0), product)
    wanted = _next([str(day.date) for day in days], today_in(data.tenant.timezone)) if date is None else _day(date)
    chosen = {str(day.date): day for day in days}.get(wanted)
    if chosen is None:
        raise ConfigurationError(f"nothing is forecast for {date}; the days are {days[0].date} to {days[-1].date}")
    one = chosen.model_copy(update={"stored": _stored(opened.home.table(tenant, "forecasts"), product, wanted)})
    if as_json:
        typer.echo(one.model_dump_json(indent=2))
        return
    for sentence in sentences(one):
        tell(sentence)
    if not one.closed:
        _show_parts(one)
        _show_members(one)


def _next(days: Iterable[str], today: dt.date) -> str:
    """The day to bake for, out of those that are forecast."""
    from pipeline.forecasting.coming import first_to_come

    return str(first_to_come(map(dt.date.fromisoformat, days), today))


def _title(tenant_id: str, day: dt.date, today: dt.date, origin: object) -> str:
    over = "; that day is over" if day < today else ""
    return f"{tenant_id} on {day:%A %d %B %Y}, from sales up to {origin}{over}"


def _stored(path: Path, product: str, day: str) -> float | None:
    """What the stored forecast says of a product and day; None where it says nothing."""
    from pipeline.forecasting.stale import last_forecasts

    frame = last_forecasts(path)
    if frame is None:
        return None
    said = frame.loc[(frame["product_id"] == product) & (frame["date"].astype(str) == day), "y_hat"]
    return None if said.empty else float(said.iloc[0])


def _show_parts(one: Explanation) -> None:
    """The parts, each with a bar of + or - that is as long as it is large."""
    from pipeline.forecasting.words import added, amount, largest

    letter = BAR / max(largest(one), 1e-9)
    rows = [
        {
            "part": part.words,
            "units": added(part, one),
            "": round(abs(part.units) * letter) * "+-"[part.units < 0],
        }
        for part in one.parts
    ]
    rows.append({"part": "together", "units": amount(one.y_hat, one), "": round(one.y_hat * letter) * "="})
    show(rows, False, f"{one.product_id}, from sales up to {one.origin}", right=("units",))


def _show_members(one: Explanation) -> None:
    from pipeline.forecasting.words import amount

    rows = [{"family": m.family, "says": amount(m.y_hat, one), "weight": f"{m.weight:.2f}"} for m in one.members]
    show(rows, False, f"Members ({one.rung.replace('_', ' ')})", right=("says", "weight"))


def _day(text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise ConfigurationError(f"--date {text!r} is no day of the form YYYY-MM-DD") from error
