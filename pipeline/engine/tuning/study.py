"""The search itself: one study a demand class, by Optuna, on the pooled errors of some of its products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import DemandClass, TrialRecord, TuningRecord
from pipeline.engine.panel import Floats
from pipeline.engine.tuning.choose import pooled, surely_gained
from pipeline.engine.tuning.folds import Folds
from pipeline.engine.tuning.space import searched, usual

if TYPE_CHECKING:
    import optuna

BUDGETS: Mapping[DemandClass, int] = {
    DemandClass.HIGH: 30,
    DemandClass.MEDIUM: 25,
    DemandClass.LOW: 20,
    DemandClass.INTERMITTENT: 15,
}
SAMPLERS, PRUNERS = ("tpe", "random", "grid"), ("median", "hyperband", "none")
FREE_TRIALS = 5
"""Trials that no pruner touches, so that it knows what is usual."""
MENU = 8
"""Settings that all products of the class choose from: the untuned ones and the best trials."""


@dataclass(frozen=True)
class Search:
    """How much is searched, and how.

    Attributes:
        trials: by demand class.
        sampler, pruner: one of SAMPLERS, one of PRUNERS.
        seconds: time limit of one class.
        folds: inner origins.
        seed: of the sampler.
        fixed: settings given by hand; they are not searched.
        storage: URL of a database that keeps the studies and lets them be resumed; None: memory.
        study: begins the studies' names in that database.
        importances: whether to work out how much each setting mattered; costs some tenths of a second a class.
    """

    trials: Mapping[DemandClass, int] = field(default_factory=lambda: BUDGETS)
    sampler: str = "tpe"
    pruner: str = "median"
    seconds: float = 120.0
    folds: int = 4
    seed: int = 0
    fixed: Mapping[str, Any] = field(default_factory=dict)
    storage: str | None = None
    study: str = "tuning"
    importances: bool = False


@dataclass(frozen=True)
class Study:
    """What one class's search found.

    `menu` holds the untuned settings, then those of the best trials, with those that were given by hand;
    `losses` (settings, n, folds) their errors for the products that were searched on.
    """

    record: TuningRecord
    menu: tuple[Mapping[str, Any], ...]
    losses: Floats


def conduct(folds: Folds, demand_class: DemandClass, search: Search) -> Study:
    """Search the settings of one demand class.

    The value of a trial is its error over all products and inner origins, relative to the untuned settings', with the
    caution of `surely_gained`; it is 1 for the untuned settings, which are the first trial.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = searched(search.fixed)
    known: dict[tuple[Any, ...], list[Floats]] = {}

    def value(trial: optuna.Trial) -> float:
        chosen = {name: space.suggest(trial, name) for name, space in names.items()}
        steps = known.setdefault(tuple(chosen.values()), [])
        for fold in range(len(steps), folds.count):
            steps.append(folds.losses({**search.fixed, **chosen}, fold))
            trial.report(_error(steps, untuned), fold)
            if trial.should_prune() and fold < folds.count - 1:
                raise optuna.TrialPruned
        return _error(steps, untuned)

    first = usual(names)
    untuned = [folds.losses({**search.fixed, **first}, fold) for fold in range(folds.count)]
    known[tuple(first.values())] = untuned
    run = _created(search, demand_class)
    if run.trials:  # Resumed: the same seed would draw the same trials again.
        run.sampler = _sampler(replace(search, seed=search.seed + len(run.trials)))
    if names and not run.trials:
        run.enqueue_trial(first)
    left = search.trials[demand_class] - sum(trial.state.is_finished() for trial in run.trials)
    if names and left > 0:
        run.optimize(value, n_trials=left, timeout=search.seconds)
    done = [trial for trial in run.trials if trial.state is optuna.trial.TrialState.COMPLETE]
    best = sorted(done, key=lambda trial: trial.value or 0.0)
    menu = [first, *(trial.params for trial in best if trial.params != first)][:MENU]
    losses = [_losses(folds, known, {**search.fixed, **one}, tuple(one.values())) for one in menu]
    return Study(
        _record(run, done, demand_class, search, len(folds.rows)),
        tuple({**search.fixed, **one} for one in menu),
        np.array(losses).transpose(0, 2, 1),
    )


def _error(steps: list[Floats], untuned: list[Floats]) -> float:
    """Pooled error over the folds so far, relative to the untuned settings', told with caution: small is good."""
    losses = np.array([untuned[: len(steps)], steps])
    return float(1 - surely_gained(pooled(losses.transpose(0, 2, 1)))[1])


def _losses(
    folds: Folds, known: Mapping[tuple[Any, ...], list[Floats]], settings: Mapping[str, Any], key: tuple[Any, ...]
) -> list[Floats]:
    """(folds, n) errors of settings: those found on the way, or, of a study that was resumed, worked out again."""
    steps = known.get(key, [])
    return [*steps, *(folds.losses(settings, fold) for fold in range(len(steps), folds.count))]


def _created(search: Search, demand_class: DemandClass) -> optuna.Study:
    import optuna

    return optuna.create_study(
        storage=search.storage,
        study_name=f"{search.study} {demand_class}",
        sampler=_sampler(search),
        pruner=_pruner(search),
        load_if_exists=True,
    )


def _sampler(search: Search) -> optuna.samplers.BaseSampler:
    import optuna

    seed = search.seed % 2**32
    if search.sampler == "grid":
        return optuna.samplers.GridSampler({n: space.grid() for n, space in searched(search.fixed).items()}, seed)
    return optuna.samplers.RandomSampler(seed) if search.sampler == "random" else optuna.samplers.TPESampler(seed=seed)


def _pruner(search: Search) -> optuna.pruners.BasePruner:
    import optuna

    if search.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=FREE_TRIALS)
    if search.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(max_resource=search.folds)
    return optuna.pruners.NopPruner()


def _record(
    run: optuna.Study, done: list[optuna.trial.FrozenTrial], demand_class: DemandClass, search: Search, products: int
) -> TuningRecord:
    return TuningRecord(
        demand_class=demand_class,
        sampler=search.sampler,
        pruner=search.pruner,
        folds=search.folds,
        products=products,
        best={**search.fixed, **(run.best_params if done else usual(searched(search.fixed)))},
        importance=importance(run, done, search.seed) if search.importances else {},
        trials=tuple(_told(one) for one in run.trials),
    )


def _told(trial: optuna.trial.FrozenTrial) -> TrialRecord:
    """A trial as it is kept; one that was given up has errors of fewer inner origins, which compare with nothing."""
    state = trial.state.name.lower()
    value = trial.value if state == "complete" else None
    return TrialRecord(number=trial.number, state=state, value=value, parameters=trial.params)


def importance(run: optuna.Study, done: list[optuna.trial.FrozenTrial], seed: int) -> dict[str, float]:
    """Return the share of each setting in how the errors vary (fANOVA; Hutter, Hoos and Leyton-Brown 2014), or none."""
    import optuna

    if len(done) < FREE_TRIALS or len({one.value for one in done}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed % 2**32)
    try:
        found = optuna.importance.get_param_importances(run, evaluator=evaluator)
    except (RuntimeError, ValueError):  # The errors hardly differ: nothing mattered.
        return {}
    return {name: min(max(float(share), 0.0), 1.0) for name, share in found.items()}
