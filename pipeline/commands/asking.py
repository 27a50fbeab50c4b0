"""What the options of a command ask of a training, in the form of the launchpad."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contracts import AdvancedTrainingRequest
from pipeline.errors import ConfigurationError
from pipeline.requests import accepted

OF_ONE_TENANT = {
    "products": "--product",
    "start": "--start",
    "end": "--end",
    "evaluation_origins": "--origins",
    "overrides": "--set",
}
"""The option that gives a field, where it is a matter of one tenant."""


def parsed_overrides(given: Iterable[str]) -> dict[str, Any]:
    """Return the values of `SETTING=VALUE`s by setting: numbers where they are such, else text.

    Raises:
        ConfigurationError: one is not SETTING=VALUE, or a setting is given twice.
    """
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals or not value:
            raise ConfigurationError(f"--set {one!r} is not SETTING=VALUE, such as lightgbm_max_depth=6")
        if name in found:
            raise ConfigurationError(f"--set {one!r}: {name!r} is given twice, before with {found[name]!r}")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def plan_config(tenants: Sequence[str], asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the configuration of a run that was asked for more than to train what is due; None: it was not.

    Args:
        tenants: that are to be trained.
        asked: fields of the request; None: not given.

    Raises:
        ConfigurationError: it breaks a rule, or asks of several tenants what is a matter of one.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    if not given:
        return None
    alone = [option for name, option in OF_ONE_TENANT.items() if name in given]
    if alone and len(tenants) != 1:
        belong = "belongs" if len(alone) == 1 else "belong"
        raise ConfigurationError(
            f"{', '.join(alone)} {belong} to one tenant: say which with --tenant: {', '.join(tenants)}"
        )
    requests = [accepted(AdvancedTrainingRequest, tenant=tenant, **given) for tenant in tenants]
    fields = [request.model_dump(mode="json", exclude={"tenant"}, exclude_unset=True) for request in requests]
    return {"ops": {"training_plan": {"config": fields[0]}}} if fields else None
