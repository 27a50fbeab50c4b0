"""A look at many tenants' sales at once: one that hangs holds up no other, and one that ends late is not lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from contracts import Tenant
from pipeline.errors import SourceError
from pipeline.home import Home
from pipeline.resilience import Services
from pipeline.settings import Settings
from pipeline.sources.extract import planned_at, source_fingerprint

AT_ONCE = 32
TOGETHER_SECONDS = 40.0
"""What all looks of one tick may take together; Dagster throws away a tick that lasts 60 s, with all that it found."""
FRESH_SECONDS = 300.0
"""For so long, and the time between two ticks, what a look found after its tick had ended is worth something."""

Found = str | Exception | None
"""A fingerprint, what stood in the way, or None: there was no time left for the tenant."""


def looks(tenants: Sequence[Tenant], home: Home, settings: Settings, services: Services) -> list[tuple[Tenant, Found]]:
    """Return each tenant with what was found of its sales, in the order given.

    Tenants are looked at 32 at a time, those first whose turn was longest ago; each look has
    `settings.source_look_seconds`, and all together have TOGETHER_SECONDS. A look that takes longer is left to itself:
    what it finds is handed out at the next tick. While it lasts the tenant is not looked at again.
    """
    tick = _Tick(home, settings, services)
    found = tick.look(sorted(tenants, key=lambda tenant: _TURNS.get(_key(home, tenant), 0.0)))
    return [(tenant, found.get(tenant.id)) for tenant in tenants]


class _Look(threading.Thread):
    """One look; no process waits for its end. `found` is set when it has ended, which is told to `ended`."""

    def __init__(
        self, tenant: Tenant, home: Home, settings: Settings, services: Services, ended: SimpleQueue[_Look]
    ) -> None:
        super().__init__(name=f"look at the sales of {tenant.id}", daemon=True)
        self.tenant = tenant
        self.found: Found = None
        self.began, self.began_ns = time.monotonic(), time.time_ns()
        self.end = self.began
        self._asked = (tenant, home, settings, services)
        self._ended = ended

    def run(self) -> None:
        """Look; whatever goes wrong is this tenant's alone, and is handed to whoever waits."""
        try:
            found: Found = source_fingerprint(*self._asked)
        except Exception as error:
            found = error
        self.end = time.monotonic()
        self.found = found
        self._ended.put(self)

    def late(self) -> SourceError:
        """What is said of a look that still lasts."""
        waited = time.monotonic() - self.began
        return SourceError(f"no answer within {waited:.3g} s; what it finds later counts at the next look")


_LOOKS: dict[tuple[str, str], _Look] = {}
"""The looks that were begun and not handed out yet, for the life of the process."""
_TURNS: dict[tuple[str, str], float] = {}
"""When each tenant was last looked at or heard of: who was not reached is first the next time."""


class _Tick:
    """One round of looks, until its time is over."""

    def __init__(self, home: Home, settings: Settings, services: Services) -> None:
        self._home, self._settings, self._services = home, settings, services
        self._over = time.monotonic() + TOGETHER_SECONDS
        self._ended: SimpleQueue[_Look] = SimpleQueue()
        self._running: dict[_Look, float] = {}
        self._found: dict[str, Found] = {}

    def look(self, tenants: Sequence[Tenant]) -> dict[str, Found]:
        """Return what was found by tenant; of whom it is not there, there was no time for."""
        waiting = [tenant for tenant in tenants if not self._from_before(tenant)]
        for tenant in waiting:
            while len(self._running) >= AT_ONCE:
                self._next()
            if time.monotonic() >= self._over:
                break
            self._begin(tenant)
        while self._running:
            self._next()
        return self._found

    def _from_before(self, tenant: Tenant) -> bool:
        """Whether an earlier tick's look says something of the tenant: what it found, or that it still lasts.

        What was found before a training plan saw the sales is no news after it.
        """
        key = _key(self._home, tenant)
        look = _LOOKS.get(key)
        if look is not None and look.is_alive() and look.found is None:
            self._take(look, look.late())
            return True
        look = _LOOKS.pop(key, None)
        if look is None or look.found is None or look.tenant != tenant:
            return False
        age = time.monotonic() - look.end
        if age > FRESH_SECONDS + self._settings.watch_interval_seconds:
            return False
        if planned_at(self._home, tenant.id) > look.began_ns:
            return False
        self._take(look, look.found)
        return True

    def _begin(self, tenant: Tenant) -> None:
        look = _Look(tenant, self._home, self._settings, self._services, self._ended)
        _LOOKS[_key(self._home, tenant)] = look
        self._running[look] = min(look.began + self._settings.source_look_seconds, self._over)
        look.start()

    def _next(self) -> None:
        """Wait for one look to end, or for the first whose time is over."""
        first = min(self._running, key=self._running.__getitem__)
        try:
            look = self._ended.get(timeout=max(self._running[first] - time.monotonic(), 0.0))
        except Empty:
            del self._running[first]
            self._take(first, first.late())
            return
        if self._running.pop(look, None) is not None:  # Otherwise its time was over first: it is for the next tick.
            _LOOKS.pop(_key(self._home, look.tenant), None)
            self._take(look, look.found)

    def _take(self, look: _Look, found: Found) -> None:
        self._found[look.tenant.id] = found
        _TURNS[_key(self._home, look.tenant)] = time.monotonic()


def _key(home: Home, tenant: Tenant) -> tuple[str, str]:
    return str(home.root), tenant.id
