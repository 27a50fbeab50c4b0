"""Registered models: versions that never collide, manifests that are verified, champions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, insert, select, update
from sqlalchemy.orm import aliased

from contracts import LedgerRow, ModelManifest, ModelType
from pipeline.errors import IntegrityError, NotRegisteredError, RegistryError
from pipeline.keys import slug
from pipeline.registry.manifests import (
    COMBINATION,
    NAIVE,
    StoredManifest,
    artefact_rows,
    metric_rows,
    model_row,
    read_manifest,
    sign,
)
from pipeline.registry.plans import write_ledger
from pipeline.registry.records import ListedModel, ModelRecord, Wanted
from pipeline.registry.repository import AnySelect, columns_of, insert_into, require_job
from pipeline.registry.tables import Artefact, PerformanceMetric, PromotionDecision, TrainedModel
from pipeline.registry.totals import Totals, count_model

VERSION_FORMAT = "%Y%m%d_%H%M%S"
_FIELDS = tuple(field.name for field in fields(ModelRecord))
_COLUMNS = columns_of(TrainedModel, _FIELDS)
EVERY = Wanted()
AT_ONCE = 1_000
"""Values of one question, well below what databases take."""


class Models(Totals):
    """The tables `trained_models`, `performance_metrics` and `artefacts`."""

    def next_version(self, tenant_id: str, product_id: str, now: datetime) -> str:
        """Return the version of this moment, or else the second after the product's newest; aware moments only.

        A later model has a later version even where the clock was put back between the two: what is the newest, what
        may go and what is undecided is told by versions.
        """
        with self._reading() as connection:
            return _next_version(connection, tenant_id, product_id, now.astimezone(UTC))

    def register(
        self, manifest: ModelManifest, ledger: LedgerRow | None = None, category: str | None = None
    ) -> ModelManifest:
        """Store a model, its metrics and its files in one transaction, and return the manifest as stored.

        Where its version is not later than the product's newest, which another process may have registered in the
        same moment, the next one is used.
        The ledger row of the product, where given, gets that version and is committed with the model: a
        process that dies leaves both or neither.
        It is counted under its product's category, where the sales give one.

        Raises:
            NotRegisteredError: its job was never started.
            RegistryError: the job is another tenant's, a family stands twice, the version is no moment, or the
                ledger row is of another product or job.
        """
        _refuse_twins(manifest)
        _refuse_foreign(manifest, ledger)
        moment = _moment(manifest.version)
        while True:
            with self._writing() as connection:
                require_job(connection, manifest.job_id, manifest.tenant_id)
                version = _next_version(connection, manifest.tenant_id, manifest.product_id, moment)
                stored = manifest.model_copy(update={"version": version})
                if _insert(connection, stored, self._key):
                    if ledger is not None:
                        write_ledger(connection, ledger.model_copy(update={"version": version}))
                    count_model(connection, stored, category)
                    return stored

    def manifest(self, tenant_id: str, product_id: str, version: str) -> ModelManifest:
        """Return a model's manifest, verified.

        Raises:
            NotRegisteredError: there is no such model.
            IntegrityError: the manifest was changed after it was registered, or is not signed as it has to be.
        """
        columns = (TrainedModel.manifest, TrainedModel.manifest_sha256, TrainedModel.signature)
        query = _of_product(select(*columns), tenant_id, product_id)
        with self._reading() as connection:
            row = connection.execute(query.where(TrainedModel.version == version)).one_or_none()
        if row is None:
            raise NotRegisteredError(f"no model {version!r} of product {product_id!r} of tenant {tenant_id!r}")
        try:
            return read_manifest(StoredManifest(tenant_id, product_id, version, *row), self._key)
        except IntegrityError as error:
            try:
                self.count_broken("manifest")
            except RegistryError as fault:  # A registry that can only be read; what was found matters more.
                error.add_note(f"it could not be counted: {fault}")
            raise

    def sign_all(self, tenant_id: str) -> int:
        """Sign what of a tenant is not signed yet, as it stands, and return how many; who asks vouches for it.

        Raises:
            RegistryError: there is no key.
        """
        if self._key is None:
            raise RegistryError("MODEL_SIGNING_KEY is unset: there is nothing to sign with")
        query = select(TrainedModel.id, TrainedModel.manifest).where(
            TrainedModel.tenant_id == tenant_id, TrainedModel.signature.is_(None)
        )
        with self._writing() as connection:
            rows = connection.execute(query.with_for_update()).all()
            for row in rows:
                signature = sign(row.manifest, self._key)
                connection.execute(update(TrainedModel).where(TrainedModel.id == row.id).values(signature=signature))
        return len(rows)

    def models(
        self,
        tenant_id: str,
        product_id: str | None = None,
        deployed: bool | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[ModelRecord]:
        """Return a tenant's models, the last registered first, or one product's, the newest version first."""
        query = select(*_COLUMNS).where(TrainedModel.tenant_id == tenant_id)
        if product_id is None:
            query = query.order_by(TrainedModel.id.desc())
        else:
            query = _of_product(query, tenant_id, product_id).order_by(TrainedModel.version.desc())
        if deployed is not None:
            query = query.where(TrainedModel.deployed.is_(deployed))
        return self._records(query.limit(limit).offset(offset))

    def listing(self, tenant_id: str, wanted: Wanted = EVERY, limit: int = 50, offset: int = 0) -> list[ListedModel]:
        """Return a page of a tenant's models, the last registered first, each with its error."""
        chosen = select(TrainedModel.id).where(TrainedModel.tenant_id == tenant_id, *_conditions(wanted))
        if wanted.max_wape is not None:
            chosen = _with_wape(chosen, error := aliased(PerformanceMetric), COMBINATION)
            chosen = chosen.where(error.value <= wanted.max_wape)
        # The page is cut before its errors are looked up: what lies before it costs an index entry each.
        # The few in use are found by their own index and sorted; by the plain order all others would be looked at.
        order = TrainedModel.id + 0 if wanted.deployed else TrainedModel.id
        page = chosen.order_by(order.desc()).limit(limit).offset(offset).subquery()
        own, naive = aliased(PerformanceMetric), aliased(PerformanceMetric)
        query = select(*_COLUMNS, own.value.label("wape"), naive.value.label("naive_wape"))
        query = query.join(page, page.c.id == TrainedModel.id)
        query = _with_wape(_with_wape(query, own, COMBINATION), naive, NAIVE).order_by(TrainedModel.id.desc())
        with self._reading() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        return [
            ListedModel(ModelRecord(**{name: row[name] for name in _FIELDS}), row["wape"], row["naive_wape"])
            for row in rows
        ]

    def latest(self, tenant_id: str, model_type: ModelType = ModelType.FORECAST) -> dict[str, ModelRecord]:
        """Return each product's newest version."""
        return _by_product(self._records(_newest(tenant_id, model_type)))

    def newest_versions(self, tenant_id: str, model_type: ModelType = ModelType.FORECAST) -> dict[str, str]:
        """Return the version of each product's newest model: a fraction of what `latest` costs."""
        mine = (TrainedModel.tenant_id == tenant_id, TrainedModel.type == model_type)
        newest = select(TrainedModel.product_id, func.max(TrainedModel.version)).where(*mine)
        with self._reading() as connection:
            rows = connection.execute(newest.group_by(TrainedModel.product_key, TrainedModel.product_id))
            return {row[0]: row[1] for row in rows}

    def origins(self, tenant_id: str, versions: Collection[str]) -> dict[tuple[str, str], date]:
        """Return, by product and version, the last day that each of a tenant's models of these versions has seen."""
        wanted, found = sorted(versions), {}
        query = select(TrainedModel.product_id, TrainedModel.version, TrainedModel.origin)
        with self._reading() as connection:
            for start in range(0, len(wanted), AT_ONCE):
                some = TrainedModel.version.in_(wanted[start : start + AT_ONCE])
                rows = connection.execute(query.where(TrainedModel.tenant_id == tenant_id, some))
                found.update({(row[0], row[1]): row[2] for row in rows})
        return found

    def undecided(self, tenant_id: str, model_type: ModelType = ModelType.FORECAST) -> dict[str, ModelRecord]:
        """Return each product's newest version about whose promotion nothing was decided yet."""
        decided = select(PromotionDecision.id).where(
            PromotionDecision.tenant_id == TrainedModel.tenant_id,
            PromotionDecision.product_key == TrainedModel.product_key,
            PromotionDecision.to_version == TrainedModel.version,
        )
        return _by_product(self._records(_newest(tenant_id, model_type).where(~decided.exists())))

    def champions(self, tenant_id: str, model_type: ModelType = ModelType.FORECAST) -> dict[str, ModelRecord]:
        """Return the model in use of each product that has one."""
        return _by_product(self._records(_deployed(select(*_COLUMNS), tenant_id, model_type)))

    def previous_champions(self, tenant_id: str, model_type: ModelType = ModelType.FORECAST) -> dict[str, ModelRecord]:
        """Return, by product, the model that its champion replaced: the next rung down."""
        earlier = aliased(TrainedModel)
        query = select(*(getattr(earlier, name) for name in _FIELDS)).join(
            TrainedModel,
            (earlier.tenant_id == TrainedModel.tenant_id)
            & (earlier.product_key == TrainedModel.product_key)
            & (earlier.version == TrainedModel.previous_version),
        )
        return _by_product(self._records(_deployed(query, tenant_id, model_type)))

    def metrics(self, tenant_id: str, product_id: str, version: str) -> dict[str, dict[str, float]]:
        """Return a model's figures by family and name; families include `combination` and `naive`."""
        query = select(PerformanceMetric.family, PerformanceMetric.metric, PerformanceMetric.value)
        query = query.join(TrainedModel, TrainedModel.id == PerformanceMetric.model_id)
        found: dict[str, dict[str, float]] = {}
        with self._reading() as connection:
            rows = connection.execute(_of_product(query, tenant_id, product_id).where(TrainedModel.version == version))
            for row in rows:
                found.setdefault(row.family, {})[row.metric] = row.value
        return found

    def _records(self, query: AnySelect) -> list[ModelRecord]:
        with self._reading() as connection:
            return [ModelRecord(**row._asdict()) for row in connection.execute(query)]


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    product = None if wanted.product_id is None else slug(wanted.product_id)
    asked: tuple[tuple[object, ColumnElement[bool]], ...] = (
        (product, TrainedModel.product_key == product),
        (wanted.model_type, TrainedModel.type == wanted.model_type),
        (wanted.family, ("+" + TrainedModel.algorithm + "+").contains(f"+{wanted.family}+", autoescape=True)),
        # In the words of the champions' index, so that it is used.
        (wanted.deployed, (TrainedModel.deployed if wanted.deployed else ~TrainedModel.deployed).expression),
    )
    return [condition for value, condition in asked if value is not None]


