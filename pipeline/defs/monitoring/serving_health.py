"""`serving_health`, `deployments`: how the deployments of models are, by the windows that their servers report."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence

import dagster as dg
import pandas as pd

from contracts import DeploymentHealthState, HealthStatus
from pipeline.defs.ingestion.assets import OWNERS
from pipeline.defs.partitions import DEPLOYMENTS
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import preview
from pipeline.errors import MetadataError
from pipeline.home import Home
from pipeline.keys import plain_key
from pipeline.monitoring.found import read_serving_health, serving_health_path
from pipeline.monitoring.metrics.read import MOST_DEPLOYMENTS
from pipeline.monitoring.serving.assess import ServingHealth, assess, metrics_folder, remember, remembered
from pipeline.monitoring.serving.shown import p95_lines

SHOWN = 100
BADNESS = [HealthStatus.HEALTHY, HealthStatus.DEGRADED, HealthStatus.UNHEALTHY]
SEVERITY = {HealthStatus.UNHEALTHY: dg.AssetCheckSeverity.ERROR}


@dg.asset(group_name="monitoring", kinds={"json"}, owners=OWNERS)
def serving_health(context: dg.AssetExecutionContext, installation: InstallationResource) -> dg.MaterializeResult[None]:
    """How each deployment is, by its windows of the last day: healthy, degraded or unhealthy, and by which rule.

    Lines that cannot be used, and windows that were reported twice with different figures, are named.
    """
    opened = installation.open()
    folder = metrics_folder(opened.settings, opened.home)
    health = assess(folder, opened.settings, dt.datetime.now(dt.UTC), _known(context, opened.home))
    remember(opened.home, health)
    each = told_apart(health.deployments)
    _name_partitions(context.instance, each)
    for state in each:
        context.log_event(
            dg.AssetObservation(
                deployments.key,
                partition=plain_key(state.deployment_id),
                description=f"{state.status.value}: {state.detail}",
                metadata=state.model_dump(mode="json"),
            )
        )
    counts = Counter(state.status for state in health.deployments)
    context.log.info(f"{folder}: {len(health.read.windows)} windows of {len(health.deployments)} deployments")
    return dg.MaterializeResult(
        metadata={
            **{status.value: counts[status] for status in HealthStatus},
            "windows": len(health.read.windows),
            "files": health.read.files,
            "repeats": health.read.repeats,
            "faults": health.read.fault_count,
            "conflicts": health.read.conflict_count,
            "folder": dg.MetadataValue.path(str(folder)),
            "path": dg.MetadataValue.path(str(serving_health_path(opened.home))),
            **_tables(health),
        }
    )


def _known(context: dg.AssetExecutionContext, home: Home) -> list[DeploymentHealthState]:
    """The deployments that were found last; what cannot be read is written anew, without those that are silent."""
    try:
        return remembered(home)
    except MetadataError as error:
        context.log.warning(f"deployments that have fallen silent are not known any more: {error}")
        return []


deployments = dg.AssetSpec(
    "deployments",
    deps=[serving_health],
    partitions_def=DEPLOYMENTS,
    group_name="monitoring",
    owners=OWNERS,
    description="The deployments of models that serve, here or in another system: a partition each, told of by "
    "`serving_health`.",
)


@dg.asset_check(asset=serving_health)
def deployments_healthy(installation: InstallationResource) -> dg.AssetCheckResult:
    """All deployments are healthy, or are named with the rule that they break; and no server's file is of no use."""
    found = read_serving_health(installation.open().home)
    together = _all(found.deployments if found else ())
    if found is None or not found.unusable_count:
        return together
    first = found.unusable[0]
    told = f"files or folders of servers that gave no window: {found.unusable_count}; {first.path}: {first.reason}"
    unusable = pd.DataFrame([one.model_dump() for one in found.unusable])
    return together._replace(
        passed=False,
        description=f"{together.description}; {told}",
        metadata={
            **(together.metadata or {}),
            "unusable": dg.MetadataValue.int(found.unusable_count),
            "unusable_table": preview(unusable, SHOWN),
        },
    )


EACH = dg.AssetCheckSpec(
    "deployment_healthy",
    asset=deployments.key,
    partitions_def=DEPLOYMENTS,
    additional_deps=[serving_health],
    description="A deployment is healthy: an evaluation each, with its figures and the rule that it breaks.",
)


