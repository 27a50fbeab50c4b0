"""Trainings under terms through both doors: the launchpad's form and the options of `pipeline run`."""

from __future__ import annotations

import json
import pstats
from typing import Any

import pytest

from contracts import HyperparameterOverrides, ModelManifest, Outcome, TrainingTerms
from pipeline.commands.asking import parsed_overrides, plan_config
from pipeline.defs.training.assets import PlanConfig
from pipeline.errors import ConfigurationError
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD, TWIN, World

BUTTER, PAIN = tills.STEADY[:2]
START, END = "2024-02-01", "2024-07-14"
FORM: dict[str, Any] = {
    "start": START,
    "end": END,
    "evaluation_origins": 1,
    "overrides": {"prophet_changepoint_prior_scale": 0.2, "prophet_seasonality_mode": "additive"},
}
OPTIONS = (
    *("--start", START, "--end", END, "--origins", "1"),
    *("--set", "prophet_changepoint_prior_scale=0.2", "--set", "prophet_seasonality_mode=additive"),
)
TERMS = TrainingTerms(
    start=START,
    end=END,
    evaluation_origins=1,
    overrides=HyperparameterOverrides(prophet_changepoint_prior_scale=0.2, prophet_seasonality_mode="additive"),
)
BAD: list[tuple[tuple[str, ...], dict[str, Any], str]] = [
    (("--start", "soon"), {"start": "soon"}, "start = 'soon': must be a day of the form YYYY-MM-DD"),
    (("--start", ""), {"start": ""}, "start = '': must be a day of the form YYYY-MM-DD"),
    (
        ("--start", "2024-03-01", "--end", "2024-02-01"),
        {"start": "2024-03-01", "end": "2024-02-01"},
        "end = '2024-02-01': must be after start, 2024-03-01",
    ),
    (("--end", "2999-01-01"), {"end": "2999-01-01"}, "end = '2999-01-01': must not lie in the future"),
    (("--origins", "0"), {"evaluation_origins": 0}, "evaluation_origins = 0: must be at least 1"),
    (("--origins", "53"), {"evaluation_origins": 53}, "evaluation_origins = 53: must be at most 52"),
    (
        ("--set", "lightgbm_max_depth=16"),
        {"overrides": {"lightgbm_max_depth": 16}},
        "overrides.lightgbm_max_depth = 16: must be at most 15",
    ),
    (
        ("--set", "lightgbm_learning_rate=fast"),
        {"overrides": {"lightgbm_learning_rate": "fast"}},
        "overrides.lightgbm_learning_rate = 'fast': must be a number",
    ),
    (
        ("--set", "prophet_seasonality_mode=both", "--set", "oven=3"),
        {"overrides": {"prophet_seasonality_mode": "both", "oven": 3}},
        "overrides.prophet_seasonality_mode = 'both': must be 'additive' or 'multiplicative'; "
        "overrides.oven = 3: there is no such field",
    ),
    (("--product", "a", "--product", "a"), {"products": ["a", "a"]}, "products = ['a', 'a']: each may be given once"),
]


def newest(world: World, product: str) -> ModelManifest:
    """The newest manifest of one of the twin's products."""
    with world.entered() as installation:
        version = installation.registry.latest(TWIN)[product].version
        return installation.registry.manifest(TWIN, product, version)


@pytest.mark.parametrize(("options", "form", "words"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_both_doors_refuse_in_the_same_words(
    terminal: Terminal, options: tuple[str, ...], form: dict[str, Any], words: str
) -> None:
    """What breaks a rule is told alike, by field, value and rule, and no run is begun."""
    with pytest.raises(ConfigurationError) as refused:
        PlanConfig(**form).occasion(TWIN)
    assert words in str(refused.value)
    with terminal.world.instance() as instance:
        before = instance.get_runs_count()
    answer = terminal("run", "--tenant", TWIN, *options)
    assert answer.status == 1
    assert " ".join(answer.err.split()) == f"ConfigurationError: {refused.value}"
    with terminal.world.instance() as instance:
        assert instance.get_runs_count() == before


def test_both_doors_take_the_same(terminal: Terminal) -> None:
    """Options and form that ask for the same make the same plan."""
    overrides = parsed_overrides(OPTIONS[7::2])
    asked = {"products": [BUTTER], "start": START, "end": END, "evaluation_origins": 1, "overrides": overrides}
    config = plan_config([TWIN], asked)
    assert config == {"ops": {"training_plan": {"config": {"products": [BUTTER], **FORM}}}}
    occasion = PlanConfig(products=[BUTTER], **FORM).occasion(TWIN)
    assert (occasion.terms, occasion.requested) == (TERMS, {BUTTER})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--set", "depth"), "--set 'depth' is not SETTING=VALUE, such as lightgbm_max_depth=6"),
        (("--set", "=3"), "--set '=3' is not SETTING=VALUE"),
        (("--set", "a=1", "--set", "a=2"), "--set 'a=2': 'a' is given twice, before with 1"),
    ],
)
def test_an_override_is_a_setting_and_a_value(terminal: Terminal, options: tuple[str, ...], words: str) -> None:
    """What is no pair, or stands twice, is refused with an example."""
    answer = terminal("run", "--tenant", TWIN, *options)
    assert (answer.status, words in " ".join(answer.err.split())) == (1, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--start", START), "--start belongs to one tenant: say which with --tenant: "),
        (("--set", "lightgbm_max_depth=4", "--origins", "2"), "--origins, --set belong to one tenant: say which"),
    ],
)
def test_terms_are_of_one_tenant(terminal: Terminal, options: tuple[str, ...], words: str) -> None:
    """Where there are several tenants it has to be said which one is meant; a profile may be of all."""
    answer = terminal("run", *options)
    assert answer.status == 1
    said = " ".join(answer.err.split())
    assert words in said
    assert said.endswith(f"{ODD}, {TWIN}.") or said.endswith(f"{ODD}, {TWIN}")
    assert plan_config([ODD, TWIN], {"diagnostics": True}) == {
        "ops": {"training_plan": {"config": {"diagnostics": True}}}
    }
    assert plan_config([ODD, TWIN], {"products": None}) is None