def _with_wape(query: AnySelect, figures: type[PerformanceMetric], family: str) -> AnySelect:
    """Join a model's WAPE of a family, NULL where it has none."""
    of_model = (figures.model_id == TrainedModel.id) & (figures.family == family) & (figures.metric == "wape")
    return query.outerjoin(figures, of_model)


def _of_product(query: AnySelect, tenant_id: str, product_id: str) -> AnySelect:
    return query.where(TrainedModel.tenant_id == tenant_id, TrainedModel.product_key == slug(product_id))


def _deployed(query: AnySelect, tenant_id: str, model_type: ModelType) -> AnySelect:
    return query.where(TrainedModel.tenant_id == tenant_id, TrainedModel.type == model_type, TrainedModel.deployed)


def _newest(tenant_id: str, model_type: ModelType) -> AnySelect:
    newest = (
        select(TrainedModel.product_key, func.max(TrainedModel.version).label("version"))
        .where(TrainedModel.tenant_id == tenant_id, TrainedModel.type == model_type)
        .group_by(TrainedModel.product_key)
        .subquery()
    )
    same = (TrainedModel.product_key == newest.c.product_key) & (TrainedModel.version == newest.c.version)
    return select(*_COLUMNS).join(newest, same).where(TrainedModel.tenant_id == tenant_id)


