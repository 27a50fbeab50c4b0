"""The forest's settings, found on faults put into the tenant's own sales, and what they find there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.engine.anomaly.faults import Fault, Faulty, put_faults
from pipeline.engine.anomaly.forest import SIZES, Settings, called_odd, odd
from pipeline.engine.anomaly.signs import Signs, read_signs
from pipeline.engine.panel import Bools, Floats, Ints, Outlook, Panel
from pipeline.errors import EngineError

TRIALS = 10
ROWS = 12_000
"""Judged days, of products drawn by chance, that settings are tried on."""
LEAST_DAYS = 500
FALSE_ALARM_SHARE = 1 / 500
"""Of the days that nothing was put into, that may score above the alarm: some of them are real faults, all the same."""


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, and how well the days they call odd are those with a fault (F1)."""

    settings: Settings
    f1: float


@dataclass(frozen=True)
class Tuned:
    """Settings for a tenant and their evidence.

    `alarm` is the score from which a day is called unusual; `precision` and `recall` (by fault) are those of days
    called so; `average_precision` is over all scores; `days` judged days with `injected` faults by kind.
    """

    settings: Settings
    alarm: float
    f1: float
    average_precision: float
    precision: float
    recall: Mapping[str, float]
    injected: Mapping[str, int]
    days: int
    trials: tuple[Trial, ...]


def tune(panel: Panel, outlook: Outlook, seed: int, trials: int = TRIALS) -> Tuned:
    """Return the settings whose odd days are most nearly the faulty ones, over a fixed number of trials.

    The sampler (a tree of Parzen estimators, Bergstra et al. 2011) and the faults depend on the seed alone.

    Raises:
        EngineError: fewer than 500 days can be judged: that is too few to tell the odd ones from.
    """
    values, clear, kind = _faulty_days(panel, outlook, seed)
    is_fault = kind != Fault.NONE
    tried = tuple(_search(values, is_fault, seed, trials))
    best = max(tried, key=lambda trial: trial.f1)
    scores = odd(values, best.settings, seed)
    alarm = float(np.quantile(scores[~is_fault], 1 - FALSE_ALARM_SHARE))
    called = (scores > alarm) & clear
    kinds = [fault for fault in Fault if fault is not Fault.NONE and (kind == fault).any()]
    return Tuned(
        best.settings,
        alarm,
        best.f1,
        average_precision(scores, is_fault),
        float(is_fault[called].mean()) if called.any() else 0.0,
        {fault.name.lower(): float(called[kind == fault].mean()) for fault in kinds},
        {fault.name.lower(): int((kind == fault).sum()) for fault in kinds},
        len(values),
        tried,
    )


def f1(called: Bools, is_fault: Bools) -> float:
    """Return the harmonic mean of precision and recall; 0 where nothing was found."""
    from sklearn.metrics import f1_score

    return float(f1_score(is_fault, called, zero_division=0.0))


def average_precision(scores: Floats, is_fault: Bools) -> float:
    """Return the mean precision over the recalls that the scores reach; 0 without faults."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(is_fault, scores)) if is_fault.any() else 0.0


def _faulty_days(panel: Panel, outlook: Outlook, seed: int) -> tuple[Floats, Bools, Ints]:
    """(d, f) signs of days into some of which faults were put, (d,) which are clear, and (d,) their faults."""
    sound = read_signs(panel, outlook)
    if int(sound.judged.sum()) < LEAST_DAYS:
        raise EngineError(
            f"{int(sound.judged.sum())} days of {len(panel.products)} products can be judged; {LEAST_DAYS} are needed "
            "to tell unusual ones"
        )
    chance = np.random.default_rng(seed)
    chosen = _some_products(sound, chance)
    faulty = put_faults(panel, sound.judged & chosen[:, None], chance)
    return _of_products(read_signs(faulty.panel, outlook), faulty, chosen)


def _some_products(sound: Signs, chance: np.random.Generator) -> Bools:
    """(n,): products drawn by chance, whose judged days together are ROWS at most, or one product."""
    order = chance.permutation(np.flatnonzero(sound.judged.any(axis=1)))
    days = sound.judged[order].sum(axis=1).cumsum()
    chosen = np.zeros(len(sound.judged), bool)
    chosen[order[: max(int((days <= ROWS).sum()), 1)]] = True
    return chosen


def _of_products(signs: Signs, faulty: Faulty, chosen: Bools) -> tuple[Floats, Bools, Ints]:
    use = chosen[signs.at[0]]
    return signs.values[use], signs.clear[use], faulty.kind[signs.judged][use].astype(np.int64)


def _search(values: Floats, is_fault: Bools, seed: int, trials: int) -> list[Trial]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed % 2**32))
    tried: list[Trial] = []
    for _ in range(trials):
        trial = study.ask()
        settings = Settings(
            trial.suggest_int("n_estimators", 50, 300),
            trial.suggest_float("contamination", 0.01, 0.3, log=True),
            SIZES[trial.suggest_categorical("max_samples", range(len(SIZES)))],
        )
        value = f1(called_odd(odd(values, settings, seed), settings.contamination), is_fault)
        study.tell(trial, value)
        tried.append(Trial(settings, value))
    return tried
