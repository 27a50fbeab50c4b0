"""The source of a tenant's sales, by its kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from contracts import FileSource, HttpSource, SqlSource, Tenant
from pipeline.places import absolute, without_login, without_query
from pipeline.resilience import Guard, Kind, Patience, Service, Services
from pipeline.settings import Settings
from pipeline.sources.base import LiveSource, SalesSource
from pipeline.sources.columns import resolve
from pipeline.sources.files import FilesSource
from pipeline.sources.state import FileState, State
from pipeline.sources.values import as_text
from pipeline.sources.variables import filled
from pipeline.sources.windows import Window

SAMPLED = 100
"""Rows that a first look asks for."""

LIVE = ("database", "service")
"""Names of the one part of a source that is asked and not listed."""


@dataclass(frozen=True)
class Asking:
    """How a place is asked: by which settings, behind which breakers, and what one question may take, in seconds.

    `patience` is what all questions together may lose to a place that does not answer; a look has none.
    """

    settings: Settings
    services: Services
    seconds: float
    patience: Patience = field(default_factory=Patience)

    def guard(self, tenant: Tenant) -> Guard:
        """What stands before the tenant's sales: one breaker, whatever kind of place they lie in."""
        kind = Kind.DATABASE if isinstance(tenant.source, SqlSource) else Kind.HTTP
        return self.services.guard(kind, Service.SALES, tenant.source.place, tenant.id)


def open_source(tenant: Tenant, known: State, asking: Asking) -> SalesSource:
    """Return the tenant's source; a database or a service is asked for what is not `known` yet."""
    if isinstance(tenant.source, FileSource):
        return FilesSource(tenant.source)
    return _live(tenant, tenant.source, next(iter(known.files.values()), None), asking)


def _live(tenant: Tenant, source: SqlSource | HttpSource, seen: FileState | None, asking: Asking) -> LiveSource:
    window = Window(source, tenant.timezone, seen.last_date if seen else None, asking.settings.lookback_days)
    if isinstance(source, SqlSource):
        from pipeline.sources.database import Database
        from pipeline.sources.sql import DatabaseSource

        database = Database(source.url, tenant.timezone, asking.seconds, asking.guard(tenant), asking.patience)
        return DatabaseSource(source, window, database)
    from pipeline.sources import pages
    from pipeline.sources.http import ServiceSource

    service = pages.Service(
        source.url, source.token, asking.seconds, asking.guard(tenant), asking.settings, asking.patience
    )
    return ServiceSource(source, window, service, seen.version if seen else None)


def place_of(tenant: Tenant) -> str:
    """Return where the source lies, without the login: another password is no other source.

    Raises:
        ConfigurationError: its URL cannot be used.
    """
    if isinstance(tenant.source, FileSource):
        return without_login(absolute(tenant.source.path))
    if isinstance(tenant.source, HttpSource):
        return without_query(without_login(filled(tenant.source.url)))
    from pipeline.sources.database import place_at, url_of

    return place_at(url_of(tenant.source.url))


def known_here(tenant: Tenant, state: State, rules: str) -> State:
    """Return what is known of the source as it is now; nothing, where it is another place or means something else."""
    return state if state.rules == rules and state.source in (None, place_of(tenant)) else State(rules=rules)


def look(tenant: Tenant, settings: Settings, services: Services) -> None:
    """Ask a database or a service for a few rows, and for the columns that the mapping names; nothing is kept.

    Raises:
        SourceError: it cannot be reached, or answers with something else than sales.
        ConfigurationError: its settings cannot be used.
    """
    if isinstance(tenant.source, FileSource):
        return
    source = _live(tenant, tenant.source, None, Asking(settings, services, settings.source_look_seconds))
    (part,) = source.parts()
    resolve(list(source.sample(SAMPLED).frame.columns), tenant.source.mapping, part.label)


def tenants_named(source: FileSource) -> list[str]:
    """Return the distinct values of the tenant column in a source's first file; none where it has no such column."""
    files = FilesSource(source)
    raw = files.read(files.parts()[0])
    column = source.mapping.tenant_id
    if raw is None or column not in raw.table.frame.columns:
        return []
    return list(as_text(raw.table.frame[column])[0].categories)
