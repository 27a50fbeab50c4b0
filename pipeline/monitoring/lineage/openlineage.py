"""Our events as OpenLineage's: a run of a job with its data sets, in the words of its own client."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from contracts import LineageEvent, Role, Versioned
from pipeline import __version__
from pipeline.keys import partition_key
from pipeline.monitoring.lineage.steps import EventType

if TYPE_CHECKING:
    from openlineage.client.generated.base import DatasetFacet, RunEvent

PRODUCER = f"urn:demand-forecast-pipeline:{__version__}"
_RUNS = uuid.UUID("0d0f9f6e-5b52-4b64-9a55-3c2a2d0b7f10")
"""Within it the ids of runs are made from events: what is sent again is the same run."""


def run_event(event: LineageEvent, namespace: str) -> RunEvent:
    """Return an event as a completed run.

    A data set stands under the namespace, a model, which is a data set of the type MODEL, under NAMESPACE/models. Each
    tells its version. The models of a forecast are inputs.
    """
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import output_statistics_output_dataset

    rows = event.metadata.get("row_count")
    statistics = (
        {
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=rows, producer=PRODUCER
            )
        }
        if isinstance(rows, int)
        else {}
    )
    return RunEvent(
        eventType=RunState.COMPLETE,
        eventTime=event.event_time.isoformat(),
        run=Run(runId=str(uuid.uuid5(_RUNS, event.model_dump_json()))),
        job=Job(namespace=namespace, name=_job(event)),
        inputs=[
            InputDataset(namespace=_space(role, namespace), name=one.name, facets=_facets(role, one))
            for role, one in (*event.inputs.items(), *_models_of(event))
        ],
        outputs=[
            OutputDataset(
                namespace=_space(role, namespace),
                name=one.name,
                facets=_facets(role, one),
                outputFacets=dict(statistics) if role is Role.DATASET else {},
            )
            for role, one in event.outputs.items()
        ],
        producer=PRODUCER,
    )


def _job(event: LineageEvent) -> str:
    """A job a data set; one a tenant for what is done to its models, of which there may be thousands."""
    if (made := event.outputs.get(Role.DATASET)) is not None:
        return f"{made.name}/{event.event_type}"
    names = [one.name for one in (*event.outputs.values(), *event.inputs.values())]
    return "/".join([*(name.partition("/")[0] for name in names[:1]), event.event_type])


def _models_of(event: LineageEvent) -> list[tuple[Role, Versioned]]:
    """The models that a forecast was made by."""
    models, made = event.metadata.get("models"), event.outputs.get(Role.DATASET)
    if event.event_type != EventType.FORECAST or not isinstance(models, dict) or made is None:
        return []
    tenant_id = made.name.partition("/")[0]
    return [
        (Role.MODEL, Versioned(name=partition_key(tenant_id, product), version=str(version)))
        for product, version in models.items()
    ]


def _space(role: Role, namespace: str) -> str:
    return f"{namespace}/models" if role is Role.MODEL else namespace


def _facets(role: Role, one: Versioned) -> dict[str, DatasetFacet]:
    from openlineage.client.facet_v2 import dataset_type_dataset, dataset_version_dataset

    version = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=one.version, producer=PRODUCER)
    if role is Role.DATASET:
        return {"version": version}
    kind = dataset_type_dataset.DatasetTypeDatasetFacet(datasetType="MODEL", producer=PRODUCER)
    return {"version": version, "datasetType": kind}
