"""Promotions: which model is the champion, who decided it, and on which figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from contracts import ModelType
from pipeline.errors import ChampionChangedError, NotRegisteredError
from pipeline.keys import slug
from pipeline.registry.audit import write_audit
from pipeline.registry.records import Action, Decision, Promotion
from pipeline.registry.repository import AnyRow, Repository, columns_of, now, plain_json
from pipeline.registry.tables import PromotionDecision, TrainedModel

_COLUMNS = columns_of(PromotionDecision, (field.name for field in fields(Promotion)))
_AUDITED = {
    Decision.PROMOTED: Action.PROMOTE,
    Decision.ROLLED_BACK: Action.ROLL_BACK,
    Decision.WITHDRAWN: Action.WITHDRAW,
}
"""Decisions that change what forecasts; a refusal changes nothing."""


ANY = "any"
"""Whichever champion there is."""


@dataclass(frozen=True)
class _Verdict:
    """A decision as its caller gives it."""

    tenant_id: str
    product_id: str
    reason: str
    actor: str
    figures: Mapping[str, Any]
    decision: Decision

    @property
    def product(self) -> str:
        return f"product {self.product_id!r} of tenant {self.tenant_id!r}"


class Promotions(Repository):
    """The table `promotions`, and the mark of the champion in `trained_models`."""

    def promote(
        self,
        tenant_id: str,
        product_id: str,
        version: str,
        *,
        reason: str,
        actor: str,
        figures: Mapping[str, Any],
        instead_of: str | None = ANY,
    ) -> Promotion:
        """Make a model the champion in one transaction, under a lock on the product's models.

        `instead_of` is the champion that this was decided against, None where there was none.

        Raises:
            ChampionChangedError: another one is in use.
            NotRegisteredError: there is no such model.
            RegistryError: `figures` holds what JSON cannot.
        """
        verdict = _Verdict(tenant_id, product_id, reason, actor, figures, Decision.PROMOTED)
        with self._writing() as connection:
            models = _locked(connection, verdict)
            target = _model(models, version, verdict)
            champion = _champion(models, target.type)
            found = champion.version if champion else None
            if instead_of not in (ANY, found):
                raise ChampionChangedError(
                    f"{verdict.product}: {version} was judged against {instead_of or 'no champion'}, and "
                    f"{found or 'none'} is in use: judge it again"
                )
            moment = now()
            if champion is None or champion.id != target.id:
                _deploy(connection, champion, target, moment)
                _remember(connection, target, champion)
            return _decide(connection, verdict, champion, version, moment)

    def refuse(
        self, tenant_id: str, product_id: str, version: str, *, reason: str, actor: str, figures: Mapping[str, Any]
    ) -> Promotion:
        """Record that a model did not earn promotion; the champion stays.

        Raises:
            NotRegisteredError: there is no such model.
            RegistryError: `figures` holds what JSON cannot.
        """
        verdict = _Verdict(tenant_id, product_id, reason, actor, figures, Decision.REFUSED)
        with self._writing() as connection:
            models = _locked(connection, verdict)
            champion = _champion(models, _model(models, version, verdict).type)
            return _decide(connection, verdict, champion, version, now())

    def roll_back(
        self,
        tenant_id: str,
        product_id: str,
        *,
        reason: str,
        actor: str,
        figures: Mapping[str, Any] | None = None,
        model_type: ModelType = ModelType.FORECAST,
    ) -> Promotion:
        """Put the model that the champion replaced back in its place, in one transaction.

        Raises:
            NotRegisteredError: there is no champion, or it replaced none.
            RegistryError: `figures` holds what JSON cannot.
        """
        verdict = _Verdict(tenant_id, product_id, reason, actor, figures or {}, Decision.ROLLED_BACK)
        with self._writing() as connection:
            models = _locked(connection, verdict)
            champion = _champion(models, model_type)
            if champion is None or champion.previous_version is None:
                raise NotRegisteredError(f"{verdict.product} has no earlier champion to go back to")
            target = _model(models, champion.previous_version, verdict)
            moment = now()
            _deploy(connection, champion, target, moment)
            return _decide(connection, verdict, champion, target.version, moment)

    def withdraw(
        self, tenant_id: str, product_id: str, version: str, *, reason: str, actor: str, figures: Mapping[str, Any]
    ) -> Promotion | None:
        """Take a champion out of use in one transaction, so that the product has none; None where it is none.

        Raises:
            NotRegisteredError: there is no such model.
            RegistryError: `figures` holds what JSON cannot.
        """
        verdict = _Verdict(tenant_id, product_id, reason, actor, figures, Decision.WITHDRAWN)
        with self._writing() as connection:
            champion = _model(_locked(connection, verdict), version, verdict)
            if not champion.deployed:
                return None
            _mark(connection, champion, deployed=False, deployed_since=None)
            return _decide(connection, verdict, champion, version, now())

    def promotions(self, tenant_id: str, product_id: str | None = None, limit: int | None = 100) -> list[Promotion]:
        """Return a tenant's decisions, of one product or of all, the last first; `limit` None gives every one."""
        query = select(*_COLUMNS).where(PromotionDecision.tenant_id == tenant_id)
        if product_id is not None:
            query = query.where(PromotionDecision.product_key == slug(product_id))
        with self._reading() as connection:
            rows = connection.execute(query.order_by(PromotionDecision.id.desc()).limit(limit))
            return [_promotion(row) for row in rows]


