"""The local holidays of towns that are known, as data: `towns.toml` beside this module."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from contracts import LocalHoliday
from pipeline.errors import UnknownCountryError
from pipeline.tenants import slugged

_SHOWN = 40


def holidays_of_town(country: str, region: str | None, town: str | None) -> tuple[LocalHoliday, ...]:
    """Return the rules of a town's holidays, none where no town is given; capitals and accents make no difference.

    Raises:
        UnknownCountryError: the town is none of those known for the country and region; names these.
    """
    if town is None:
        return ()
    regions = [rules["towns"] for code, rules in _known().get(country, {}).items() if _is_meant(country, region, code)]
    known = {name: rules for towns in regions for name, rules in towns.items()}
    meant = [name for name in known if slugged(name) == slugged(town)]
    if not meant:
        place = country if region is None else f"{country}, region {region}"
        shown = ", ".join(sorted(known)[:_SHOWN]) or "no town"
        raise UnknownCountryError(
            f"the holidays of town {town!r} are not known; known for {place}: {shown}. Leave town unset, and state "
            'them in the tenant\'s file: [[local_holidays]] with name = "San Isidro" and yearly = "05-15"'
        )
    return tuple(LocalHoliday.model_validate(_rule(rule)) for rule in known[meant[0]])


def _is_meant(country: str, region: str | None, code: str) -> bool:
    if region is None or region == code:
        return True
    import holidays

    return region in holidays.country_holidays(country).get_subdivision_aliases().get(code, [])


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    """What the calendar needs of a rule; what it stands on is for people."""
    return {field: value for field, value in rule.items() if field != "source"}


@cache
def _known() -> dict[str, dict[str, Any]]:
    """By country and region: `announced`, the gazette, and `towns`, the rules of each."""
    return tomllib.loads(resources.files("pipeline.sources").joinpath("towns.toml").read_text(encoding="utf-8"))
