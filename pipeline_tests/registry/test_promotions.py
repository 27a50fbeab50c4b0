"""Promotions, refusals and rollbacks, on every database."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from contracts import ModelType
from pipeline.errors import NotRegisteredError, RegistryError
from pipeline.registry import Decision, Registry, promotions
from pipeline_tests.registry.builders import register, start


def _promote(registry: Registry, version: str, tenant_id: str = "bakery") -> None:
    registry.promote(tenant_id, "baguette", version, reason="better", actor="tests", figures={"wape": 0.18})


def _champion(registry: Registry) -> str:
    return registry.champions("bakery")["baguette"].version


def test_a_promotion_is_stored_and_returned(registry: Registry) -> None:
    """The decision names both versions, reason, actor and figures, and its moment in UTC."""
    job_id = start(registry)
    first, second = register(registry, job_id), register(registry, job_id)
    figures = {"challenger": {"wape": 0.18}, "champion": None, "origins": [1, 2], "refresh": True}
    begun = dt.datetime.now(dt.UTC)
    made = registry.promote("bakery", "baguette", first, reason="first", actor="trainer", figures={})
    assert (made.decision, made.from_version, made.to_version) == (Decision.PROMOTED, None, first)
    made = registry.promote("bakery", "baguette", second, reason="better", actor="ana", figures=figures)
    assert (made.from_version, made.to_version, made.reason, made.actor) == (first, second, "better", "ana")
    assert made.figures == figures
    assert begun <= made.decided_at <= dt.datetime.now(dt.UTC)
    assert registry.promotions("bakery")[0] == made


def test_there_is_one_champion(registry: Registry) -> None:
    """The promoted model is the champion since that moment, the one before is not any more."""
    job_id = start(registry)
    first, second = register(registry, job_id), register(registry, job_id)
    assert registry.champions("bakery") == {}
    _promote(registry, first)
    _promote(registry, second)
    champion = registry.champions("bakery")["baguette"]
    assert (champion.version, champion.deployed, champion.previous_version) == (second, True, first)
    assert champion.deployed_since == registry.promotions("bakery")[0].decided_at
    [retired] = registry.models("bakery", deployed=False)
    assert (retired.version, retired.deployed_since) == (first, None)


def test_the_database_itself_allows_one_champion(registry: Registry) -> None:
    """A second deployed model of a product is refused, whoever writes it."""
    job_id = start(registry)
    first, _second = register(registry, job_id), register(registry, job_id)
    _promote(registry, first)
    with pytest.raises(RegistryError), registry._writing() as connection:
        connection.execute(text("UPDATE trained_models SET deployed = true"))
    assert _champion(registry) == first


def test_an_unknown_model_changes_nothing(registry: Registry) -> None:
    """A decision about what is not there, or another tenant's, leaves champion and decisions alone."""
    version = register(registry, start(registry))
    _promote(registry, version)
    register(registry, start(registry, "cafe"), tenant_id="cafe", version="20270101_000000")
    for decide in (registry.promote, registry.refuse, registry.withdraw):
        with pytest.raises(NotRegisteredError, match="20270101_000000"):
            decide("bakery", "baguette", "20270101_000000", reason="", actor="", figures={})
    assert _champion(registry) == version
    assert len(registry.promotions("bakery")) == 1
    assert registry.champions("cafe") == {}


def test_a_refusal_is_stored_with_its_figures(registry: Registry) -> None:
    """The champion stays; the decision names it and the refused model."""
    job_id = start(registry)
    first, second = register(registry, job_id), register(registry, job_id)
    _promote(registry, first)
    refused = registry.refuse("bakery", "baguette", second, reason="worse", actor="trainer", figures={"wape": 0.3})
    assert (refused.decision, refused.from_version, refused.to_version) == (Decision.REFUSED, first, second)
    assert registry.promotions("bakery", "baguette")[0] == refused
    assert _champion(registry) == first


def test_a_withdrawn_champion_leaves_the_product_without(registry: Registry) -> None:
    """Neither it nor the model before it is in use, and the decision is stored; what is not in use stays as it is."""
    job_id = start(registry)
    first, second = register(registry, job_id), register(registry, job_id)
    _promote(registry, first)
    _promote(registry, second)
    assert registry.withdraw("bakery", "baguette", first, reason="", actor="trainer", figures={}) is None
    assert _champion(registry) == second
    made = registry.withdraw("bakery", "baguette", second, reason="worse", actor="trainer", figures={"wape": 0.3})
    assert made is not None
    assert (made.decision, made.from_version, made.to_version) == (Decision.WITHDRAWN, second, second)
    assert registry.promotions("bakery")[0] == made
    assert registry.champions("bakery") == registry.previous_champions("bakery") == {}
    _promote(registry, second)
    assert _champion(registry) == second


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), object()])
def test_figures_must_be_storable(registry: Registry, figure: object) -> None:
    """A figure that JSON cannot hold undoes the whole promotion and is named."""
    version = register(registry, start(registry))
    with pytest.raises(RegistryError, match="figures of product 'baguette'"):
        registry.promote("bakery", "baguette", version, reason="", actor="", figures={"wape": figure})
    assert registry.champions("bakery") == {}
    assert registry.promotions("bakery") == []


