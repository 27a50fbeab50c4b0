"""The installation as a Dagster resource: one place that says where everything is kept."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from pydantic import Field, PrivateAttr

from pipeline import logs
from pipeline.defs.ends import tenant_of
from pipeline.installation import Installation
from pipeline.settings import get_settings


class InstallationResource(dg.ConfigurableResource):  # type: ignore[type-arg]  # it gives itself, not a value
    """Settings, folders, registry and artefact store of this installation."""

    pipeline_home: str | None = Field(
        None, description="Folder that holds everything that is written; PIPELINE_HOME when unset."
    )
    _opened: Installation | None = PrivateAttr(None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Serve a run, or a look of a sensor: what it logs names the run, its tenant and what caused it."""
        if logs.current() is None:  # The command line has done it already, and knows what stderr was before the run.
            logs.configure(self.open().settings)
        logs.bind(**fields_of(context.run))

    def open(self) -> Installation:
        """Return the installation; it is opened once a run."""
        if self._opened is None:
            settings = get_settings()
            if self.pipeline_home is not None:
                settings = settings.model_copy(update={"pipeline_home": Path(self.pipeline_home)})
            self._opened = Installation(settings)
        return self._opened


def fields_of(run: dg.DagsterRun | None) -> dict[str, str | None]:
    """Return what the log lines of a run bear; of no run nothing."""
    if run is None:
        return {}
    cause = run.tags.get(logs.CORRELATION_TAG, run.run_id)
    return {"run": run.run_id, "tenant": tenant_of(run) or None, "correlation": cause}


@dg.definitions
def resources() -> dg.Definitions:
    """Bind the resource under the name that the assets ask for."""
    return dg.Definitions(resources={"installation": InstallationResource(pipeline_home=None)})
