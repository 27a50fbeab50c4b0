"""`pipeline tenants`: who the pipeline works for."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from pipeline.commands.checking import check
from pipeline.commands.shared import AsJson, DateFormat, aside, prepared, show
from pipeline.places import redacted

app = typer.Typer(help="Add and list tenants: the businesses whose sales are forecast.", no_args_is_help=True)
app.command("check")(check)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the tenants with their sources; a broken tenant file is named on stderr, with exit status 1.

    Example: pipeline tenants list --json
    """
    from pipeline.tenants import list_tenants

    tenants = list_tenants(prepared().home)
    rows = [
        {
            "tenant": tenant.id,
            "name": tenant.name,
            "country": tenant.country if tenant.region is None else f"{tenant.country}-{tenant.region}",
            "time zone": tenant.timezone,
            "sales": redacted(tenant.source.place),
        }
        for tenant in tenants.usable
    ]
    nobody = "no tenant yet; add one with `pipeline tenants add`, or try `pipeline run`"
    show(rows, as_json, "Tenants", empty="no tenant can be used" if tenants.broken else nobody)
    for tenant_id, error in tenants.broken.items():
        aside(f"{tenant_id}: {type(error).__name__}: {error}", typer.colors.RED, logging.ERROR)
    if tenants.broken:
        raise typer.Exit(1)


@app.command("add")
def add(
    country: Annotated[str, typer.Option("--country", help="Country of the holidays, two capitals such as ES.")],
    sales: Annotated[
        str | None, typer.Option("--sales", help="CSV or Parquet: a file, a folder, a glob or a URL.")
    ] = None,
    sql: Annotated[str | None, typer.Option("--sql", help="Database instead: an SQLAlchemy URL.")] = None,
    query: Annotated[
        str | None, typer.Option("--query", help="With --sql: a SELECT, a table, or a file that ends in .sql.")
    ] = None,
    source_url: Annotated[str | None, typer.Option("--source-url", help="Service instead: its http address.")] = None,
    token_variable: Annotated[
        str | None, typer.Option("--token-variable", help="With --source-url: the variable of the bearer token.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Tenant id; found from a file when unset.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name for people; the id when unset.")] = None,
    covariates: Annotated[str | None, typer.Option("--covariates", help="File of values by date.")] = None,
    mapping: Annotated[str | None, typer.Option("--map", help="Your column names: date=Datum,quantity=Menge")] = None,
    region: Annotated[str | None, typer.Option("--region", help="Region of the holidays, such as MD.")] = None,
    town: Annotated[str | None, typer.Option("--town", help="Town whose own holidays are known, as Madrid.")] = None,
    timezone: Annotated[str | None, typer.Option("--timezone", help="Time zone; the country's when unset.")] = None,
    date_format: DateFormat = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite a tenant of the same id.")] = False,
) -> None:
    """Add a tenant; the sensor picks its sales up, or `pipeline run --tenant ID` does at once.

    Example: pipeline tenants add --sales exports/ --country ES --region MD --tenant my-bakery
    """
    from pipeline.commands.describing import Described, given_source, make_tenant, warn_of_clear_password
    from pipeline.tenants import save_tenant

    installation = prepared()
    source = given_source(sales, sql, query, source_url, token_variable)
    made = make_tenant(
        Described(source, country, covariates, tenant, mapping, date_format, region, timezone, name, town)
    )
    warn_of_clear_password(made)
    path = save_tenant(installation.home, made, replace=replace)
    from pipeline.commands.dagster_runs import register_tenants

    register_tenants(installation)
    typer.echo(f"tenant {made.id} written to {path}; run it with: pipeline run --tenant {made.id}")
