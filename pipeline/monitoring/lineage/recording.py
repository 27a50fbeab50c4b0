"""Notes what the pipeline makes, where it is made; nothing here fails what it takes note of."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from contracts import DatasetMetadata, LineageEvent, ModelManifest, TrainingErrors, TrainingMetadata, Versioned
from pipeline.errors import MetadataError, StorageError
from pipeline.home import Home, write_atomically
from pipeline.keys import partition_key
from pipeline.monitoring.lineage.log import record
from pipeline.monitoring.lineage.steps import model_trained, version_of
from pipeline.tables import read_metadata

if TYPE_CHECKING:
    from pipeline.training.trainer import Done

AT_ONCE = 200
"""Trainings that are noted together."""
SECONDS = 2.0
"""How long a training waits for others to be noted with; so much is lost where the process is killed."""
_LOG = logging.getLogger(__name__)


def metadata_of(home: Home, tenant_id: str, name: str) -> DatasetMetadata | None:
    """Return the metadata of one of a tenant's tables; None where there is none, or none that can be read."""
    try:
        return read_metadata(home.table(tenant_id, name))
    except MetadataError as error:
        _LOG.warning("lineage goes without %s of tenant %r: %s", name, tenant_id, error)
        return None


def version_in_use(home: Home, tenant_id: str, name: str) -> Versioned | None:
    """Return the version of one of a tenant's tables; None where it is not known."""
    found = metadata_of(home, tenant_id, name)
    return None if found is None else version_of(found)


def training_data(home: Home, tenant_id: str) -> Versioned | None:
    """Return what a training of this moment learns from: the features, where they are of the sales of today.

    A product that is trained by hand may find features that are older than the sales it is trained on.
    """
    features, sales = (metadata_of(home, tenant_id, name) for name in ("features", "sales"))
    if features is None or sales is None:
        return None if sales is None else version_of(sales)
    return version_of(features if features.built_at >= sales.built_at else sales)


class Trainings:
    """The models of one training, noted in portions; and at its end described, a line each."""

    def __init__(self, home: Home, tenant_id: str, run_id: str) -> None:
        self._home, self._tenant_id, self._run_id = home, tenant_id, run_id
        self._made_from = training_data(home, tenant_id)
        self._waiting: list[LineageEvent] = []
        self._since = time.monotonic()
        self._described: list[TrainingMetadata] = []
        self._undescribed = 0

    def add(self, done: Done) -> None:
        """Take note of a product that the trainer is through with, where it has a model."""
        if done.manifest is None:
            return
        cause = None if done.ledger.cause is None else str(done.ledger.cause)
        self._waiting.append(model_trained(done.manifest, self._made_from, self._run_id, cause))
        self._describe(done.manifest)
        if len(self._waiting) >= AT_ONCE or time.monotonic() - self._since >= SECONDS:
            self._note()

    def close(self) -> None:
        """Note the rest, and write what describes the models; those of the training before stand where there are none.

        A model that no past origin was there to score has no errors that could be told, and is left out.
        """
        self._note()
        if self._undescribed:
            _LOG.info("models without errors to describe, as no past origin was scored: %d", self._undescribed)
        if self._described or self._undescribed:
            lines = "".join(f"{one.model_dump_json()}\n" for one in self._described)
            try:
                write_atomically(described_in(self._home, self._tenant_id), lines.encode())
            except StorageError as error:
                _LOG.warning("the trained models could not be described: %s", error)

    def _note(self) -> None:
        record(self._home.lineage, self._waiting)
        self._waiting, self._since = [], time.monotonic()

    def _describe(self, manifest: ModelManifest) -> None:
        rmse, mae = manifest.metrics.rmse, manifest.metrics.mae
        if rmse is None or mae is None or self._made_from is None:
            self._undescribed += 1
            return
        name = partition_key(manifest.tenant_id, manifest.product_id)
        self._described.append(
            TrainingMetadata(
                run_id=self._run_id,
                model_name=name,
                model_version=manifest.version,
                input_dataset_name=self._made_from.name,
                input_dataset_version=self._made_from.version,
                started_at=manifest.created_at - timedelta(seconds=manifest.seconds),
                completed_at=manifest.created_at,
                metrics=TrainingErrors(rmse=rmse, mae=mae),
                artifact_path=f"models:/{name}/{manifest.version}",
            )
        )


def described_in(home: Home, tenant_id: str) -> Path:
    """Return the file that describes the models of a tenant's last training."""
    return home.tenant(tenant_id) / "training_metadata.ndjson"


@contextmanager
def trainings(home: Home, tenant_id: str, run_id: str) -> Iterator[Trainings]:
    """Take note of a training's models; also of those before it failed."""
    noted = Trainings(home, tenant_id, run_id)
    try:
        yield noted
    finally:
        noted.close()
