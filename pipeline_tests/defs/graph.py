"""The shape of the graph as plain data, and the file that it is held against.

`python -m pipeline_tests.defs.graph` writes the file anew, once a change of shape is wanted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dagster as dg

from pipeline_tests.defs.world import definitions

SNAPSHOT = Path(__file__).with_name("graph.json")
ALL_ASSETS = "__ASSET_JOB"


def shape() -> dict[str, Any]:
    """Return every asset, check, job, schedule and sensor with what others rely on."""
    found = definitions()
    return {
        "assets": {spec.key.to_user_string(): _asset(spec) for spec in _sorted(found.resolve_all_asset_specs())},
        "checks": {
            f"{spec.asset_key.to_user_string()}: {spec.name}": {
                "blocking": spec.blocking,
                "partitions": _partitions(spec.partitions_def),
            }
            for spec in check_specs()
        },
        "jobs": {job.name: _assets(job) for job in jobs()},
        "schedules": {
            one.name: {
                "job": one.job_name,
                "cron": one.cron_schedule,
                "time zone": one.execution_timezone,
                "default": one.default_status.value,
            }
            for one in sorted(found.schedules or (), key=lambda one: one.name)
        },
        "sensors": {
            one.name: {
                "job": target_of(one),
                "seconds": one.minimum_interval_seconds,
                "default": one.default_status.value,
            }
            for one in sorted(found.sensors or (), key=lambda one: one.name)
        },
    }


def target_of(sensor: dg.SensorDefinition) -> str | None:
    """The jobs that a sensor asks for; None where it asks for none."""
    return ", ".join(sorted(target.job_name for target in sensor.targets)) or None


def check_specs() -> list[dg.AssetCheckSpec]:
    """Return every check's spec, in order."""
    specs = [spec for checks in definitions().asset_checks or () for spec in checks.check_specs]
    return sorted(specs, key=lambda spec: (spec.asset_key.to_user_string(), spec.name))


def jobs() -> list[dg.JobDefinition]:
    """Return the jobs that people and schedules start, in order."""
    found = (job for job in definitions().resolve_all_job_defs() if job.name != ALL_ASSETS)
    return sorted(found, key=lambda job: job.name)


def written(shape: dict[str, Any]) -> str:
    """Return the text of a shape."""
    return json.dumps(shape, indent=2, ensure_ascii=False) + "\n"


def _asset(spec: dg.AssetSpec) -> dict[str, Any]:
    return {
        "group": spec.group_name,
        "partitions": _partitions(spec.partitions_def),
        "kinds": sorted(spec.kinds),
        "owners": sorted(spec.owners),
        "deps": sorted(map(_dep, spec.deps)),
    }


def _dep(dep: dg.AssetDep) -> str:
    every = isinstance(dep.partition_mapping, dg.AllPartitionMapping)
    return dep.asset_key.to_user_string() + (" (every partition)" if every else "")


def _partitions(definition: dg.PartitionsDefinition | None) -> str | None:
    return definition.name if isinstance(definition, dg.DynamicPartitionsDefinition) else definition and str(definition)


def _assets(job: dg.JobDefinition) -> list[str]:
    return sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys)


def _sorted(specs: Iterable[dg.AssetSpec]) -> list[dg.AssetSpec]:
    return sorted(specs, key=lambda spec: spec.key.to_user_string())


if __name__ == "__main__":
    SNAPSHOT.write_text(written(shape()), encoding="utf-8")
