"""`pipeline forecast evaluate`: how good the forecasts were that one had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.shared import AsJson, prepared, show, tell

if TYPE_CHECKING:
    from pipeline.forecasting.realised import Realised

USUAL_DAYS = 28


def evaluate(
    tenant: Annotated[str, typer.Argument(help="Tenant id.")],
    days: Annotated[
        int | None, typer.Option("--days", help="The last so many days, 7 at least; 28 without --start and --end.")
    ] = None,
    start: Annotated[str | None, typer.Option("--start", help="First day, YYYY-MM-DD; needs --end.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="Last day, YYYY-MM-DD; needs --start.")] = None,
    product: Annotated[
        list[str] | None, typer.Option("--product", help="Product id; may be given again. All when unset.")
    ] = None,
    ahead: Annotated[
        int, typer.Option("--ahead", help="Days that must lie between the last sales seen and the day, at least.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Hold the forecasts that you had against what was sold, the worst product first.

    Each day is held against the last forecast made before it was over; with --ahead 3 against the last one made from
    sales up to three days before. Days that were closed, sold out or unknown are not scored.

    Example: pipeline forecast evaluate my-bakery --days 56 --ahead 3
    """
    from contracts import EvaluationRequest
    from pipeline.forecasting.asked_evaluation import evaluation_asked
    from pipeline.requests import accepted
    from pipeline.training.manifest import grade

    usual = USUAL_DAYS if start is None and end is None else None
    request = accepted(
        EvaluationRequest,
        tenant=tenant,
        products=product or (),
        start=start,
        end=end,
        days=usual if days is None else days,
        ahead=ahead,
    )
    opened = prepared()
    found = evaluation_asked(opened, request)
    if found.without:
        typer.echo(f"no forecast of {', '.join(map(repr, found.without))} in these days", err=True)
    if found.days_without:
        told = f"{found.days_without} of these days have no forecast; the first that has one is"
        typer.echo(f"{told} {found.table['date'].min():%Y-%m-%d}", err=True)
    row = _whole if as_json else _short
    rows = [{**row(one), "grade": grade(one.metrics, opened.settings)} for one in found.results]
    title = f"{tenant}, {found.first} to {found.last}: forecasts against sales"
    right = ("days", "WAPE", "naive", "MASE", "bias", "coverage", "left out")
    show(rows, as_json, title, right=right, spare=("left out",))
    if not as_json and (left_out := found.results[-1].left_out):
        tell(f"{left_out} forecasts are not scored: the shop was closed, the product sold out, or nothing is known.")


def _short(one: Realised) -> dict[str, Any]:
    return {
        "product": one.product_id or "(all)",
        "days": one.metrics.n,
        "left out": one.left_out,
        "WAPE": one.metrics.wape,
        "naive": one.naive.wape,
        "MASE": one.metrics.mase,
        "bias": one.metrics.bias,
        "coverage": one.metrics.coverage,
    }


def _whole(one: Realised) -> dict[str, Any]:
    figures = one.metrics.model_dump()
    return {"product_id": one.product_id, **figures, "left_out": one.left_out, "naive_wape": one.naive.wape}