def _by_product(records: list[ModelRecord]) -> dict[str, ModelRecord]:
    return {record.product_id: record for record in records}


def _moment(version: str) -> datetime:
    try:
        return datetime.strptime(version, VERSION_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise RegistryError(f"model version {version!r} is no moment of the form YYYYMMDD_HHMMSS") from error


def _next_version(connection: Connection, tenant_id: str, product_id: str, moment: datetime) -> str:
    version = moment.strftime(VERSION_FORMAT)
    newest = connection.scalar(_of_product(select(func.max(TrainedModel.version)), tenant_id, product_id))
    if newest is None or version > newest:
        return version
    return (_moment(newest) + timedelta(seconds=1)).strftime(VERSION_FORMAT)


def _refuse_twins(manifest: ModelManifest) -> None:
    families = [member.family for member in manifest.members]
    twice = sorted({family for family in families if families.count(family) > 1})
    if twice:
        raise RegistryError(
            f"the manifest of {manifest.tenant_id}/{manifest.product_id} names a family twice: {', '.join(twice)}"
        )


def _refuse_foreign(manifest: ModelManifest, ledger: LedgerRow | None) -> None:
    if ledger is None:
        return
    model, row = ((one.tenant_id, one.product_id, one.job_id) for one in (manifest, ledger))
    if model != row:
        raise RegistryError(f"a ledger row of {'/'.join(row)} cannot be committed with a model of {'/'.join(model)}")


def _insert(connection: Connection, manifest: ModelManifest, key: bytes | None) -> bool:
    """Insert a model with all that hangs on it; False when its version was taken meanwhile."""
    row = model_row(manifest, key)
    unique = ["tenant_id", "product_key", "version"]
    statement = insert_into(connection, TrainedModel).on_conflict_do_nothing(index_elements=unique)
    # The values go beside the statement, not into it: it is put into words once then, not for each model.
    inserted = connection.scalar(statement.returning(TrainedModel.id), row)
    if inserted is None:
        return False
    for table, rows in (
        (PerformanceMetric, metric_rows(manifest, inserted)),
        (Artefact, artefact_rows(manifest, inserted)),
    ):
        if rows:
            connection.execute(insert(table), rows)
    return True
