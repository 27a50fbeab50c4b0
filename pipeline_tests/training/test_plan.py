"""The plan: which products are due, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contracts import Cause, PlanRow
from pipeline import __version__
from pipeline.training import plan as planning
from pipeline.training.plan import Occasion, make_plan
from pipeline.training.recipes import code_version
from pipeline_tests.training.shop import LENGTH, TRAINABLE, Shop, sales_of

INSUFFICIENT = "Product requires minimum 30 days of sales data. Currently: 15 days."


def rows_of(plan: list[PlanRow]) -> dict[str, PlanRow]:
    """Return the rows by product."""
    return {row.product_id: row for row in plan}


def causes_of(plan: list[PlanRow]) -> dict[str, Cause | None]:
    """Return the cause of each product that is due, but for the one that comes of age as days go by."""
    return {row.product_id: row.cause for row in plan if row.due and row.product_id != "new"}


def test_what_was_never_trained_is_due(fresh: Shop) -> None:
    """Every product with enough days and recent sales is due, and the cause is that it has no model."""
    plan = fresh.plan()
    assert causes_of(plan) == dict.fromkeys(TRAINABLE, Cause.NEVER_TRAINED)
    assert {row.reason for row in plan if row.due} == {"no model yet"}
    assert {row.product_id for row in plan} == {*TRAINABLE, "new", "gone"}


def test_what_was_found_is_due_with_its_figures(trained: Shop) -> None:
    """A finding makes its product due for its reason, before new code and after corrected history; no other product."""
    found = {"tart": (Cause.DRIFT, "sells 40 % more, over 9 days"), "rye": (Cause.LIVE_ACCURACY, "errors grew")}
    data, opened = trained.data(), trained.installation
    latest = opened.registry.latest("bakery")
    plan = rows_of(make_plan(data, latest, opened.settings, Occasion(), found=found))
    assert {name: (row.cause, row.reason) for name, row in plan.items() if row.due and name != "new"} == found
    asked = make_plan(data, latest, opened.settings, Occasion(frozenset({"baguette"})), found=found)
    assert causes_of(asked) == {"baguette": Cause.REQUEST}
    older = {name: replace(model, code_version="0") for name, model in latest.items()}
    assert rows_of(make_plan(data, older, opened.settings, Occasion(), found=found))["tart"].cause is Cause.DRIFT
    other = {name: replace(model, data_fingerprint="0" * 64) for name, model in latest.items()}
    corrected = rows_of(make_plan(data, other, opened.settings, Occasion(), found=found))
    assert corrected["tart"].cause is Cause.CORRECTED_HISTORY


def test_too_few_days_are_said_in_the_words_that_others_know(fresh: Shop) -> None:
    """A product with too few days is not due, and its reason is the sentence that other systems look for."""
    row = rows_of(fresh.plan())["new"]
    assert (row.due, row.cause, row.data_days, row.reason) == (False, None, 15, INSUFFICIENT)


def test_discontinued_products_are_not_due(fresh: Shop) -> None:
    """A product without a sale in its last 90 observed days is left alone, and the reason says so."""
    row = rows_of(fresh.plan())["gone"]
    assert (row.due, row.cause) == (False, None)
    assert row.reason.startswith("discontinued: no sale in the last 90")


def test_a_discontinued_product_is_told_by_the_days_that_it_has(fresh: Shop) -> None:
    """A product that has been offered for 60 days and never sold is left alone, and no more days are claimed."""
    never = np.full(LENGTH, np.nan)
    never[-60:] = 0.0
    fresh.sell(sales_of() | {"never": never})
    row = rows_of(fresh.plan())["never"]
    assert not row.due
    assert 30 <= row.data_days < 90
    assert row.reason == f"discontinued: no sale in the last {row.data_days} observed days"


def test_products_that_hardly_sell_are_restricted(fresh: Shop) -> None:
    """Above the share of zeros a product is still due, with restricted families."""
    assert [row.product_id for row in fresh.plan() if row.restricted] == ["rare"]


def test_the_most_important_stand_first(fresh: Shop) -> None:
    """Products stand in order of their units a day times how stale their model is."""
    plan = fresh.plan()
    assert [row.product_id for row in plan if row.due] == list(TRAINABLE)
    assert [row.importance for row in plan] == sorted((row.importance for row in plan), reverse=True)
    assert rows_of(plan)["baguette"].importance == pytest.approx(60, rel=0.1)


def test_staleness_outweighs_volume(trained: Shop) -> None:
    """A small product without a model stands before a large one whose model is a week old."""
    sales = sales_of(LENGTH + 7)
    sales["fresh idea"] = sales["rye"].copy()
    trained.sell(sales)
    plan = trained.plan(scheduled=True)
    assert plan[0].product_id == "fresh idea"
    assert rows_of(plan)["baguette"].importance == pytest.approx(60 * 7 / 365, rel=0.1)


def test_nothing_new_makes_nothing_due(trained: Shop) -> None:
    """The same sales and settings: no product is due, not even for the weekly schedule."""
    for scheduled in (False, True):
        plan = trained.plan(scheduled=scheduled)
        assert causes_of(plan) == {}
        assert {row.reason for row in plan if row.product_id in TRAINABLE} == {"unchanged since the last training"}


def test_a_request_is_met_and_nothing_else(trained: Shop) -> None:
    """Products asked for are due whatever their state; all others are not, and say why."""
    plan = trained.plan(requested=frozenset({"rye", "gone", "new"}))
    assert causes_of(plan) == {"rye": Cause.REQUEST, "gone": Cause.REQUEST}
    assert rows_of(plan)["new"].reason == INSUFFICIENT
    assert rows_of(plan)["baguette"].reason == "not among the products asked for"


def test_corrected_history_is_a_cause_for_that_product(trained: Shop) -> None:
    """Other sales on a day that the model has seen make its product due, and no other."""
    sales = sales_of()
    sales["tart"][100] += 1
    trained.sell(sales)
    plan = trained.plan()
    assert causes_of(plan) == {"tart": Cause.CORRECTED_HISTORY}
    assert "are not what version" in rows_of(plan)["tart"].reason


def test_a_day_that_was_removed_is_a_correction(trained: Shop) -> None:
    """A sale that is gone from the file is corrected history too."""
    sales = sales_of()
    sales["tart"][LENGTH - 5] = 0
    trained.sell(sales)
    assert causes_of(trained.plan()) == {"tart": Cause.CORRECTED_HISTORY}


def test_a_correction_counts_with_newer_sales_as_well(trained: Shop) -> None:
    """What a model has seen is compared as of its own origin, however many days have come since."""
    sales = sales_of(LENGTH + 3)
    sales["tart"][100] += 1
    trained.sell(sales)
    assert causes_of(trained.plan()) == {"tart": Cause.CORRECTED_HISTORY}


@pytest.mark.parametrize(("days", "due"), [(27, False), (28, True)])
def test_age_is_a_cause(trained: Shop, days: int, due: bool) -> None:
    """A model is due once it is 28 data days old."""
    trained.sell(sales_of(LENGTH + days))
    trained.configure(retrain_after_new_days=1000)
    plan = trained.plan()
    assert causes_of(plan) == (dict.fromkeys(TRAINABLE, Cause.AGE) if due else {})
    assert rows_of(plan)["rye"].reason.startswith("28 days old, 28 allowed" if due else "version")


@pytest.mark.parametrize(("days", "due"), [(15, False), (16, True)])
def test_new_observed_days_are_a_cause(trained: Shop, days: int, due: bool) -> None:
    """Fourteen new observed days make a model due; Sundays, on which the shop is closed, are none."""
    trained.sell(sales_of(LENGTH + days))
    plan = trained.plan()
    assert causes_of(plan) == (dict.fromkeys(TRAINABLE, Cause.NEW_DATA) if due else {})
    assert rows_of(plan)["rye"].reason == (
        "14 new observed days, 14 are enough" if due else rows_of(plan)["baguette"].reason
    )


def test_the_weekly_schedule_is_a_cause_with_new_sales(trained: Shop) -> None:
    """One new day is enough for the schedule, and for nothing else."""
    trained.sell(sales_of(LENGTH + 1))
    assert causes_of(trained.plan()) == {}
    plan = trained.plan(scheduled=True)
    assert causes_of(plan) == dict.fromkeys(TRAINABLE, Cause.SCHEDULE)
    assert "1 days since" in rows_of(plan)["rye"].reason


@pytest.mark.parametrize(
    "changes",
    [
        {"prophet_changepoint_prior_scale": 0.1},
        {"prophet_weekly_seasonality": "false"},
        {"without_families": ""},
        {"lightgbm_max_depth": 4},
        {"zero_share_error": 0.99},
        {"evaluation_origins": 1},
        {"seed": 3},
    ],
)
def test_other_settings_are_a_cause(trained: Shop, changes: dict[str, object]) -> None:
    """A setting that shapes a model makes every model due."""
    trained.configure(**changes)
    assert causes_of(trained.plan()) == dict.fromkeys(TRAINABLE, Cause.NEW_CONFIGURATION)


def test_settings_that_shape_no_model_are_none(trained: Shop) -> None:
    """Where models are kept and how many workers there are changes no model."""
    trained.configure(max_concurrent_jobs=1, log_level="DEBUG", enable_auto_deployment=False)
    assert causes_of(trained.plan()) == {}


def test_new_code_is_a_cause(trained: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of another version of this code is due, and the reason names both."""
    monkeypatch.setattr(planning, "CODE_VERSION", "99.0")
    plan = trained.plan()
    assert causes_of(plan) == dict.fromkeys(TRAINABLE, Cause.NEW_CODE)
    assert rows_of(plan)["rye"].reason.endswith("this is 99.0")


