"""Pooled gradient-boosted trees: one booster over all of a tenant's products, in two ways.

Tweedie loss on units (zeros and spread that grow with the mean are natural to it). The trees learn what a
day sells relative to the product's recent level, which enters as an offset, so that a loaf sold twice a day
and one sold two hundred times teach each other, and a product of a few weeks has its level from the first.

Recursive (`lightgbm`): a day is forecast from the days right before it, each forecast becomes the next day's lag.
Direct (`lightgbm_direct`): a day is forecast from what was known zero, one or two weeks before its eve, so that no
forecast feeds on another up to fifteen days ahead. The two err differently (Ben Taieb and others 2012).
Any horizon can be asked of either, and the stored booster forecasts daily with fresh lags.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pipeline.engine.closing import closed_ahead
from pipeline.engine.families.base import Recipe, Scope
from pipeline.engine.families.trees_explained import in_units, in_words
from pipeline.engine.features import CATEGORICAL, IN_UNITS, MEMORY, Codes, FeatureMaker, names, training_days
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.parts import Parts
from pipeline.errors import FamilyError

DEFAULTS: Mapping[str, Any] = {
    "n_estimators": 200,
    "learning_rate": 0.1,
    "num_leaves": 31,
    "max_depth": -1,
    "min_child_samples": 30,
    "subsample": 0.8,
    "colsample_bytree": 0.7,
    "reg_lambda": 10.0,
    "tweedie_variance_power": 1.5,
    "max_rows": 1_000_000,
}
SMALL_ROWS = 75_000
SMALL: Mapping[str, Any] = {"n_estimators": 400, "learning_rate": 0.05}
"""Of tables with fewer rows, unless either is given by hand: they belong together.

Slower learning costs little there, and leaves less to the chance of the seed.
"""
RECURSIVE, DIRECT = (0,), (0, 7, 14)
GAP = "gap"
"""Feature of the direct way: days by which what is known is older than the eve of the forecast day."""
BOOSTER, META = "booster.txt", "lightgbm.json"
SKIP_DAYS = 28
"""First days of a product that train nothing: their lags are still empty."""
LEAST_LEVEL = 0.1
"""Units a day; the level of a product that has not sold in sight."""
BOOSTERS = 2
"""Parsed boosters that a process keeps: a tenant's, and the one before."""
FORMAT = 2
"""Of the stored files; raised when what the booster is fed with, or what it gives, changes its meaning."""


@dataclass(frozen=True)
class LightGBM:
    """One booster a tenant, native text when stored.

    Attributes:
        name: of the family.
        voice: in a combination.
        gaps: whole weeks, in days, that may lie between the last day that is looked at and the eve of the forecast day.
    """

    name: str = "lightgbm"
    voice: str = "trees"
    gaps: tuple[int, ...] = RECURSIVE
    scope = Scope.TENANT
    stand_in = None
    intermittent = False
    gatekeeper = False

    def fit(self, history: Panel, outlook: Outlook, recipe: Recipe) -> FittedLightGBM:
        """Fit the booster on all observed days of all products, sampled above `max_rows`."""
        import lightgbm

        slowly = history.observed.sum() < SMALL_ROWS and not SMALL.keys() & recipe.parameters.keys()
        parameters = {**DEFAULTS, **(SMALL if slowly else {}), **recipe.parameters}
        codes, columns = Codes.of(history), (*names(outlook), *((GAP,) if self.gaps != RECURSIVE else ()))
        x, y = _training_set(history, outlook, codes, self.gaps, int(parameters["max_rows"]), recipe.seed)
        if len(y) < 2 * int(parameters["min_child_samples"]) or not y.any():
            raise FamilyError(
                f"{len(y)} observed days over {len(history.products)} products, with {np.count_nonzero(y)} days "
                f"of sales, are too few to grow trees"
            )
        level = _made_relative(x, columns)
        data = lightgbm.Dataset(
            x,
            y,
            init_score=np.log(level),
            # Covariates may be called anything; the booster's text refuses many characters, so it gets numbers.
            feature_name=[f"f{number}" for number in range(len(columns))],
            categorical_feature=[f"f{columns.index(name)}" for name in CATEGORICAL],
            params={"verbosity": -1, "min_data_in_bin": 3},
        )
        trees = int(parameters["n_estimators"])
        try:
            booster = lightgbm.train(_booster_parameters(parameters, recipe.seed), data, trees)
        except lightgbm.basic.LightGBMError as error:
            raise FamilyError(f"the trees over {len(history.products)} products could not be grown: {error}") from error
        return FittedLightGBM(booster, codes, columns, self.gaps)

    def from_files(self, files: Mapping[str, bytes]) -> FittedLightGBM:
        """Read the booster back from its native text."""
        import lightgbm  # For its error.

        try:
            meta = json.loads(files[META])
            codes, features, made_by = Codes(**meta["codes"]), tuple(meta["features"]), meta.get("format", 1)
            gaps = tuple(meta.get("gaps", RECURSIVE))
            booster = _parsed(files[BOOSTER])
        except (KeyError, ValueError, TypeError, lightgbm.basic.LightGBMError) as error:
            raise FamilyError(f"{self.name} needs {BOOSTER} and {META}; found {sorted(files)}") from error
        if made_by != FORMAT:
            raise FamilyError(f"{META} is of format {made_by}, this code reads {FORMAT}: train again")
        return FittedLightGBM(booster, codes, features, gaps)