def test_a_bad_request_leaves_no_tenant_behind(fresh: Terminal) -> None:
    """With one's own file the request is checked before anything is written."""
    place = tills.write(tills.steady("Bun", days=40), fresh.world.root.parent / "bakery.csv")
    answer = fresh("run", "--sales", place, "--country", "ES", "--origins", "99")
    assert answer.status == 1
    assert "evaluation_origins = 99: must be at most 52" in answer.err
    assert not list(fresh.world.home.tenants.glob("*.toml"))


def test_a_run_under_terms_from_the_terminal(copied: Terminal) -> None:
    """The model has the terms, the command that shows it says them, a profile lies there, and nothing is due after."""
    answer = copied("run", "--tenant", TWIN, "--product", BUTTER, *OPTIONS, "--profile", "--json")
    assert answer.status == 0, answer.err
    made = newest(copied.world, BUTTER)
    assert (made.terms, str(made.origin), len(made.origins)) == (TERMS, END, 1)
    assert newest(copied.world, PAIN).terms is None
    shown = copied("models", "show", BUTTER, "--tenant", TWIN, "--version", made.version).out
    told = shown[shown.index("Trained under terms") : shown.index("Errors out of sample")]
    assert {line.split()[0] for line in told.splitlines() if len(line.split()) == 2} == set(TERMS.stated)
    assert START in told
    assert "Trained under terms" not in copied("models", "show", PAIN, "--tenant", TWIN).out
    (profile,) = (copied.world.home.root / "profiles").glob("*.prof")
    assert profile.stem == made.job_id
    assert pstats.Stats(str(profile)).total_calls
    (after,) = json.loads(copied("run", "--tenant", TWIN, "--json").out)
    assert (after["trained"], after["skipped"]) == (0, 2)


def test_a_run_under_terms_from_the_launchpad(copied: Terminal) -> None:
    """The form of a run makes the same model; the plan's metadata name the terms, and `retry` keeps to them."""
    run = copied.world.retrain(TWIN, [BUTTER], **FORM)
    assert run.success, run.errors
    made = newest(copied.world, BUTTER)
    assert (made.terms, str(made.origin)) == (TERMS, END)
    assert copied.world.metadata(run.run_id, "training_plan")["terms"] == str(TERMS)
    with copied.world.entered() as installation:
        (row,) = [one for one in installation.registry.ledger(TWIN, made.job_id) if one.outcome is Outcome.TRAINED]
        failed = {"outcome": Outcome.FAILED, "version": None, "error_type": "FamilyError", "reason": "a test"}
        installation.registry.record(row.model_copy(update=failed))
    answer = copied("jobs", "retry", made.job_id, "--json")
    assert answer.status == 0, answer.err
    again = newest(copied.world, BUTTER)
    assert again.version > made.version
    assert again.terms == TERMS


def test_a_window_that_the_sales_do_not_reach_fails_the_plan(copied: Terminal) -> None:
    """A request that keeps the rules, but leaves too few days, fails the run with the days that there are."""
    run = copied.world.retrain(TWIN, [BUTTER], start="2024-07-01")
    assert not run.success
    assert run.errors[0] == (
        "training_plan: InsufficientDataError: start 2024-07-01: leaves 18 days, 2024-07-01 to 2024-07-18; "
        "MIN_TRAINING_DATA_DAYS = 30 are needed"
    )
