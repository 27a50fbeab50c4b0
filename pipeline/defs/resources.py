"""The installation as a Dagster resource: one place that says where everything is kept."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from pydantic import Field, PrivateAttr

from pipeline.installation import Installation
from pipeline.settings import get_settings


class InstallationResource(dg.ConfigurableResource):  # type: ignore[type-arg]  # it gives itself, not a value
    """Settings, folders, registry and artefact store of this installation."""

    pipeline_home: str | None = Field(
        None, description="Folder that holds everything that is written; PIPELINE_HOME when unset."
    )
    _opened: Installation | None = PrivateAttr(None)

    def open(self) -> Installation:
        """Return the installation; it is opened once a run."""
        if self._opened is None:
            settings = get_settings()
            if self.pipeline_home is not None:
                settings = settings.model_copy(update={"pipeline_home": Path(self.pipeline_home)})
            self._opened = Installation(settings)
        return self._opened


@dg.definitions
def resources() -> dg.Definitions:
    """Bind the resource under the name that the assets ask for."""
    return dg.Definitions(resources={"installation": InstallationResource(pipeline_home=None)})
