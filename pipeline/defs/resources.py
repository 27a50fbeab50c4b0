"""The installation as a Dagster resource: one place that says where everything is kept."""

from __future__ import annotations

import logging
from pathlib import Path

import dagster as dg
from pydantic import Field, PrivateAttr

from pipeline import logs
from pipeline.defs.ends import tenant_of
from pipeline.defs.waiting import waiting
from pipeline.errors import PipelineError
from pipeline.installation import Installation
from pipeline.monitoring.metrics.textfile import write_metrics
from pipeline.settings import get_settings

logger = logging.getLogger(__name__)


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

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Leave the figures of now in a file when a run ends, however; where that cannot be, the run is as it was."""
        if context.run is None or context.instance is None:
            return
        instance = context.instance
        try:
            write_metrics(self.open(), lambda: waiting(instance))
        except PipelineError as error:
            logger.warning("the metrics of this run's end could not be written: %s", error)

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
