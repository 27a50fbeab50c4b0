"""Tenants as TOML files: listed, loaded, saved; and what is assumed for a user who has none."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import tomli_w
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from contracts import FileSource, SqlSource, Tenant
from contracts.base import TenantId
from pipeline.errors import TenantError, UnknownCountryError
from pipeline.home import Home, write_atomically
from pipeline.keys import slug
from pipeline.places import absolute, absolute_database, redacted, without_login, without_query

_TENANT_ID: TypeAdapter[str] = TypeAdapter(TenantId)
SECRET_PLACES = {"token", "parameters", "headers"}
"""Fields in which somebody may have written a secret itself."""
_LONGEST_ID = 63
_SUFFIXES = re.compile(r"(\.csv|\.parquet|\.pq|\.gz|\.txt|\.tsv)+$", re.IGNORECASE)

# Codes in common use that ISO 3166 knows under another one.
_ALIASES = {"UK": "GB", "EL": "GR"}
# The capital's zone where a country has several and the first in the tz database is another's.
_CAPITALS = {
    "AQ": "Antarctica/McMurdo",
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "CL": "America/Santiago",
    "CN": "Asia/Shanghai",
    "EC": "America/Guayaquil",
    "ES": "Europe/Madrid",
    "FM": "Pacific/Pohnpei",
    "ID": "Asia/Jakarta",
    "KZ": "Asia/Almaty",
    "MX": "America/Mexico_City",
    "PS": "Asia/Hebron",
    "PT": "Europe/Lisbon",
    "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv",
    "US": "America/New_York",
    "UZ": "Asia/Tashkent",
}


class Tenants(NamedTuple):
    """Every tenant in order of id, and by id what is wrong with the files that cannot be used."""

    usable: list[Tenant]
    broken: dict[str, TenantError]


def list_tenants(home: Home) -> Tenants:
    """Return every tenant; a broken file stands in nobody's way.

    An error names the file, the field, the value and the rule.
    """
    found = Tenants([], {})
    for tenant_id in tenant_ids(home):
        try:
            found.usable.append(load_tenant(home, tenant_id))
        except TenantError as error:
            found.broken[tenant_id] = error
    return found


def tenant_ids(home: Home) -> list[str]:
    """Return the name of every tenant file, in order; nothing is read, so a broken one hides no other."""
    return sorted(path.stem for path in home.tenants.glob("*.toml"))


def load_tenant(home: Home, tenant_id: str) -> Tenant:
    """Return one tenant.

    Raises:
        TenantError: there is none of this id, or its file is broken.
    """
    path = _path(home, tenant_id)
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in home.tenants.glob("*.toml"))) or "none yet"
        raise TenantError(f"there is no tenant {tenant_id!r}; known: {known}. `pipeline tenants add` makes one")
    return _read(path)


def save_tenant(home: Home, tenant: Tenant, replace: bool = False) -> Path:
    """Write a tenant's file, whole or not at all, and return its path.

    Local paths of the source and the covariates become absolute from the folder this runs in; URLs are
    left alone. Saving the same tenant again changes nothing.

    Raises:
        TenantError: another tenant of this id is there and `replace` is not set.
    """
    path = _path(home, tenant.id)
    content = tomli_w.dumps(_anchored(tenant).model_dump(mode="python", exclude_none=True, exclude_defaults=True))
    if path.exists() and path.read_text(encoding="utf-8") != content and not replace:
        raise TenantError(
            f"tenant {tenant.id!r} exists already, in {path}; choose another id, or replace it (--replace)"
        )
    write_atomically(path, content.encode())
    return path


def slugged(text: str) -> str:
    """Return a tenant's name as a tenant id: a-z, 0-9, `_` and `-`; a hash where nothing is left of it."""
    return _plain_slug(text) or (slug(text) if text.strip() else "")


def _plain_slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")[:_LONGEST_ID].rstrip("-_")


