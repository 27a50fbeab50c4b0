"""The registry of models and jobs, and the store of their artefacts."""

from pipeline.registry.database import check_schema, open_engine, upgrade
from pipeline.registry.records import Decision, JobRecord, JobStatus, ModelRecord, Promotion
from pipeline.registry.registry import Registry, open_registry
from pipeline.registry.store import ArtefactStore

__all__ = [
    "ArtefactStore",
    "Decision",
    "JobRecord",
    "JobStatus",
    "ModelRecord",
    "Promotion",
    "Registry",
    "check_schema",
    "open_engine",
    "open_registry",
    "upgrade",
]
