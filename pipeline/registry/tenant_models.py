"""Fits that all of a tenant's products share, found again by the hash of their data and parameters."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import select

from contracts import ArtefactRef
from pipeline.registry.repository import Repository, now, upsert
from pipeline.registry.tables import TenantModel


class TenantModels(Repository):
    """The table `tenant_models`."""

    def tenant_model(self, tenant_id: str, family: str, key: str) -> tuple[ArtefactRef, ...] | None:
        """Return the files of a family's fit, or None; `key` is the SHA-256 of its data and parameters.

        Where manifests are signed there is none: these rows are not, and would bring unsigned files under a signature.
        """
        if self._key is not None:
            return None
        query = select(TenantModel.files).where(
            TenantModel.tenant_id == tenant_id, TenantModel.family == family, TenantModel.key == key
        )
        with self._reading() as connection:
            files = connection.scalar(query)
        return None if files is None else tuple(ArtefactRef.model_validate(file) for file in files)

    def save_tenant_model(
        self, tenant_id: str, family: str, key: str, files: Sequence[ArtefactRef], *, origin: dt.date, seconds: float
    ) -> None:
        """Store a fit's files; saved again under the same key, the new ones replace them."""
        values = {
            "tenant_id": tenant_id,
            "family": family,
            "key": key,
            "origin": origin,
            "created_at": now(),
            "files": [file.model_dump() for file in files],
            "seconds": seconds,
        }
        with self._writing() as connection:
            upsert(connection, TenantModel, values, ("tenant_id", "family", "key"))
