"""Combining families: voices weighted by what they did at past origins, held towards equal weights.

Combining forecasts beats picking one (Bates and Granger 1969; Timmermann 2006), and weights that are estimated from
few errors are often worse than equal ones: so they are shrunk (Diebold and Pauly 1990), first towards equal, then each
demand class towards all. Families that say the same share a voice, so that none counts twice; a gatekeeper speaks
only where nothing else can.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from contracts import DemandClass
from pipeline.engine.families import FAMILIES
from pipeline.engine.panel import Bools, Floats

NAIVE = "seasonal_naive"
"""The gatekeeper that speaks where nothing else can."""
PRIOR_ORIGINS = 1.0
"""Past origins that equal weights are worth: with one origin known, what is learnt and what is equal count alike."""
WORTHY = 1.15
"""Times the smallest error of a voice up to which a voice has a share of the equal weights."""
MIN_DAYS = 100
"""Scored days below which a demand class has the weights of all products."""
ROUNDS = 15
SMALLEST_SHARE = 0.1
"""Of the mean error; smaller errors weigh as if they were this large, so that none decides alone."""


@dataclass(frozen=True)
class Weights:
    """The weight of each voice by demand class; None is all products.

    Without any, all voices count alike but for those of the families for rare sales: these then speak for the
    products alone that the others cannot serve.
    """

    by_class: Mapping[DemandClass | None, Mapping[str, float]] = field(default_factory=dict)

    def shares(self, families: Collection[str], demand_class: DemandClass | None = None) -> dict[str, float]:
        """Return each family's weight, together 1; the families of a voice share its weight.

        >>> Weights().shares(["linear", "prophet", "lightgbm", "seasonal_naive"])
        {'linear': 0.25, 'prophet': 0.25, 'lightgbm': 0.5, 'seasonal_naive': 0.0}
        """
        learnt = self.by_class.get(demand_class, self.by_class.get(None, {}))
        models = [name for name in families if not FAMILIES[name].gatekeeper]
        usual = [name for name in models if learnt or not FAMILIES[name].intermittent]
        speaking = usual or models or [NAIVE if NAIVE in families else min(families)]
        voices: dict[str, list[str]] = {}
        for name in speaking:
            voices.setdefault(FAMILIES[name].voice, []).append(name)
        said = {voice: learnt.get(voice, 1 / len(voices)) for voice in voices}
        total = sum(said.values())
        # A voice that was worth nothing still speaks where it is the only one left.
        share = {voice: weight / total if total > 0 else 1 / len(voices) for voice, weight in said.items()}
        own = {name: share[voice] / len(members) for voice, members in voices.items() for name in members}
        return {name: own.get(name, 0.0) for name in families}


EQUAL = Weights()


def combine(
    forecasts: Mapping[str, Floats], classes: Sequence[DemandClass | None] | None = None, weights: Weights = EQUAL
) -> Floats:
    """Return (n, h) combined units of {family: (n, h)}; a family whose row is NaN is left out of that row.

    Args:
        forecasts: what each family says.
        classes: demand class of each of the n products; None: all have the weights of all products.
        weights: how much each voice counts.
    """
    stacked = np.array(list(forecasts.values()))
    combined = np.full(stacked.shape[1:], np.nan)
    able = np.isfinite(stacked).all(axis=2)
    labels = [None] * able.shape[1] if classes is None else list(classes)
    groups: dict[tuple[DemandClass | None, bytes], list[int]] = {}
    for row, label in enumerate(labels):
        groups.setdefault((label, able[:, row].tobytes()), []).append(row)
    for (label, _), rows in groups.items():
        names = [name for name, can in zip(forecasts, able[:, rows[0]], strict=True) if can]
        if names:
            share = weights.shares(names, label)
            combined[rows] = sum(share[name] * forecasts[name][rows] for name in names)
    return combined


def learn(origins: Iterable[tuple[Sequence[DemandClass], Floats, Mapping[str, Floats]]]) -> Weights:
    """Return the weights that would have made the smallest errors at past origins, held towards equal ones.

    Args:
        origins: for each past origin the classes (n,), the actuals (n, h), NaN where not scored, and what each
            family forecast, {family: (n, h)}, NaN where it could not.
    """
    known = list(origins)
    names = sorted({FAMILIES[f].voice for _, _, made in known for f in made if not FAMILIES[f].gatekeeper})
    if len(names) < 2:
        return EQUAL
    days = [_days(classes, actual, _voices(made, names)) for classes, actual, made in known]
    labels, actual, made = (np.concatenate(part) for part in zip(*days, strict=True))
    if len(actual) < MIN_DAYS:
        return EQUAL
    everyone = _fit(actual, made, _equal_among_worthy(actual, made), len(known))
    found: dict[DemandClass | None, Mapping[str, float]] = {None: _named(names, everyone)}
    for demand_class in DemandClass:
        own: Bools = labels == demand_class.value
        if own.sum() >= MIN_DAYS:
            found[demand_class] = _named(names, _fit(actual[own], made[own], everyone, len(known)))
    return Weights(found)


def _voices(made: Mapping[str, Floats], names: Sequence[str]) -> Floats:
    """(voices, n, h): the plain mean of each voice's families that could forecast."""
    shape = next(iter(made.values())).shape
    found = np.full((len(names), *shape), np.nan)
    for number, voice in enumerate(names):
        said = {name: block for name, block in made.items() if FAMILIES[name].voice == voice}
        if said:
            found[number] = combine(said)
    return found


