"""The registry: one object over all of its tables."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import Self

from sqlalchemy import select

from pipeline.home import Home
from pipeline.registry.alerts import Alerts
from pipeline.registry.audit import Audit
from pipeline.registry.breakers import Breakers
from pipeline.registry.database import check_schema, is_empty, open_engine, upgrade
from pipeline.registry.experiments import Experiments
from pipeline.registry.inbox import Inbox
from pipeline.registry.jobs import Jobs
from pipeline.registry.logs import Logs
from pipeline.registry.models import Models
from pipeline.registry.outbox import Outbox
from pipeline.registry.plans import Plans
from pipeline.registry.promotions import Promotions
from pipeline.registry.retention import Retention
from pipeline.registry.tables import Identity
from pipeline.registry.tenant_models import TenantModels
from pipeline.settings import Settings


class Registry(
    Jobs, Experiments, Logs, Plans, Models, Promotions, TenantModels, Audit, Retention, Breakers, Outbox, Inbox, Alerts
):
    """The truth about jobs, plans, models, promotions, events, alerts, and who did what. Safe to share between threads.

    Whatever reads a tenant's things takes the tenant's id, so that none can read another's; a running job is
    followed and finished by its id, which its own run alone knows.
    """

    @cached_property
    def identity(self) -> str:
        """What tells this registry from any other."""
        with self._reading() as connection:
            return connection.scalars(select(Identity.id)).one()

    def close(self) -> None:
        """Close every connection; the registry opens new ones if it is used again."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_registry(settings: Settings) -> Registry:
    """Open the registry; an empty database is given its schema, any other must have the right one.

    Raises:
        ConfigurationError: DATABASE_URL cannot be used.
        SchemaMismatchError: the database is behind or ahead; says what to type.
        RegistryError: it cannot be reached.
    """
    engine = open_engine(settings)
    try:
        if settings.database_url is None:
            Home(settings.home).registry_file.parent.mkdir(parents=True, exist_ok=True)
        if is_empty(engine):
            upgrade(engine)
        check_schema(engine)
    except BaseException:
        engine.dispose()
        raise
    key = settings.model_signing_key
    return Registry(engine, key.get_secret_value().encode() if key else None)
