"""The registry of models and jobs, and the store of their artefacts."""

from pipeline.registry.database import check_schema, open_engine, upgrade
from pipeline.registry.records import (
    Action,
    Decision,
    Experiment,
    Figure,
    JobRecord,
    JobStatus,
    ModelRecord,
    Promotion,
    Wanted,
)
from pipeline.registry.registry import Registry, open_registry
from pipeline.registry.store import ArtefactStore

__all__ = [
    "Action",
    "ArtefactStore",
    "Decision",
    "Experiment",
    "Figure",
    "JobRecord",
    "JobStatus",
    "ModelRecord",
    "Promotion",
    "Registry",
    "Wanted",
    "check_schema",
    "open_engine",
    "open_registry",
    "upgrade",
]