def _days(classes: Sequence[DemandClass], actual: Floats, made: Floats) -> tuple[np.ndarray, Floats, Floats]:
    """(m,) labels, (m,) units and (m, voices) units of the days that all voices forecast and that came true."""
    # Where every voice says 0, as on closed days, there is nothing to learn.
    usable = np.isfinite(actual) & np.isfinite(made).all(axis=0) & (made > 0).any(axis=0)
    labels = np.repeat(np.array([str(c) for c in classes], object), actual.shape[1]).reshape(actual.shape)
    return labels[usable], actual[usable], made[:, usable].T


def _equal_among_worthy(actual: Floats, made: Floats) -> Floats:
    """(voices,) equal weights of the voices that are not much worse than the best, 0 of the others."""
    errors = np.abs(actual[:, None] - made).mean(axis=0)
    worthy = errors <= WORTHY * errors.min()
    return np.asarray(worthy / worthy.sum())


def _fit(actual: Floats, made: Floats, prior: Floats, origins: int) -> Floats:
    """(voices,) weights on the simplex: least absolute errors by reweighted least squares, shrunk to the prior."""
    weight = prior
    noise = (np.abs(actual[:, None] - made)).min(axis=1) ** 2
    smallest = max(SMALLEST_SHARE * float(np.abs(actual - np.median(made, axis=1)).mean()), 1e-9)
    for _ in range(ROUNDS):
        importance = 1 / np.maximum(np.abs(actual - made @ weight), smallest)
        held = PRIOR_ORIGINS / origins * float(importance @ noise)
        gram = (made * importance[:, None]).T @ made + held * np.eye(len(prior))
        weight = _on_simplex(gram, made.T @ (importance * actual) + held * prior)
    return weight


def _on_simplex(gram: Floats, target: Floats) -> Floats:
    """The w >= 0 with sum 1 that makes w'Gw/2 - t'w smallest."""
    from scipy.optimize import nnls

    firm = 1e4 * np.trace(gram)
    root = np.linalg.cholesky(gram + firm)
    found, _ = nnls(root.T, np.linalg.solve(root, target + firm))
    return np.asarray(found / found.sum())


def _named(names: Sequence[str], weights: Floats) -> dict[str, float]:
    return dict(zip(names, map(float, weights), strict=True))