@dg.multi_asset_check(specs=[EACH])
def deployment_healthy(
    installation: InstallationResource,
) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
    """Say of each deployment whether it is healthy, in a run that is of no single one.

    Dagster makes evaluations of results only in a run of one partition; these are made here.
    """
    states = remembered(installation.open().home)
    yield dg.Output(None, output_name=EACH.get_python_identifier())
    # The place of a run as a whole is taken when it is planned. Of all evaluations the last stands for the check in the
    # UI's list: the worst.
    yield _evaluation(_all(states))
    for state in reversed(told_apart(states)):
        yield _evaluation(_one(state), plain_key(state.deployment_id))


def _evaluation(found: dg.AssetCheckResult, partition: str | None = None) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=EACH.asset_key,
        check_name=EACH.name,
        passed=found.passed,
        severity=found.severity,
        description=found.description,
        metadata=found.metadata,
        partition=partition,
    )


def told_apart(states: Sequence[DeploymentHealthState]) -> list[DeploymentHealthState]:
    """Return the deployments that are told one by one, the worst first: each round keeps two events of each."""
    return sorted(states, key=lambda one: -BADNESS.index(one.status))[:MOST_DEPLOYMENTS]


def _one(state: DeploymentHealthState) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=state.status is HealthStatus.HEALTHY,
        severity=SEVERITY.get(state.status, dg.AssetCheckSeverity.WARN),
        description=f"{state.deployment_id} is {state.status.value}: {state.detail}",
        metadata=state.model_dump(mode="json"),
    )


def _all(states: Sequence[DeploymentHealthState]) -> dg.AssetCheckResult:
    """What is said of all deployments together."""
    bad = sorted(
        (one for one in states if one.status is not HealthStatus.HEALTHY), key=lambda one: -BADNESS.index(one.status)
    )
    named = pd.DataFrame(
        [{"deployment": one.deployment_id, "status": one.status.value, "detail": one.detail} for one in bad[:SHOWN]]
    )
    unhealthy = any(one.status is HealthStatus.UNHEALTHY for one in bad)
    if not states:
        told = "there are no deployments: no window has been reported"
    elif bad:
        told = f"{len(bad)} of {len(states)} deployments are not healthy; {bad[0].deployment_id}: {bad[0].detail}"
    else:
        told = f"all deployments are healthy: {len(states)}"
    return dg.AssetCheckResult(
        passed=not bad,
        severity=dg.AssetCheckSeverity.ERROR if unhealthy else dg.AssetCheckSeverity.WARN,
        description=told,
        metadata={
            "deployments": len(states),
            "not_healthy": len(bad),
            **({"named": preview(named, SHOWN)} if bad else {}),
        },
    )


def _name_partitions(instance: dg.DagsterInstance, states: Sequence[DeploymentHealthState]) -> None:
    """Let the deployments of now be partitions, and those that are forgotten none."""
    wanted = {plain_key(state.deployment_id) for state in states}
    there = set(instance.get_dynamic_partitions(str(DEPLOYMENTS.name)))
    instance.add_dynamic_partitions(str(DEPLOYMENTS.name), sorted(wanted - there))
    for gone in there - wanted:
        instance.delete_dynamic_partition(str(DEPLOYMENTS.name), gone)


def _tables(health: ServingHealth) -> dict[str, dg.MetadataValue]:
    """The deployments, faults and conflicts as tables, and the p95 as a plot; each where there is something."""
    states = pd.DataFrame(
        [
            {
                "deployment": one.deployment_id,
                "status": one.status.value,
                "windows": one.evaluated_windows,
                "missing": one.missing_window_count,
                "latest window": f"{one.latest_window_end:%Y-%m-%d %H:%M} UTC",
                "detail": one.detail,
            }
            for one in health.deployments
        ]
    )
    faults = pd.DataFrame(
        [{"where": one.path, "line": one.line or "", "reason": one.reason} for one in health.read.faults]
    )
    conflicts = pd.DataFrame(
        [
            {"deployment": one.deployment_id, "kept": one.kept, "dropped": one.dropped, "reason": one.reason}
            for one in health.read.conflicts
        ]
    )
    found = {"deployments": states, "fault_table": faults, "conflict_table": conflicts}
    tables: dict[str, dg.MetadataValue] = {name: preview(f[:SHOWN], SHOWN) for name, f in found.items() if len(f)}
    lines = p95_lines(health)
    return tables | ({"p95": dg.MetadataValue.md(lines)} if lines else {})
