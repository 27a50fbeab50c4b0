"""`pipeline tenants check`: what the checks find in a tenant's sales, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from contracts import DataQualityRequest
from pipeline.commands.shared import AsJson, prepared, show
from pipeline.requests import accepted


def check(
    tenant: Annotated[str, typer.Argument(help="Tenant id.")],
    product: Annotated[
        list[str] | None, typer.Option("--product", help="Only this product; may be given again.")
    ] = None,
    recommend: Annotated[bool, typer.Option("--recommend", help="Say what to do about each finding.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what the checks find in a tenant's stored sales, errors first; exit status 1 where there is an error.

    Example: pipeline tenants check my-bakery --recommend
    """
    from pipeline.monitoring.advice import ADVICE, findings_asked
    from pipeline.monitoring.findings import Severity

    request = accepted(DataQualityRequest, tenant=tenant, products=product or (), recommendations=recommend)
    found = findings_asked(prepared(), request)
    rows = [
        {
            "check": one.check,
            "severity": one.severity.value,
            "product": one.product_id or "(all)",
            "finding": one.reason,
            **({"what to do": ADVICE[one.check, one.severity]} if request.recommendations else {}),
            **({"rows": one.rows, "examples": list(one.examples)} if as_json else {}),
        }
        for one in found
    ]
    show(rows, as_json, f"Sales of {tenant}", empty=f"the checks find nothing in the sales of {tenant}")
    if any(one.severity is Severity.ERROR for one in found):
        raise typer.Exit(1)