def infer_tenant_id(path: str, named: Iterable[str] = ()) -> str:
    """Return an id for a user's own file that no tenant was made for.

    `named` are the distinct values of its tenant column: a single one is taken. Otherwise it is the name
    of the file or folder, and the folder's where the file is called `sales`.

    Raises:
        TenantError: the file holds several tenants, or no id can be made of its name.
    """
    ids = sorted({slugged(name) for name in named} - {""})
    if len(ids) > 1:
        raise TenantError(
            f"{redacted(path)!r} holds the sales of several tenants, {', '.join(ids)}: choose one with --tenant"
        )
    candidates = ids or [_plain_slug(stem) for stem in _stems(path)]
    found = next((candidate for candidate in candidates if candidate and candidate != "sales"), None)
    if found is None and "sales" not in candidates:
        raise TenantError(f"no tenant id can be made of the path {redacted(path)!r}: give one with --tenant")
    return found or "sales"


def default_timezone(country: str) -> str:
    """Return the IANA time zone of a country's capital.

    Raises:
        UnknownCountryError: the code is no country's.
    """
    code = _ALIASES.get(country, country)
    zones = [row[2] for row in _tz_rows("zone.tab") if row[0] == code]
    if not zones:
        raise UnknownCountryError(f"no time zone is known for country {country!r}; use an ISO 3166 code such as ES")
    return _CAPITALS.get(code, zones[0])


def country_names() -> dict[str, str]:
    """Return the English name of each ISO 3166 country code."""
    return {row[0]: row[1] for row in _tz_rows("iso3166.tab")}


def _tz_rows(name: str) -> list[list[str]]:
    text = resources.files("tzdata.zoneinfo").joinpath(name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]


def _path(home: Home, tenant_id: str) -> Path:
    try:
        return home.tenants / f"{_TENANT_ID.validate_python(tenant_id)}.toml"
    except ValidationError as error:
        raise TenantError(f"tenant id {tenant_id!r} must be 1 to 63 of a-z, 0-9, _ and -, such as my-bakery") from error


def _read(path: Path) -> Tenant:
    try:
        tenant = Tenant.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise TenantError(f"tenant file {path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise TenantError(f"tenant file {path} cannot be used: {_faults(error)}") from error
    except (ValueError, RecursionError) as error:  # What tomllib raises of odd texts, numbers and depths.
        raise TenantError(f"tenant file {path} is not TOML: {error}") from error
    if tenant.id != path.stem:
        raise TenantError(f"tenant file {path} holds the id {tenant.id!r}; it must be the file's name, {path.stem!r}")
    return tenant


def _faults(error: ValidationError) -> str:
    return "; ".join(
        f"{field_of(fault['loc']) or 'tenant'} = {_shown(fault)}: {fault['msg']}"
        for fault in error.errors(include_url=False)
    )


def field_of(place: Sequence[int | str]) -> str:
    """Return the field of a fault as the tenant's file writes it: the kind of a source is no table of its own."""
    kind = place[:1] == ("source",) and len(place) > 1
    return ".".join(str(part) for part in (place[0], *place[2:])) if kind else ".".join(map(str, place))


def _shown(fault: ErrorDetails) -> str:
    """The value at fault; not where somebody may have written a secret itself: under names of their own, say."""
    if fault["type"] == "extra_forbidden" or SECRET_PLACES & set(fault["loc"]):
        return "***"
    return "{...}" if isinstance(fault["input"], dict) else redacted(repr(fault["input"]))


def _anchored(tenant: Tenant) -> Tenant:
    changes: dict[str, object] = {}
    if isinstance(tenant.source, FileSource):
        changes["source"] = tenant.source.model_copy(update={"path": absolute(tenant.source.path)})
    elif isinstance(tenant.source, SqlSource):
        changes["source"] = tenant.source.model_copy(update={"url": absolute_database(tenant.source.url)})
    if tenant.covariates is not None:
        path = absolute(tenant.covariates.path)
        changes["covariates"] = tenant.covariates.model_copy(update={"path": path})
    return tenant.model_copy(update=changes)


def _stems(path: str) -> list[str]:
    """The names that a path offers, the best first: the file's, then its folders' up to the first real one."""
    place = without_query(without_login(absolute(path))).rpartition("://")[2]
    parts = [part for part in PurePosixPath(place).parts if part not in ("/", "\\")]
    plain = [part for part in parts if not any(sign in part for sign in "*?[")]
    return [_SUFFIXES.sub("", part) for part in plain[::-1][:2]]
