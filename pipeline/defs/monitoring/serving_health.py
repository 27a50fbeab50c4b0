"""`serving_health`: how the deployments of models are, by the windows that their servers report."""

# Dagster reads the annotation of `context` as it stands: annotations must not be postponed here.

import datetime as dt
from collections import Counter
from collections.abc import Sequence

import dagster as dg
import pandas as pd

from contracts import DeploymentHealthState, HealthStatus
from pipeline.defs.ingestion.assets import OWNERS
from pipeline.defs.partitions import DEPLOYMENTS
from pipeline.defs.resources import InstallationResource
from pipeline.defs.shown import preview
from pipeline.keys import plain_key
from pipeline.monitoring.serving.assess import ServingHealth, assess, metrics_folder, remember, remembered, stored
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
    health = assess(folder, opened.settings, dt.datetime.now(dt.UTC), remembered(opened.home))
    remember(opened.home, health)
    _name_partitions(context.instance, health.deployments)
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
            "path": dg.MetadataValue.path(str(stored(opened.home))),
            **_tables(health),
        }
    )


@dg.asset_check(asset=serving_health)
def deployment_healthy(
    context: dg.AssetCheckExecutionContext, installation: InstallationResource
) -> dg.AssetCheckResult:
    """A deployment is healthy; one evaluation a deployment with the rule that it breaks, and one of all together."""
    states = remembered(installation.open().home)
    inner = context.op_execution_context
    together = _all(states)
    at = together.to_asset_check_evaluation(inner.get_step_execution_context()).target_materialization_data
    # The evaluation that was logged last stands for the check in the UI's list: the worst comes last.
    for state in sorted(states, key=lambda one: BADNESS.index(one.status)):
        one = _one(state)
        inner.log_event(  # It takes every kind of event that a step may have; its annotation does not say so.
            dg.AssetCheckEvaluation(  # type: ignore[arg-type]
                asset_key=serving_health.key,
                check_name="deployment_healthy",
                passed=one.passed,
                severity=one.severity,
                description=one.description,
                metadata=one.metadata,
                partition=plain_key(state.deployment_id),
                target_materialization_data=at,
            )
        )
    return together


def _one(state: DeploymentHealthState) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=state.status is HealthStatus.HEALTHY,
        severity=SEVERITY.get(state.status, dg.AssetCheckSeverity.WARN),
        description=f"{state.deployment_id} is {state.status.value}: {state.detail}",
        metadata=state.model_dump(mode="json"),
    )


def _all(states: Sequence[DeploymentHealthState]) -> dg.AssetCheckResult:
    """What is said of several deployments together; of a single one all there is to say."""
    if len(states) == 1:
        return _one(states[0])
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
        told = f"all {len(states)} deployments are healthy"
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
    """Let the deployments of now be partitions, so that each has its place among the check's evaluations."""
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
