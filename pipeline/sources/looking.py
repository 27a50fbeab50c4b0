"""A look at many tenants' sales at once: one that hangs holds up no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from contracts import Tenant
from pipeline.errors import SourceError
from pipeline.home import Home
from pipeline.resilience import Services
from pipeline.settings import Settings
from pipeline.sources.extract import source_fingerprint

AT_ONCE = 32


def looks(
    tenants: Sequence[Tenant], home: Home, settings: Settings, services: Services
) -> Iterator[tuple[Tenant, str | Exception]]:
    """Yield each tenant with the fingerprint of its sales, or with the error that stood in the way.

    Tenants are looked at 32 at a time, and these have `settings.source_look_seconds` together. A look that takes
    longer is left to itself: its own time-outs end it, and while it lasts the tenant is not looked at again.
    """
    for start in range(0, len(tenants), AT_ONCE):
        running = [(tenant, _begun(tenant, home, settings, services)) for tenant in tenants[start : start + AT_ONCE]]
        end = time.monotonic() + settings.source_look_seconds
        for tenant, look in running:
            look.join(max(end - time.monotonic(), 0.0))
            yield tenant, look.found or SourceError(f"no answer within {settings.source_look_seconds:g} s")


class _Look(threading.Thread):
    """One look; no process waits for its end. `found` is set when it has ended."""

    def __init__(self, tenant: Tenant, home: Home, settings: Settings, services: Services) -> None:
        super().__init__(name=f"look at the sales of {tenant.id}", daemon=True)
        self.found: str | Exception | None = None
        self._asked = (tenant, home, settings, services)

    def run(self) -> None:
        """Look; whatever goes wrong is this tenant's alone, and is handed to whoever waits."""
        try:
            self.found = source_fingerprint(*self._asked)
        except Exception as error:
            self.found = error


_RUNNING: dict[tuple[str, str], _Look] = {}


def _begun(tenant: Tenant, home: Home, settings: Settings, services: Services) -> _Look:
    key = (str(home.root), tenant.id)
    if key not in _RUNNING or not _RUNNING[key].is_alive():
        _RUNNING[key] = _Look(tenant, home, settings, services)
        _RUNNING[key].start()
    return _RUNNING[key]