def _locked(connection: Connection, verdict: _Verdict) -> Sequence[AnyRow]:
    """Return the product's models; nobody else decides about it until the transaction ends."""
    query = (
        select(
            TrainedModel.id,
            TrainedModel.version,
            TrainedModel.type,
            TrainedModel.deployed,
            TrainedModel.previous_version,
        )
        .where(TrainedModel.tenant_id == verdict.tenant_id, TrainedModel.product_key == slug(verdict.product_id))
        .order_by(TrainedModel.id)
        .with_for_update()
    )
    return connection.execute(query).all()


def _model(models: Sequence[AnyRow], version: str, verdict: _Verdict) -> AnyRow:
    for model in models:
        if model.version == version:
            return model
    raise NotRegisteredError(f"no model {version!r} of {verdict.product}")


def _champion(models: Sequence[AnyRow], model_type: str) -> AnyRow | None:
    return next((model for model in models if model.deployed and model.type == model_type), None)


def _deploy(connection: Connection, champion: AnyRow | None, target: AnyRow, moment: datetime) -> None:
    if champion is not None:
        _mark(connection, champion, deployed=False, deployed_since=None)
    _mark(connection, target, deployed=True, deployed_since=moment)


def _remember(connection: Connection, target: AnyRow, champion: AnyRow | None) -> None:
    _mark(connection, target, previous_version=champion.version if champion else None)


def _mark(connection: Connection, model: AnyRow, **values: object) -> None:
    connection.execute(update(TrainedModel).where(TrainedModel.id == model.id).values(**values))


def _decide(
    connection: Connection,
    verdict: _Verdict,
    champion: AnyRow | None,
    to_version: str,
    moment: datetime,
) -> Promotion:
    made = Promotion(
        id=0,
        tenant_id=verdict.tenant_id,
        product_id=verdict.product_id,
        decided_at=moment,
        decision=verdict.decision,
        from_version=champion.version if champion else None,
        to_version=to_version,
        reason=verdict.reason,
        figures=plain_json(verdict.figures, f"the figures of {verdict.product}"),
        actor=verdict.actor,
    )
    values = {column.key: getattr(made, column.key) for column in _COLUMNS if column.key != "id"}
    if verdict.decision in _AUDITED:
        subject = f"{verdict.product_id} {to_version}"
        details = {"from": made.from_version, "to": to_version, **made.figures}
        action = _AUDITED[verdict.decision]
        write_audit(connection, verdict.tenant_id, action, subject, verdict.actor, verdict.reason, details)
    statement = insert(PromotionDecision).values(**values, product_key=slug(verdict.product_id))
    return replace(made, id=connection.scalar(statement.returning(PromotionDecision.id)) or 0)


def _promotion(row: AnyRow) -> Promotion:
    values = row._asdict()
    return Promotion(**{**values, "decision": Decision(values["decision"])})
