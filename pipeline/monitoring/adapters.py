"""How artefacts of other systems are read as metadata: a table of where each field stands, not code.

An adapter names, for each field of its contract, the places that may hold it; the first that does is taken. The ones
that come with the pipeline lie in `adapters.toml` beside this file; an operator's come first.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts import Contract, DatasetMetadata, TrainingMetadata
from pipeline.errors import ConfigurationError, MetadataError
from pipeline.monitoring.metadata import read_bytes, told
from pipeline.settings import Settings

OWN_FILE = "adapters.toml"
CONTRACTS: dict[str, type[Contract]] = {one.__name__: one for one in (DatasetMetadata, TrainingMetadata)}
NESTED = {"metrics": ("metrics.rmse", "metrics.mae")}
"""Fields that are filled part by part."""
_EVERYWHERE = {"value", "template", "path"}
_PLACES = {
    "parquet": _EVERYWHERE | {"schema_key", "columns_without"},
    "bundle": _EVERYWHERE | {"file"},
    "json": _EVERYWHERE | {"key"},
}
"""By what is read, the kinds of places that it has."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Place(_Table):
    """Where a value may stand; exactly one kind of place, and how the text that is found there is taken."""

    value: str | int | float | None = Field(None, description="This value itself.")
    template: str | None = Field(None, description="A text in which {FIELD} stands for a field found elsewhere.")
    path: Literal["stem", "full"] | None = Field(None, description="The name without its ending, or the whole path.")
    schema_key: str | None = Field(None, description="A key of a Parquet file's schema metadata.")
    columns_without: tuple[str, ...] | None = Field(None, description="How many columns there are but for these.")
    file: Annotated[str, Field(pattern=r"^[^/\\]*[^/\\.][^/\\]*$")] | None = Field(
        None, description="A file of a bundle: its whole text, or with `key` what a JSON object holds there."
    )
    key: str | None = Field(None, description="A key of a JSON object; dots lead into inner ones.")
    taken_as: Literal["integer", "number", "moment"] | None = Field(None, alias="as")
    format: str | None = Field(None, description="strptime form of a moment, which is taken as UTC.")

    @property
    def kind(self) -> str:
        """Which kind of place it is."""
        kinds = [name for name in (*sorted(_EVERYWHERE), "schema_key", "columns_without", "file") if self._has(name)]
        if len(kinds) != 1 and not (self.key is not None and not kinds):
            raise ValueError(f"a place is one of value, template, path, schema_key, columns_without, file, key; {self}")
        return kinds[0] if kinds else "key"

    def __str__(self) -> str:
        """The place as an operator writes it."""
        given = self.model_dump(by_alias=True, exclude_none=True)
        return ", ".join(f"{name} {value!r}" for name, value in given.items()) or "no place"

    def _has(self, name: str) -> bool:
        return getattr(self, name) is not None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.key is not None and self.kind not in ("file", "key"):
            raise ValueError(f"key belongs to a JSON object, alone or with file; {self}")
        if self.format is not None and self.taken_as != "moment":
            raise ValueError(f'format belongs to as = "moment"; {self}')
        return self


class Adapter(_Table):
    """How one kind of artefact is read as one contract."""

    name: str = Field(min_length=1)
    reads: Literal["parquet", "bundle", "json"] = Field(description="A .parquet file, a folder, or a .json file.")
    contract: Literal["DatasetMetadata", "TrainingMetadata"]
    fields: dict[str, Annotated[tuple[Place, ...], Field(min_length=1)]]
    when: tuple[Place, ...] = Field((), description="It fits only where all of these hold something.")
    required: tuple[Place, ...] = Field((), description="Must hold something, though no field is taken from there.")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        for place in (*self.when, *self.required, *(one for places in self.fields.values() for one in places)):
            if place.kind not in _PLACES[self.reads]:
                raise ValueError(f"adapter {self.name!r} reads {self.reads}, which has no {place.kind}")
        if self.reads == "json" and not self.when:
            raise ValueError(f"adapter {self.name!r} must say when it fits: any .json file may be a contract of ours")
        wanted = CONTRACTS[self.contract].model_fields
        needed = [n for name, field in wanted.items() if field.is_required() for n in NESTED.get(name, (name,))]
        known = {*needed, *(name for name in wanted if name not in NESTED)}
        if missing := [name for name in needed if name not in self.fields]:
            raise ValueError(f"adapter {self.name!r} says nothing of {', '.join(missing)}")
        if unknown := sorted(set(self.fields) - known):
            raise ValueError(f"adapter {self.name!r}: {self.contract} has no field {unknown[0]!r}")
        return self


class _File(_Table):
    adapter: tuple[Adapter, ...] = ()


def adapters_of(settings: Settings) -> tuple[Adapter, ...]:
    """Return every adapter, the operator's first.

    Raises:
        ConfigurationError: the file that METADATA_ADAPTERS names cannot be used; says why.
    """
    path = settings.metadata_adapters or settings.home / OWN_FILE
    if settings.metadata_adapters is None and not path.exists():
        return shipped()
    try:
        return (*_read(read_bytes(path).decode()), *shipped())
    except (MetadataError, ValueError, RecursionError) as error:  # what tomllib and pydantic raise, and no UTF-8
        raise ConfigurationError(f"the adapters in {path} cannot be used: {told_of(error)}") from error


@cache
def shipped() -> tuple[Adapter, ...]:
    """Return the adapters that come with the pipeline."""
    return tuple(_read(resources.files(__package__).joinpath(OWN_FILE).read_text(encoding="utf-8")))


def told_of(error: Exception) -> str:
    """Return an error in words."""
    return told(error) if isinstance(error, ValidationError) else str(error)


def _read(text: str) -> Sequence[Adapter]:
    return _File.model_validate(tomllib.loads(text)).adapter
