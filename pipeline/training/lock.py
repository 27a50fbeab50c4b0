"""One training of a tenant at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from pipeline.errors import ConfigurationError
from pipeline.home import Home


@contextmanager
def training_lock(home: Home, tenant_id: str, wait_seconds: float) -> Iterator[None]:
    """Hold the tenant's training lock; the operating system frees it when the holder dies.

    Raises:
        ConfigurationError: another process held it all through `wait_seconds`.
    """
    path = home.tenant(tenant_id) / "training.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=wait_seconds):
            yield
    except Timeout as error:
        raise ConfigurationError(
            f"tenant {tenant_id!r} is being trained by another process, which held {path} for {wait_seconds:g} s; "
            f"wait for it, or cancel it in the Dagster UI"
        ) from error
