"""Weather and traffic: asked for once, kept with the moment of their issue, and never in a tenant's way."""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from contracts import CovariateKind, SignalSource, Tenant
from pipeline.errors import PipelineError
from pipeline.home import Home, write_atomically
from pipeline.resilience import Kind, Service, Services
from pipeline.resilience.http import HttpClient
from pipeline.settings import Settings
from pipeline.sources.signal_answers import read_answer
from pipeline.sources.signal_store import Kept, kept
from pipeline.sources.variables import bearer, filled

CORRECTED_DAYS = 14
"""Days before the last observed one that are asked for again: what was measured may be corrected."""
_DEGRADED = "degraded.json"
_TOLD = TypeAdapter(dict[str, str])
_LOG = logging.getLogger(__name__)


@dataclass
class Signals:
    """What came of a tenant's signals: the moment of the newest issue, and what is wrong, by signal.

    A signal is named by its kind and its columns, such as `weather (rain, temperature)`.
    """

    issued: dict[str, str] = field(default_factory=dict)
    degraded: dict[str, str] = field(default_factory=dict)


def with_signals(
    calendar: pd.DataFrame,
    tenant: Tenant,
    home: Home,
    settings: Settings,
    services: Services,
    origin: dt.date,
    now: dt.datetime | None = None,
) -> tuple[pd.DataFrame, Signals]:
    """Return a tenant's calendar with a float column for each column of its signals, and what came of them.

    What was asked for in the last SIGNAL_FRESH_HOURS is not asked for again. Whatever is wrong with a signal, the
    calendar comes: with the values that were kept, or without a value, which counts as a usual one. A column that
    the calendar has already, from the covariates file, stays as it is. What is wrong is stored for `load_degraded`.
    """
    found = Signals()
    days = calendar["date"].min().date(), calendar["date"].max().date()
    asking = _Asking(tenant, home, settings, services, days, now or dt.datetime.now(dt.UTC))
    columns: dict[str, pd.Series] = {}
    for source in tenant.signals:
        name = f"{source.kind} ({', '.join(sorted(source.columns))})"
        values, faults = asking.values(source, origin)
        taken = sorted(set(source.columns) & set(calendar.columns))
        faults += [f"the covariates file has columns of the same name: {', '.join(taken)}"] if taken else []
        if values.issued is not None:
            found.issued[name] = values.issued.isoformat()
        if faults:
            found.degraded[name] = "; ".join(faults)
        columns |= {column: values.by_date(source.columns[column]) for column in source.columns if column not in taken}
    if tenant.signals:
        write_atomically(home.signals(tenant.id) / _DEGRADED, json.dumps(found.degraded).encode())
    shared = calendar["product_id"].isna()
    joined = {name: calendar["date"].map(values).where(shared).astype(np.float64) for name, values in columns.items()}
    return calendar.assign(**joined), found


def load_degraded(home: Home, tenant: Tenant) -> dict[str, str]:
    """Return what was wrong with a tenant's signals, by signal, when its calendar was built; empty: nothing.

    Where that was stored but cannot be read, one entry says so: signals are in nobody's way.
    """
    if not tenant.signals:
        return {}
    path = home.signals(tenant.id) / _DEGRADED
    try:
        return _TOLD.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _LOG.warning("tenant %r: %s cannot be read: %s", tenant.id, path, type(error).__name__)
        return {
            "signals": f"what was wrong with them is not known: {path.name} cannot be read; the next calendar mends it"
        }


@dataclass(frozen=True)
class _Values:
    """The newest value of each day and field, of those that count."""

    newest: pd.DataFrame
    issued: dt.datetime | None

    def by_date(self, field: str) -> pd.Series:
        return self.newest.loc[self.newest["field"] == field].set_index("date")["value"]


@dataclass(frozen=True)
class _Asking:
    """One tenant's signals for the days of one calendar."""

    tenant: Tenant
    home: Home
    settings: Settings
    services: Services
    days: tuple[dt.date, dt.date]
    now: dt.datetime

    def values(self, source: SignalSource, origin: dt.date) -> tuple[_Values, list[str]]:
        """Return what is known, asked for anew where it is not fresh, and what is wrong with it."""
        store = kept(self.home, self.tenant.id, source)
        log, faults = store.read(), list[str]()
        if not self._fresh(log):
            try:
                self._fetch(source, store, log)
                log = store.read()
            except Exception as error:  # Whatever a service makes of itself, the tenant goes on.
                said = str(error)
                if not isinstance(error, PipelineError):
                    _LOG.exception("tenant %r: what is said of %s was not foreseen", self.tenant.id, source.kind)
                    said = type(error).__name__
                held = f"the values asked for at {log['asked_at'].max():%Y-%m-%d %H:%M} UTC stand" if len(log) else ""
                faults.append(f"{said}; {held or 'there is no value'}")
        if log.empty and not faults:
            faults.append(f"it told of no day from {self.days[0]} to {self.days[1]}")
        counting = log if source.kind.known is CovariateKind.FORECAST else log[log["observed"]]
        newest = counting.drop_duplicates(["date", "field"], keep="last")
        issued = log["issued_at"].max().to_pydatetime() if len(log) else None
        return _Values(newest, issued), faults + self._late(source, newest, issued, origin)

    def _late(
        self, source: SignalSource, newest: pd.DataFrame, issued: dt.datetime | None, origin: dt.date
    ) -> list[str]:
        if issued is None:
            return []
        if self.now - issued > dt.timedelta(hours=self.settings.signal_late_hours):
            hours = (self.now - issued) / dt.timedelta(hours=1)
            return [f"late: it was issued at {issued:%Y-%m-%d %H:%M} UTC, {hours:.0f} h ago"]
        if source.kind.known is CovariateKind.FORECAST and not (newest["date"] > pd.Timestamp(origin)).any():
            return [f"it tells of no day after {origin}"]
        return []

    def _fresh(self, log: pd.DataFrame) -> bool:
        if log.empty:
            return False
        last = log.loc[log["asked_at"].idxmax()]
        young = self.now - last["asked_at"] < dt.timedelta(hours=self.settings.signal_fresh_hours)
        return bool(young and self._reaches_back(log) and last["asked_to"] >= pd.Timestamp(self.days[1]))

    def _reaches_back(self, log: pd.DataFrame) -> bool:
        return bool(log["asked_from"].min() <= pd.Timestamp(self.days[0]))

    def _fetch(self, source: SignalSource, store: Kept, log: pd.DataFrame) -> None:
        first, last = self.days
        observed = log.loc[log["observed"], "date"]
        if len(observed) and self._reaches_back(log):
            first = max(first, observed.max().date() - dt.timedelta(days=CORRECTED_DAYS))
        asked = {**source.parameters, "from": first.isoformat(), "to": last.isoformat()}
        issued_at, values = read_answer(self._answer(source, asked), source.columns.values(), self.now)
        store.add(values, self.now, (first, last), issued_at, self.tenant.timezone)

    def _answer(self, source: SignalSource, asked: dict[str, str]) -> object:
        """A public service is one for all tenants; with a login of its own a tenant has a breaker of its own."""
        own = source.token is not None or "${" in source.url
        guard = self.services.guard(
            Kind.EXTERNAL, Service(source.kind), source.url, self.tenant.id if own else None
        ).within(self.settings.signal_seconds)
        with HttpClient(guard, self.settings, bearer(source.token)) as client:
            return client.get_json(filled(source.url), asked)