def test_a_rollback_goes_down_the_line(registry: Registry) -> None:
    """Each rollback brings back the model that the champion replaced, down to the first."""
    job_id = start(registry)
    made = [register(registry, job_id) for _ in range(3)]
    for version in made:
        _promote(registry, version)
    assert registry.previous_champions("bakery")["baguette"].version == made[1]
    back = registry.roll_back("bakery", "baguette", reason="bad bread", actor="ana")
    assert (back.decision, back.from_version, back.to_version) == (Decision.ROLLED_BACK, made[2], made[1])
    assert _champion(registry) == made[1]
    assert registry.previous_champions("bakery")["baguette"].version == made[0]
    registry.roll_back("bakery", "baguette", reason="still bad", actor="ana", figures={"wape": 0.9})
    assert _champion(registry) == made[0]
    assert registry.previous_champions("bakery") == {}
    with pytest.raises(NotRegisteredError, match="no earlier champion"):
        registry.roll_back("bakery", "baguette", reason="", actor="ana")
    assert len(registry.promotions("bakery")) == 5


def test_promoting_the_champion_again_keeps_the_line(registry: Registry) -> None:
    """A repeated promotion is recorded, and the model before stays the previous champion."""
    job_id = start(registry)
    first, second = register(registry, job_id), register(registry, job_id)
    for version in (first, second, second):
        _promote(registry, version)
    assert _champion(registry) == second
    assert registry.previous_champions("bakery")["baguette"].version == first
    assert registry.promotions("bakery")[0].from_version == second


def test_each_kind_of_model_has_its_champion(registry: Registry) -> None:
    """An anomaly model does not displace the forecast's champion."""
    job_id = start(registry)
    forecast = register(registry, job_id)
    anomaly = register(registry, job_id, model_type=ModelType.ANOMALY)
    _promote(registry, forecast)
    _promote(registry, anomaly)
    assert _champion(registry) == forecast
    assert registry.champions("bakery", ModelType.ANOMALY)["baguette"].version == anomaly
    assert registry.previous_champions("bakery", ModelType.ANOMALY) == {}


def test_decisions_about_a_product_wait_for_each_other(registry: Registry) -> None:
    """While one transaction decides about a product, another's decision waits, and then sees the first."""
    job_id = start(registry)
    first, second = register(registry, job_id), register(registry, job_id)
    verdict = promotions._Verdict("bakery", "baguette", "", "", {}, Decision.PROMOTED)
    with ThreadPoolExecutor(1) as threads:
        with registry._writing() as connection:
            models = promotions._locked(connection, verdict)
            waiting = threads.submit(_promote, registry, second)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.5)
            promotions._deploy(connection, None, models[0], dt.datetime.now(dt.UTC))
        waiting.result(timeout=20)
    assert registry.promotions("bakery")[0].from_version == first
    assert _champion(registry) == second


def test_decisions_are_read_by_tenant_and_product(registry: Registry) -> None:
    """The last comes first; neither another product's nor another tenant's is among them."""
    job_id = start(registry)
    for product in ("baguette", "croissant"):
        version = register(registry, job_id, product_id=product)
        registry.promote("bakery", product, version, reason=product, actor="t", figures={})
    register(registry, start(registry, "cafe"), tenant_id="cafe")
    _promote(registry, version, "cafe")
    assert [decision.reason for decision in registry.promotions("bakery")] == ["croissant", "baguette"]
    assert [decision.reason for decision in registry.promotions("bakery", "baguette")] == ["baguette"]
    assert len(registry.promotions("bakery", limit=1)) == 1
    assert len(registry.promotions("bakery", limit=None)) == 2
    assert len(registry.promotions("cafe")) == 1


def test_only_the_newest_without_a_decision_is_undecided(registry: Registry) -> None:
    """A product's newest model waits for a decision, promoted or refused, and then no longer."""
    job_id = start(registry)
    first, second = register(registry, job_id), register(registry, job_id)
    assert {product: model.version for product, model in registry.undecided("bakery").items()} == {"baguette": second}
    _promote(registry, first)
    assert "baguette" in registry.undecided("bakery")
    assert registry.undecided("café") == {}
    registry.refuse("bakery", "baguette", second, reason="worse", actor="tests", figures={})
    assert registry.undecided("bakery") == {}
