"""Where everything that is written lies under PIPELINE_HOME, and how a file is written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StorageError


@dataclass(frozen=True)
class Home:
    """The folders of one installation; a tenant's data lies under `data/<tenant_id>` alone."""

    root: Path

    @property
    def dagster(self) -> Path:
        """The Dagster instance (DAGSTER_HOME) on SQLite."""
        return self.root / "dagster"

    def dagster_on(self, *, postgres: bool) -> Path:
        """The Dagster instance; on PostgreSQL it has a folder of its own."""
        return self.root / "dagster-postgres" if postgres else self.dagster

    @property
    def registry_file(self) -> Path:
        """The registry's SQLite file, where DATABASE_URL is unset."""
        return self.root / "registry.db"

    @property
    def models(self) -> Path:
        """The artefact store, where MODEL_STORAGE_PATH is unset."""
        return self.root / "models"

    @property
    def access(self) -> Path:
        """The logs of who touched which artefact, one a month."""
        return self.root / "access"

    @property
    def events(self) -> Path:
        """Events for other systems, a file a day, where RABBITMQ_URL is unset."""
        return self.root / "events"

    @property
    def lineage(self) -> Path:
        """What was made from what, a file a day."""
        return self.root / "lineage"

    @property
    def monitoring(self) -> Path:
        """What the feedback layer last found over all tenants."""
        return self.root / "monitoring"

    @property
    def metrics_file(self) -> Path:
        """The figures of the last run's end, or of the last minute, in Prometheus' text format."""
        return self.root / "metrics" / "pipeline.prom"

    @property
    def serving(self) -> Path:
        """What model servers report, where SERVING_METRICS_PATH is unset."""
        return self.root / "artifacts" / "serving" / "metrics"

    @property
    def tenants(self) -> Path:
        """The tenants' TOML files."""
        return self.root / "tenants"

    @property
    def sample(self) -> Path:
        """The sales files of the sample tenants."""
        return self.root / "sample"

    def tenant(self, tenant_id: str) -> Path:
        """Everything that is written for one tenant but its models."""
        return self.root / "data" / tenant_id

    def table(self, tenant_id: str, name: str) -> Path:
        """The Parquet file of one of a tenant's tables, such as `sales` or `forecasts`."""
        return self.tenant(tenant_id) / f"{name}.parquet"

    def issued(self, tenant_id: str) -> Path:
        """The forecasts that were issued for a tenant, a file an origin."""
        return self.tenant(tenant_id) / "issued"

    def signals(self, tenant_id: str) -> Path:
        """What services told of a tenant's days: a folder a signal, a file an answer."""
        return self.tenant(tenant_id) / "signals"

    def anomaly_model(self, tenant_id: str) -> Path:
        """The settings that decide which of a tenant's days are called unusual."""
        return self.tenant(tenant_id) / "anomaly_model.json"

    def report(self, tenant_id: str) -> Path:
        """A tenant's HTML report."""
        return self.root / "reports" / f"{tenant_id}.html"


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are not there yet.

    Raises:
        StorageError: it cannot be made; says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the folder {folder} cannot be made: {error.strerror or error}; choose another PIPELINE_HOME, or make it"
        ) from error


def write_atomically(path: Path, content: bytes, modified_ns: int | None = None, *, shared: bool = False) -> None:
    """Write `content` to `path`: readers see the old file or the whole new one, never a part.

    The temporary file lies beside the target (a rename is atomic within one file system), is flushed
    to disk before the rename, and is removed when anything fails, a full disk included. `modified_ns` is the time of
    change that the file shall have, nanoseconds since 1970; None: now. Only its owner may read it, or, of what is
    `shared` with other programs, whoever the umask lets.

    Raises:
        StorageError: it cannot be written; says why.
    """
    try:
        _replace(path, content, modified_ns, shared=shared)
    except OSError as error:
        raise StorageError(
            f"cannot write {path} ({len(content)} bytes): {error.strerror or error}; what was stored before is kept"
        ) from error


def _replace(path: Path, content: bytes, modified_ns: int | None, *, shared: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if shared:
                os.fchmod(file.fileno(), 0o666 & ~_umask())
            if modified_ns is not None:
                os.utime(file.fileno(), ns=(modified_ns, modified_ns))
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's mask; it can only be read by setting it, which another thread might see."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o022
