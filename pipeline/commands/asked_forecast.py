"""`pipeline forecast make`: a forecast for as many days, with as sure a range, as one asks for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.shared import AsJson, WhichTenant, one_tenant, prepared, show
from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet", ".json")


def make(
    tenant: WhichTenant = None,
    days: Annotated[int | None, typer.Option("--days", help="Days ahead, 1 to 365; HORIZON_DAYS when unset.")] = None,
    confidence: Annotated[
        float, typer.Option("--confidence", help="Share of days that the range shall hold, 0.5 to 0.99.")
    ] = 0.9,
    product: Annotated[
        list[str] | None, typer.Option("--product", help="Product id; may be given again. All when unset.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write: .csv, .parquet or .json.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a forecast with the models in use, for up to a year; the stored forecasts stay as they are.

    Days marked `*` lie further ahead than the models were evaluated; their range widens by a rule.

    Example: pipeline forecast make --tenant my-bakery --days 60 --confidence 0.8 --out forecast.csv
    """
    from contracts import ForecastRequest
    from pipeline.forecasting.asked import forecast_asked
    from pipeline.requests import accepted

    if out is not None and out.suffix not in SUFFIXES:
        raise ConfigurationError(f"--out {str(out)!r} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    installation = prepared()
    request = accepted(
        ForecastRequest,
        tenant=one_tenant(installation, tenant),
        products=product or (),
        days=installation.settings.horizon_days if days is None else days,
        confidence=confidence,
    )
    frame = forecast_asked(installation, request)
    if without := sorted(set(request.products) - set(frame["product_id"])):
        typer.echo(f"no forecast of {', '.join(map(repr, without))}: not sold any more", err=True)
    if out is not None:
        _write(frame, out)
        typer.echo(f"{len(frame)} rows written to {out}", err=as_json)
    if as_json:
        typer.echo(_json(frame))
    elif out is None:
        _show(frame, request.tenant)


def _show(frame: pd.DataFrame, tenant_id: str) -> None:
    rows = [
        {
            "product": row.product_id,
            "date": f"{row.date}{'*' if row.beyond_horizon else ''}",
            "expected": f"{row.y_hat:,.1f}",
            "low": f"{row.lower:,.1f}",
            "high": f"{row.upper:,.1f}",
            "from": row.rung,
        }
        for row in frame.itertuples(index=False)
    ]
    first = frame.iloc[0]
    title = f"{tenant_id}, from sales up to {first['origin']}; {first['confidence']:.0%} of days between low and high"
    show(rows, False, title, right=("expected", "low", "high"), spare=("from",))


def _json(frame: pd.DataFrame) -> str:
    plain = frame.assign(date=frame["date"].astype(str), origin=frame["origin"].astype(str))
    return plain.to_json(orient="records", date_format="iso", force_ascii=False, indent=2)


def _write(frame: pd.DataFrame, out: Path) -> None:
    from pipeline.home import write_atomically

    if out.suffix == ".parquet":
        sink = io.BytesIO()
        frame.to_parquet(sink, index=False)
        content = sink.getvalue()
    else:
        content = (frame.to_csv(index=False) if out.suffix == ".csv" else _json(frame)).encode()
    write_atomically(out.resolve(), content)
