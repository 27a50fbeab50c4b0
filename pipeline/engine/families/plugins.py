"""Families from other distributions, found by their entry points: a model of one's own needs no change here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from pipeline.engine.families.base import Family, Scope
from pipeline.errors import ConfigurationError

GROUP = "demand_forecast_pipeline.families"
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
DAYS = ("tenant_id", "product_id", "origin", "date", "horizon")
IN_TABLES = (*DAYS, "actual", "y_hat", "lower", "upper", "pinball", "scale")
RESERVED = frozenset({*IN_TABLES, "combination", "naive"})
"""Words that stand beside the families' names in tables, and mean something else there."""
MEMBERS = tuple(name for name in vars(Family) if not name.startswith("_"))


def find(own: Mapping[str, Family]) -> tuple[dict[str, Family], dict[str, str]]:
    """Return the families of all installed distributions by name, and which distribution and version each is of.

    Args:
        own: the families that are here already, by name.

    Raises:
        ConfigurationError: one cannot be loaded, its name is taken or unusable, or a member is missing or wrong.
    """
    found: dict[str, Family] = {}
    sources: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, _source(point))):
        if not NAME.fullmatch(point.name) or point.name in RESERVED:
            raise _refused(point, f"a name is small letters, digits and _, at most 64, and none of {sorted(RESERVED)}")
        if point.name in own or point.name in found:
            raise _refused(point, f"the name is taken by {sources.get(point.name, 'a family of the pipeline')}")
        found[point.name], sources[point.name] = _load(point), _source(point)
        stand_in = found[point.name].stand_in
        if stand_in is not None and (stand_in not in own or own[stand_in].stand_in is not None):
            raise _refused(point, f"its stand_in {stand_in!r} is not a family of the pipeline that is evaluated itself")
    return found, sources


def _load(point: EntryPoint) -> Family:
    try:
        family = point.load()()
    except Exception as error:  # whatever a foreign module raises, the owner must learn whose it is
        raise _refused(point, f"it cannot be loaded: {type(error).__name__}: {error}") from error
    missing = [member for member in MEMBERS if not hasattr(family, member)]
    if missing:
        raise _refused(point, f"it has no {', '.join(missing)}; a family has {', '.join(MEMBERS)}")
    if family.name != point.name:
        raise _refused(point, f"it calls itself {family.name!r}; both names must be the same")
    right = {
        "scope": isinstance(family.scope, Scope),
        "voice": isinstance(family.voice, str) and family.voice != "",
        "stand_in": family.stand_in is None or isinstance(family.stand_in, str),
        "intermittent": isinstance(family.intermittent, bool),
        "gatekeeper": isinstance(family.gatekeeper, bool),
        "fit": callable(family.fit),
        "from_files": callable(family.from_files),
    }
    wrong = [f"{member} = {getattr(family, member)!r}" for member, is_right in right.items() if not is_right]
    if wrong:
        raise _refused(point, f"the protocol does not allow {', '.join(wrong)}")
    loaded: Family = family
    return loaded


def _source(point: EntryPoint) -> str:
    return "no distribution" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def _refused(point: EntryPoint, fault: str) -> ConfigurationError:
    return ConfigurationError(f"family {point.name!r} ({point.value}) of {_source(point)}: {fault}")
