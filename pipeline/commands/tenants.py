"""`pipeline tenants`: who the pipeline works for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from contracts import ColumnMapping, CovariateSource, FileSource, Tenant
from pipeline.commands.shared import AsJson, DateFormat, prepared, show
from pipeline.errors import ConfigurationError, TenantError
from pipeline.home import Home
from pipeline.places import absolute, redacted, without_login

app = typer.Typer(help="Add and list tenants: the businesses whose sales are forecast.", no_args_is_help=True)


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
            "sales": redacted(tenant.source.path),
        }
        for tenant in tenants.usable
    ]
    nobody = "no tenant yet; add one with `pipeline tenants add`, or try `pipeline run`"
    show(rows, as_json, "Tenants", empty="no tenant can be used" if tenants.broken else nobody)
    for tenant_id, error in tenants.broken.items():
        typer.secho(f"{tenant_id}: {type(error).__name__}: {error}", fg=typer.colors.RED, err=True)
    if tenants.broken:
        raise typer.Exit(1)


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
    date_format: DateFormat = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite a tenant of the same id.")] = False,
) -> None:
    """Add a tenant; the sensor picks its sales up, or `pipeline run --tenant ID` does at once.

    Example: pipeline tenants add --sales exports/ --country ES --region MD --tenant my-bakery
    """
    from pipeline.tenants import save_tenant

    installation = prepared()
    made = make_tenant(Described(sales, country, covariates, tenant, mapping, date_format, region, timezone, name))
    path = save_tenant(installation.home, made, replace=replace)
    from pipeline.commands.dagster_runs import register_tenants

    register_tenants(installation)
    typer.echo(f"tenant {made.id} written to {path}; run it with: pipeline run --tenant {made.id}")


@dataclass(frozen=True)
class Described:
    """A tenant as the options of a command describe it; what is None was not given."""

    sales: str
    country: str
    covariates: str | None = None
    tenant: str | None = None
    mapping: str | None = None
    date_format: str | None = None
    region: str | None = None
    timezone: str | None = None
    name: str | None = None


def make_tenant(described: Described, home: Home | None = None) -> Tenant:
    """Return the tenant that the options describe, its source looked at.

    Where `home` has a tenant of that id, what the options leave open stays as its file says: mending a
    tenant's file by hand is not undone by the next run.

    Raises:
        ConfigurationError: an option cannot be used, or the file holds several tenants and none was named.
        SourceError: the sales cannot be read.
        UnknownCountryError: no holidays are known for the country.
    """
    import datetime as dt

    from pipeline.sources.extract import tenants_named
    from pipeline.sources.holidays import public_holidays
    from pipeline.tenants import default_timezone, infer_tenant_id

    if not described.sales:
        raise ConfigurationError("--sales is empty; give a file, a folder, a glob or a URL")
    country = described.country.strip().upper()
    today = dt.datetime.now(dt.UTC).date()
    public_holidays(country, described.region, today, today)
    given: dict[str, Any] = {"date_format": described.date_format} if described.date_format else {}
    if described.mapping:
        given |= {"mapping": parse_mapping(described.mapping)}
    named = tenants_named(FileSource(path=described.sales, **given))
    if described.tenant is None and len(named) > 1:
        shown = ", ".join([*named[:5], *(["..."] if len(named) > 5 else [])])
        place = redacted(described.sales)
        raise ConfigurationError(f"{place} holds {len(named)} tenants ({shown}): say which with --tenant")
    tenant_id = described.tenant or infer_tenant_id(described.sales, named)
    known = _known(home, tenant_id)
    if known and described.tenant is None:
        _refuse_another_place(known, described.sales)
    covariates = CovariateSource(path=described.covariates) if described.covariates else None
    open_fields = {"name": described.name, "region": described.region, "timezone": described.timezone}
    stated = {name: value for name, value in {**open_fields, "covariates": covariates}.items() if value is not None}
    before: dict[str, Any] = known.model_dump() if known else {"name": tenant_id, "timezone": default_timezone(country)}
    source = {**before.get("source", {}), "path": described.sales, **given}
    try:
        return Tenant.model_validate({**before, **stated, "id": tenant_id, "country": country, "source": source})
    except ValidationError as error:
        raise TenantError(f"this tenant cannot be used: {'; '.join(_faults(error))}") from error


def _known(home: Home | None, tenant_id: str) -> Tenant | None:
    from pipeline.tenants import load_tenant, tenant_ids

    return load_tenant(home, tenant_id) if home is not None and tenant_id in tenant_ids(home) else None


def _refuse_another_place(known: Tenant, sales: str) -> None:
    """Two businesses may call their files alike; their sales must not become one tenant's."""
    if without_login(absolute(sales)) != without_login(known.source.path):
        raise ConfigurationError(
            f"tenant {known.id!r} already reads {redacted(known.source.path)}; if {redacted(sales)} is another "
            f"business, name it with --tenant, and if its files have moved, say so with --tenant {known.id}"
        )


def _faults(error: ValidationError) -> Iterator[str]:
    """Each fault with its field and value; one of the tenant as a whole has neither."""
    for fault in error.errors():
        field = ".".join(map(str, fault["loc"]))
        yield redacted(f"{field} = {fault['input']!r}: {fault['msg']}" if field else fault["msg"])


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