@lru_cache(maxsize=BOOSTERS)
def _parsed(text: bytes) -> Any:
    """The booster of a native text; the same text is parsed once, for all products and purposes of a process."""
    import lightgbm

    return lightgbm.Booster(model_str=text.decode())


@dataclass(frozen=True)
class FittedLightGBM:
    """A booster, the numbers of names, the names of its features, and the gaps that it knows."""

    booster: Any
    codes: Codes
    features: tuple[str, ...]
    gaps: tuple[int, ...]

    def predict(self, history: Panel, outlook: Outlook, horizon: int) -> Floats:
        """Return (n, horizon) units."""
        return np.column_stack([units for _, _, units in self._days(history, outlook, horizon)])

    def explain(self, history: Panel, outlook: Outlook, horizon: int) -> Parts:
        """Return the trees' SHAP contributions in units, by words: see `trees_explained`."""
        days = self._days(history, outlook, horizon)
        told = [in_units(self.booster.predict(x, pred_contrib=True, num_threads=1), level) for x, level, _ in days]
        return in_words(np.stack(told, axis=1), self.features, outlook, history.last)

    def _days(self, history: Panel, outlook: Outlook, horizon: int) -> Iterator[tuple[Floats, Floats, Floats]]:
        """Yield the (n, f) features of each day ahead, the (n,) levels that its forecast starts from, and its units."""
        given = {name: number for number, name in enumerate((*names(outlook), GAP))}
        order = np.array([given.get(name, -1) for name in self.features])
        maker = FeatureMaker(history, outlook, self.codes)
        days = len(history.dates)
        known = history.quantity[:, -(MEMORY + self.gaps[-1]) :]
        past = np.full((len(history.products), known.shape[1] + horizon), np.nan)
        past[:, : known.shape[1]] = known
        closed = closed_ahead(history, outlook, horizon)
        for ahead in range(horizon):
            # The smallest gap that needs no forecast; beyond all gaps, the earlier forecasts count as known.
            gap = next((gap for gap in self.gaps if gap >= ahead), self.gaps[-1])
            seen = max(known.shape[1] + ahead - gap, 1)
            features = _with_gap(maker.day(past[:, :seen], days + ahead), gap)
            # A covariate that is no longer given is missing, not an error: the trees know what to do without.
            x = np.where(order >= 0, features[:, order], np.nan)
            level = _made_relative(x, self.features)
            made = level * np.exp(self.booster.predict(x, raw_score=True, num_threads=1))
            # Closed days are unobserved in training, and so they are here: no sales are made up for later lags.
            past[:, known.shape[1] + ahead] = np.where(closed[:, ahead], np.nan, made)
            yield x, level, made

    def to_files(self) -> dict[str, bytes]:
        """Return the booster's native text and what it needs to read a calendar."""
        codes = {"product": self.codes.product, "category": self.codes.category, "location": self.codes.location}
        meta = {"codes": codes, "features": list(self.features), "gaps": self.gaps, "format": FORMAT}
        return {BOOSTER: self.booster.model_to_string().encode(), META: json.dumps(meta, sort_keys=True).encode()}


def _training_set(
    history: Panel, outlook: Outlook, codes: Codes, gaps: tuple[int, ...], max_rows: int, seed: int
) -> tuple[np.ndarray, Floats]:
    """(rows, f) float32 features and (rows,) units of the observed days, a random part of them above max_rows."""
    use = history.observed & (np.arange(len(history.dates)) - history.started[:, None] >= SKIP_DAYS)
    total = int(history.observed.sum())
    if total > max_rows:
        use &= np.random.default_rng(seed).random(use.shape) < max_rows / total
    # Filled in place: the largest table of all exists once.
    x, y, filled = np.empty((use.sum(), len(names(outlook)) + (gaps != RECURSIVE)), np.float32), np.empty(use.sum()), 0
    for column, gap, _, features in training_days(history, outlook, codes, SKIP_DAYS, gaps):
        rows = np.flatnonzero(use[:, column])
        block = slice(filled, filled + len(rows))
        x[block] = _with_gap(features[rows], gap)[:, : x.shape[1]]
        y[block] = history.quantity[rows, column]
        filled += len(rows)
    return x, y


def _with_gap(features: np.ndarray, gap: int) -> np.ndarray:
    """(n, f + 1) features, the last the gap."""
    return np.column_stack([features, np.full(len(features), gap, features.dtype)])


def _made_relative(x: np.ndarray, columns: Sequence[str]) -> Floats:
    """Divide the columns that are in units by the level of their row, in place, and return the (rows,) levels."""
    level = np.fmax(x[:, columns.index("level")].astype(float), LEAST_LEVEL)
    for name in IN_UNITS:  # One by one: all at once would copy most of the largest table of all.
        x[:, columns.index(name)] /= level
    return np.asarray(level)


def _booster_parameters(parameters: Mapping[str, Any], seed: int) -> dict[str, Any]:
    return {
        "objective": "tweedie",
        "tweedie_variance_power": parameters["tweedie_variance_power"],
        "learning_rate": parameters["learning_rate"],
        "num_leaves": parameters["num_leaves"],
        "max_depth": parameters["max_depth"],
        "min_data_in_leaf": parameters["min_child_samples"],
        "bagging_fraction": parameters["subsample"],
        "bagging_freq": 1,
        "feature_fraction": parameters["colsample_bytree"],
        "lambda_l2": parameters["reg_lambda"],
        "seed": seed % 2**31,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
