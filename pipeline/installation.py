"""One installation: its settings, folders, registry and artefact store, opened together."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property

from contracts import Tenant
from pipeline import tenants
from pipeline.compute import default_workers
from pipeline.errors import RegistryError
from pipeline.home import Home
from pipeline.registry.access import MonthlyLog
from pipeline.registry.registry import Registry, open_registry
from pipeline.registry.store import ArtefactStore
from pipeline.resilience.services import Services
from pipeline.settings import Settings, get_settings
from pipeline.tenant_data import TenantData, load

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Installation:
    """Everything that a command or an asset needs to do its work."""

    settings: Settings

    @cached_property
    def home(self) -> Home:
        """The folders."""
        return Home(self.settings.home)

    @cached_property
    def registry(self) -> Registry:
        """The registry, opened at first use."""
        return open_registry(self.settings)

    @cached_property
    def store(self) -> ArtefactStore:
        """The artefact store."""
        place = self.settings.model_storage_path or self.home.models
        log, timeout = MonthlyLog(self.home.access), self.settings.model_storage_timeout_seconds
        return ArtefactStore(place, self.settings.enable_model_compression, log, timeout, self._count_broken)

    @cached_property
    def services(self) -> Services:
        """The services outside, with their breakers in the registry."""
        return Services(self.settings, lambda: self.registry)

    @property
    def workers(self) -> int:
        """Worker processes of one job."""
        return default_workers(self.settings)

    def _count_broken(self, kind: str) -> None:
        """Count what was found broken; that it cannot be counted must not hide what was found."""
        try:
            self.registry.count_broken(kind)
        except RegistryError as error:
            logger.warning("a broken %s could not be counted: %s", kind, error)

    def tenant(self, tenant_id: str) -> Tenant:
        """Return a tenant by its id.

        Raises:
            TenantError: there is no such tenant.
        """
        return tenants.load_tenant(self.home, tenant_id)

    def data(self, tenant_id: str) -> TenantData:
        """Return a tenant's stored sales and calendar.

        Raises:
            DataError: they are not there yet.
        """
        return load(self.home, self.tenant(tenant_id), self.settings.horizon_days)


def open_installation() -> Installation:
    """Return the installation that the environment's settings describe."""
    return Installation(get_settings())