def test_correction_is_named_before_all_that_time_brings(trained: Shop) -> None:
    """Of several causes the first that holds is named: a correction before settings, settings before age."""
    sales = sales_of(LENGTH + 40)
    sales["tart"][100] += 1
    trained.sell(sales)
    trained.configure(seed=3)
    causes = causes_of(trained.plan(scheduled=True))
    assert causes.pop("tart") is Cause.CORRECTED_HISTORY
    assert set(causes.values()) == {Cause.NEW_CONFIGURATION}


def test_sales_that_end_before_the_model_are_planned_all_the_same(trained: Shop) -> None:
    """Where the last days were taken back, models are newer than the sales: that is a correction, not a crash."""
    trained.sell({name: np.where(np.arange(LENGTH) < LENGTH - 3, units, 0) for name, units in sales_of().items()})
    plan = trained.plan()
    assert set(causes_of(plan).values()) == {Cause.CORRECTED_HISTORY}
    assert all(row.importance >= 0 for row in plan)


@pytest.mark.parametrize(
    "occasion", [{}, {"scheduled": True}, {"requested": frozenset({"rye", "tart"})}], ids=["due", "weekly", "request"]
)
def test_a_plan_tells_on_which_occasion_it_was_made(trained: Shop, occasion: dict[str, object]) -> None:
    """From its rows alone the same plan can be made again; what was asked for without success is not told."""
    trained.sell(sales_of(LENGTH + 1))
    plan = trained.plan(**occasion)
    assert planning.Occasion.of(plan) == planning.Occasion(**occasion)


