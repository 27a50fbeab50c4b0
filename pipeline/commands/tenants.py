"""`pipeline tenants`: who the pipeline works for."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ValidationError

from contracts import ColumnMapping, CovariateSource, FileSource, Tenant
from pipeline.commands.shared import AsJson, prepared, show
from pipeline.errors import ConfigurationError, TenantError

app = typer.Typer(help="Add and list tenants: the businesses whose sales are forecast.", no_args_is_help=True)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the tenants with their sources."""
    from pipeline.tenants import list_tenants

    rows = [
        {
            "tenant": tenant.id,
            "name": tenant.name,
            "country": tenant.country if tenant.region is None else f"{tenant.country}-{tenant.region}",
            "time zone": tenant.timezone,
            "sales": tenant.source.path,
        }
        for tenant in list_tenants(prepared().home)
    ]
    show(rows, as_json, "Tenants", empty="no tenant yet; add one with `pipeline tenants add`, or try `pipeline run`")


@app.command("add")
def add(
    sales: Annotated[str, typer.Option("--sales", help="CSV or Parquet: a file, a folder, a glob or a URL.")],
    country: Annotated[str, typer.Option("--country", help="Country of the holidays, two capitals such as ES.")],
    tenant: Annotated[str | None, typer.Option("--tenant", help="Tenant id; found from the file when unset.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name for people; the id when unset.")] = None,
    covariates: Annotated[str | None, typer.Option("--covariates", help="File of values by date.")] = None,
    mapping: Annotated[str | None, typer.Option("--map", help="Your column names: date=Datum,quantity=Menge")] = None,
    region: Annotated[str | None, typer.Option("--region", help="Region of the holidays, such as MD.")] = None,
    timezone: Annotated[str | None, typer.Option("--timezone", help="Time zone; the country's when unset.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite a tenant of the same id.")] = False,
) -> None:
    """Add a tenant; the sensor picks its sales up, or `pipeline run --tenant ID` does at once."""
    from pipeline.tenants import save_tenant

    installation = prepared()
    made = make_tenant(sales, country, covariates, tenant, mapping, region, timezone, name)
    path = save_tenant(installation.home, made, replace=replace)
    from pipeline.commands.dagster_runs import register_tenants

    register_tenants(installation)
    typer.echo(f"tenant {made.id} written to {path}; run it with: pipeline run --tenant {made.id}")


def make_tenant(
    sales: str,
    country: str,
    covariates: str | None = None,
    tenant: str | None = None,
    mapping: str | None = None,
    region: str | None = None,
    timezone: str | None = None,
    name: str | None = None,
) -> Tenant:
    """Return the tenant that the options describe, its source looked at.

    Raises:
        ConfigurationError: an option cannot be used, or the file holds several tenants and none was named.
        SourceError: the sales cannot be read.
        UnknownCountryError: no holidays are known for the country.
    """
    import datetime as dt

    from pipeline.sources.extract import tenants_named
    from pipeline.sources.holidays import public_holidays
    from pipeline.tenants import default_timezone, infer_tenant_id

    today = dt.datetime.now(dt.UTC).date()
    public_holidays(country, region, today, today)
    source = FileSource(path=sales, mapping=parse_mapping(mapping))
    named = tenants_named(source)
    if tenant is None and len(named) > 1:
        shown = ", ".join(named[:5])
        raise ConfigurationError(f"{sales} holds {len(named)} tenants ({shown}, ...): say which with --tenant")
    tenant_id = tenant or infer_tenant_id(sales, named)
    try:
        return Tenant(
            id=tenant_id,
            name=name or tenant_id,
            country=country,
            region=region,
            timezone=timezone or default_timezone(country),
            source=source,
            covariates=CovariateSource(path=covariates) if covariates else None,
        )
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc']))} = {f['input']!r}: {f['msg']}" for f in error.errors())
        raise TenantError(f"this tenant cannot be used: {faults}") from error


def parse_mapping(text: str | None) -> ColumnMapping:
    """Return the mapping of `field=Column,field=Column`.

    Raises:
        ConfigurationError: a part has no `=`, or names a field that there is not.
    """
    given: dict[str, str] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        field, equals, column = part.partition("=")
        if not equals or field.strip() not in ColumnMapping.model_fields or not column.strip():
            fields = ", ".join(ColumnMapping.model_fields)
            raise ConfigurationError(f"--map: {part!r} is not FIELD=COLUMN with a field of: {fields}")
        given[field.strip()] = column.strip()
    return ColumnMapping(**given)
