"""Making a registered model again from its manifest, and saying what stands in the way of the very same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import pandas as pd

from contracts import ArtefactRef, Member, ModelManifest
from pipeline.engine.families import FAMILIES, Fitted, Recipe, Scope
from pipeline.engine.faults import borne
from pipeline.engine.panel import Outlook, Panel
from pipeline.errors import RegistryError
from pipeline.registry.store import ArtefactStore
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData
from pipeline.training.fingerprint import fingerprints
from pipeline.training.recipes import CODE_VERSION, config_fingerprint, library_versions
from pipeline.training.terms import settings_under


@dataclass(frozen=True)
class Remade:
    """One member fitted again.

    `same_files` tells whether every file is the same, byte for byte; `difference` is the largest between old and new
    forecast over the horizon, in units, None where the old files cannot be read; `fault` why it could not be fitted.
    """

    family: str
    weight: float
    same_files: bool
    difference: float | None
    fault: str | None = None

    @property
    def same(self) -> bool:
        """Whether the new fit says exactly what the old one says."""
        return self.fault is None and (self.same_files or self.difference == 0)


@dataclass(frozen=True)
class Reproduction:
    """A model made again: what differs from then, and each of its members."""

    manifest: ModelManifest
    differences: tuple[str, ...]
    members: tuple[Remade, ...]

    @property
    def same(self) -> bool:
        """Whether every member says exactly what it said."""
        return all(one.same for one in self.members)


def reproduce(manifest: ModelManifest, data: TenantData, store: ArtefactStore, settings: Settings) -> Reproduction:
    """Fit each member of a model again, on today's knowledge of the sales up to its origin, under its terms.

    Args:
        manifest: of the model.
        data: the tenant's sales and outlook; they have to reach to the model's origin.
        store: holds the model's files.
        settings: of today.

    Raises:
        RegistryError: the product is not in the sales any more, or these end before the model's origin.
    """
    origin = pd.Timestamp(manifest.origin)
    if origin > data.origin or manifest.product_id not in data.panel.row:
        raise RegistryError(
            f"version {manifest.version} of {manifest.product_id!r} was trained on sales up to {manifest.origin}; "
            f"the sales that are stored end on {data.origin.date()} or do not hold the product"
        )
    then, settings = replace(data, origin=origin).under(manifest.terms), settings_under(manifest.terms, settings)
    members = tuple(_remade(member, manifest, then, store, settings) for member in manifest.members if member.files)
    return Reproduction(manifest, differences(manifest, then, settings), members)


def differences(manifest: ModelManifest, then: TenantData, settings: Settings) -> tuple[str, ...]:
    """Say what is not as it was when a model was trained: sales, settings, code, libraries."""
    found = []
    if fingerprints(then.panel).get(manifest.product_id) != manifest.data_fingerprint:
        found.append(f"sales up to {manifest.origin} were corrected since")
    if config_fingerprint(settings, then.outlook) != manifest.config_fingerprint:
        found.append("settings that shape a model, or the covariates that there are, have changed")
    if manifest.code_version != CODE_VERSION:
        found.append(f"code: {manifest.code_version} then, {CODE_VERSION} now")
    now = library_versions()
    found += [
        f"library {name}: {manifest.libraries.get(name, 'none')} then, {now.get(name, 'none')} now"
        for name in sorted({*manifest.libraries, *now})
        if manifest.libraries.get(name) != now.get(name)
    ]
    return tuple(found)


def _remade(
    member: Member, manifest: ModelManifest, then: TenantData, store: ArtefactStore, settings: Settings
) -> Remade:
    if member.family not in FAMILIES:
        why = "the family is not installed"
        return Remade(member.family, member.weight, same_files=False, difference=None, fault=why)
    panel, outlook = _history(member, manifest.product_id, then, settings)
    try:
        fitted = FAMILIES[member.family].fit(panel, outlook, Recipe(member.parameters, manifest.seed))
        files = fitted.to_files()
    except borne(member.family) as error:
        return Remade(member.family, member.weight, same_files=False, difference=None, fault=str(error))
    same = _digests(files) == {ref.name: ref.sha256 for ref in member.files}
    own = panel.take([panel.row[manifest.product_id]])
    shown = own, outlook.take(own.products), manifest.horizon
    try:
        old = FAMILIES[member.family].from_files(_read(member.files, store))
        difference = _difference(old, fitted, *shown)
    except borne(member.family):  # The store's errors too.
        return Remade(member.family, member.weight, same, None)
    return Remade(member.family, member.weight, same, difference)


def _history(member: Member, product: str, then: TenantData, settings: Settings) -> tuple[Panel, Outlook]:
    """What a family was fitted to: the product alone, or all products of the tenant that could be trained."""
    if member.scope == Scope.TENANT.value:
        panel = then.held.panel.take(then.demand.trainable(settings.min_training_data_days))
    else:
        panel = then.held.panel.take([then.panel.row[product]])
    return panel, then.outlook.take(panel.products)


def _read(refs: tuple[ArtefactRef, ...], store: ArtefactStore) -> dict[str, bytes]:
    return {ref.name: store.get(ref) for ref in refs}


def _digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: sha256(content).hexdigest() for name, content in files.items()}


def _difference(old: Fitted, new: Fitted, panel: Panel, outlook: Outlook, horizon: int) -> float:
    before, after = (one.predict(panel, outlook, horizon) for one in (old, new))
    return float(np.abs(before - after).max())