def test_fingerprints_stand_in_the_plan(trained: Shop) -> None:
    """The plan's fingerprint is that of the model that was trained on the same sales."""
    latest = trained.installation.registry.latest("bakery")
    for product, row in rows_of(trained.plan()).items():
        if product in TRAINABLE:
            assert row.data_fingerprint == latest[product].data_fingerprint


def test_other_engine_code_is_another_version(tmp_path: Path) -> None:
    """A changed, added or renamed source file of the engine changes the code version; other files do not."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "one.py").write_text("a = 1")
    before = code_version(tmp_path, {})
    (tmp_path / "notes.txt").write_text("nothing")
    assert code_version(tmp_path, {}) == before
    (tmp_path / "sub" / "one.py").write_text("a = 2")
    changed = code_version(tmp_path, {})
    (tmp_path / "sub" / "one.py").rename(tmp_path / "two.py")
    assert len({before, changed, code_version(tmp_path, {})}) == 3
    assert before.startswith(f"{__version__}+")


def test_another_version_of_a_foreign_family_is_another_version(tmp_path: Path) -> None:
    """A family from elsewhere, its distribution and its version are part of the code version."""
    sources = ({}, {"rye": "bread 1.0"}, {"rye": "bread 1.1"}, {"rye": "crumb 1.0"}, {"wheat": "bread 1.0"})
    assert len({code_version(tmp_path, foreign) for foreign in sources}) == len(sources)
