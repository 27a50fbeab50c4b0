"""A tenant as the options of a command describe it, its source looked at before anything is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from contracts import ColumnMapping, CovariateSource, FileSource, SalesFormat, SqlSource, Tenant
from pipeline.commands.shared import aside
from pipeline.errors import ConfigurationError, TenantError
from pipeline.home import Home
from pipeline.places import absolute, redacted, without_login
from pipeline.settings import get_settings


@dataclass(frozen=True)
class Described:
    """A tenant in the words of a command's options; what is None was not given. `source` is that of `given_source`."""

    source: Mapping[str, Any]
    country: str
    covariates: str | None = None
    tenant: str | None = None
    mapping: str | None = None
    date_format: str | None = None
    region: str | None = None
    timezone: str | None = None
    name: str | None = None
    town: str | None = None


def given_source(
    sales: str | None,
    sql: str | None = None,
    query: str | None = None,
    source_url: str | None = None,
    token_variable: str | None = None,
) -> dict[str, Any]:
    """Return the fields of the one source that was given.

    Raises:
        ConfigurationError: none or several were given, or one without what belongs to it.
    """
    places = {"--sales": sales, "--sql": sql, "--source-url": source_url}
    given = [option for option, value in places.items() if value is not None]
    if len(given) != 1:
        raise ConfigurationError(f"give one of --sales, --sql and --source-url, not {' and '.join(given) or 'none'}")
    if not places[given[0]]:
        wanted = "a file, a folder, a glob or a URL" if sales is not None else "a URL"
        raise ConfigurationError(f"{given[0]} is empty; give {wanted}")
    if token_variable is not None and not token_variable.startswith("PIPELINE_SOURCE_"):
        raise ConfigurationError(
            f"--token-variable {token_variable}: only variables whose names begin with PIPELINE_SOURCE_ are read for "
            "sources, so that no file can ask for another secret"
        )
    if (query is not None) != (sql is not None) or (token_variable is not None and source_url is None):
        raise ConfigurationError("--sql and --query belong together, and --token-variable to --source-url")
    if sql is not None:
        return {"kind": "sql", "url": sql, "query": _query(query or "")}
    if source_url is not None:
        token = {"token": f"${{{token_variable}}}"} if token_variable else {}
        return {"kind": "http", "url": source_url, **token}
    return {"kind": "files", "path": sales}


def _query(text: str) -> str:
    if not text.lower().endswith(".sql"):
        return text
    try:
        return Path(text).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"--query {text!r} cannot be read: {error}; give a SELECT, a table or a file"
        ) from error


def make_tenant(described: Described, home: Home | None = None) -> Tenant:
    """Return the tenant that the options describe, its source looked at.

    Where `home` has a tenant of that id, what the options leave open stays as its file says: mending a
    tenant's file by hand is not undone by the next run.

    Raises:
        ConfigurationError: an option cannot be used, or the file holds several tenants and none was named.
        SourceError: the sales cannot be read.
        UnknownCountryError: no holidays are known for the country, region or town.
    """
    from pipeline.resilience import Services
    from pipeline.sources.holidays import public_holidays
    from pipeline.sources.opening import look
    from pipeline.sources.towns import holidays_of_town
    from pipeline.tenants import default_timezone

    country = described.country.strip().upper()
    today = dt.datetime.now(dt.UTC).date()
    public_holidays(country, described.region, today, today)
    given: dict[str, Any] = {"date_format": described.date_format} if described.date_format else {}
    if described.mapping:
        given |= {"mapping": parse_mapping(described.mapping)}
    tenant_id = _tenant_id(described, given)
    known = _known(home, tenant_id)
    if known and described.tenant is None:
        _refuse_another_place(known, described.source["path"])
    covariates = CovariateSource(path=described.covariates) if described.covariates else None
    fields = {name: getattr(described, name) for name in ("name", "region", "town", "timezone")}
    stated = {name: value for name, value in {**fields, "covariates": covariates}.items() if value is not None}
    before: dict[str, Any] = known.model_dump() if known else {"name": tenant_id, "timezone": default_timezone(country)}
    source = {**_kept(before.get("source", {}), described.source["kind"]), **described.source, **given}
    try:
        made = Tenant.model_validate({**before, **stated, "id": tenant_id, "country": country, "source": source})
    except ValidationError as error:
        raise TenantError(f"this tenant cannot be used: {'; '.join(_faults(error))}") from error
    holidays_of_town(made.country, made.region, made.town)
    settings = get_settings()
    look(made, settings, Services(settings))  # By hand, and so behind no breaker that others opened.
    return made


def warn_of_clear_password(tenant: Tenant) -> None:
    """Say on stderr that a password stands in the tenant's file, and how it need not."""
    from pipeline.sources.variables import PREFIX, holds_password

    if isinstance(tenant.source, SqlSource) and holds_password(tenant.source.url):
        aside(
            f"the password will stand in the tenant's file as it is; write ${{{PREFIX}PASSWORD}} instead, and set "
            "that variable where the pipeline runs",
            typer.colors.YELLOW,
        )


def _tenant_id(described: Described, given: Mapping[str, Any]) -> str:
    from pipeline.sources.opening import tenants_named
    from pipeline.tenants import infer_tenant_id

    if described.source["kind"] != "files":
        if described.tenant is None:
            raise ConfigurationError("say with --tenant what the tenant's id is: no file's name tells it")
        return described.tenant
    path = described.source["path"]
    named = tenants_named(FileSource(path=path, **given))
    if described.tenant is None and len(named) > 1:
        shown = ", ".join([*named[:5], *(["..."] if len(named) > 5 else [])])
        raise ConfigurationError(f"{redacted(path)} holds {len(named)} tenants ({shown}): say which with --tenant")
    return described.tenant or infer_tenant_id(path, named)


def _kept(source: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """What a source that was there says of its rows; and of its place, where the kind is the same."""
    same = source.get("kind") == kind
    return {field: value for field, value in source.items() if same or field in SalesFormat.model_fields}


def _known(home: Home | None, tenant_id: str) -> Tenant | None:
    from pipeline.tenants import load_tenant, tenant_ids

    return load_tenant(home, tenant_id) if home is not None and tenant_id in tenant_ids(home) else None


def _refuse_another_place(known: Tenant, sales: str) -> None:
    """Two businesses may call their files alike; their sales must not become one tenant's."""
    if without_login(absolute(sales)) != without_login(known.source.place):
        raise ConfigurationError(
            f"tenant {known.id!r} already reads {redacted(known.source.place)}; if {redacted(sales)} is another "
            f"business, name it with --tenant, and if its files have moved, say so with --tenant {known.id}"
        )


def _faults(error: ValidationError) -> Iterator[str]:
    """Each fault with its field and value; one of the tenant as a whole has neither, and a token is never shown."""
    from pipeline.tenants import field_of

    for fault in error.errors():
        field = field_of(fault["loc"])
        value = "***" if field.endswith("token") else repr(fault["input"])
        yield redacted(f"{field} = {value}: {fault['msg']}" if field else fault["msg"])


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
