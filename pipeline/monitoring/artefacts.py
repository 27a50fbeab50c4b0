"""What lies at a path, as metadata: a file of one of our contracts, or what an adapter makes of another system's."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

import contracts
from contracts import CheckReport, Contract, DatasetMetadata, FreshnessResult, TrainingMetadata
from pipeline.errors import MetadataError
from pipeline.monitoring.adapters import CONTRACTS, Adapter, Place
from pipeline.monitoring.foreign import Artefact, Bundle, Document, ParquetFile
from pipeline.monitoring.metadata import shown, to_contract
from pipeline.tables import KEY

BUNDLE = "metadata.json"
"""What makes a folder a bundle: one artefact, not a folder of artefacts."""
KNOWN: tuple[type[Contract], ...] = (
    DatasetMetadata,
    TrainingMetadata,
    contracts.LineageEvent,
    contracts.ServingMetricsWindow,
    contracts.DeploymentHealthState,
    FreshnessResult,
    CheckReport,
)
"""What a JSON object may be; of two that its fields fit equally well the first."""

Wanted = TypeVar("Wanted", bound=Contract)


@dataclass(frozen=True)
class Found:
    """What lies at a path: plain values of a contract, not yet held against it."""

    path: Path
    contract: type[Contract]
    values: Mapping[str, JsonValue]
    how: str
    sources: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()

    def metadata(self) -> Contract:
        """Return it as its contract.

        Raises:
            MetadataError: it is not as the contract says; names file, field, value and rule.
        """
        if self.missing:
            raise MetadataError(f"{shown(self.path)}: {self.how} needs what is not there: {'; '.join(self.missing)}")
        return to_contract(self.values, self.contract, shown(self.path), self.sources)

    def of(self, wanted: type[Wanted]) -> Wanted:
        """Return it as the contract that is wanted.

        Raises:
            MetadataError: it is something else, or not as the contract says.
        """
        found = self.metadata()
        if not isinstance(found, wanted):
            raise MetadataError(f"{shown(self.path)} is {self.contract.__name__}; {wanted.__name__} is wanted here")
        return found


def is_bundle(path: Path) -> bool:
    """Say whether a path is a folder that is one artefact."""
    return os.path.isfile(path / BUNDLE)  # noqa: PTH113 - what may not be looked at is none, and raises nothing


def contract_of(values: Mapping[str, JsonValue]) -> type[Contract]:
    """Return the contract that the fields of a JSON object fit best; DatasetMetadata where they fit none."""
    return max(KNOWN, key=lambda kind: len(set(values) & set(kind.model_fields)) / len(kind.model_fields))


def find(path: Path, adapters: Sequence[Adapter]) -> Found:
    """Return what lies at a path: a folder is a bundle, a file is Parquet by its ending, and JSON otherwise.

    Raises:
        MetadataError: nothing is there, or it cannot be read.
    """
    if os.path.isdir(path):  # noqa: PTH112 - as above
        return _adapted(Bundle(path), "bundle", adapters)
    if path.suffix.lower() == ".parquet":
        file = ParquetFile(path)
        if own := file.own:
            return Found(path, DatasetMetadata, own, f"{KEY.decode()} in its schema")
        return _adapted(file, "parquet", adapters)
    document = Document(path)
    if any(one.reads == "json" and _fits(one, document) for one in adapters):
        return _adapted(document, "json", adapters)
    contract = contract_of(document.values)
    return Found(path, contract, document.values, contract.__name__)


def _adapted(artefact: Artefact, reads: str, adapters: Sequence[Adapter]) -> Found:
    adapter = next((one for one in adapters if one.reads == reads and _fits(one, artefact)), None)
    if adapter is None:
        names = ", ".join(one.name for one in adapters if one.reads == reads)
        raise MetadataError(f"{shown(artefact.path)}: no adapter fits; those for {reads} are {names or 'none'}")
    found: dict[str, JsonValue] = {}
    templates = {name for name, places in adapter.fields.items() if any(one.template is not None for one in places)}
    for name, places in sorted(adapter.fields.items(), key=lambda item: item[0] in templates):
        for place in places:
            if (value := _taken(artefact, place, found)) is not None:
                found[name] = value
                break
    return Found(
        artefact.path,
        CONTRACTS[adapter.contract],
        _nested(found),
        f"adapter {adapter.name}",
        {name: " or ".join(map(str, places)) for name, places in adapter.fields.items()},
        [str(place) for place in adapter.required if _taken(artefact, place, found) is None],
    )


def _fits(adapter: Adapter, artefact: Artefact) -> bool:
    return all(_taken(artefact, place, {}) is not None for place in adapter.when)


def _nested(found: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """`a.b` becomes an object `a` with a field `b`."""
    values: dict[str, JsonValue] = {}
    for name, value in found.items():
        outer, dot, inner = name.partition(".")
        if dot:
            part = values.setdefault(outer, {})
            assert isinstance(part, dict)
            part[inner] = value
        else:
            values[outer] = value
    return values


def _taken(artefact: Artefact, place: Place, found: Mapping[str, JsonValue]) -> JsonValue:
    if place.template is not None:
        return _filled(place.template, found)
    value = place.value if place.value is not None else artefact.at(place)
    if place.path is not None:
        value = artefact.path.stem if place.path == "stem" else str(artefact.path)
    return _converted(value, place) if isinstance(value, str) else value


def _filled(template: str, found: Mapping[str, JsonValue]) -> str | None:
    names = re.findall(r"\{([\w.]+)\}", template)
    if any(found.get(name) is None for name in names):
        return None
    return re.sub(r"\{([\w.]+)\}", lambda match: str(found[match[1]]), template)


def _converted(text: str, place: Place) -> JsonValue:
    """A text as the place says; one that is not of that form stays as it is, for the contract to refuse."""
    if place.taken_as == "integer":
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()) else text
    if place.taken_as == "number":
        return float(text) if re.fullmatch(r"[+-]?[0-9]{1,18}(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?", text.strip()) else text
    if place.taken_as == "moment" and place.format is not None:
        try:
            moment = dt.datetime.strptime(text, place.format)
        except ValueError:
            return text
        # strptime takes 2024111_1 for a moment, too; only what is written like this again was meant.
        return moment.replace(tzinfo=dt.UTC).isoformat() if moment.strftime(place.format) == text else text
    return text
