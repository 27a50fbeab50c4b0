"""How families are weighed and combined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import DemandClass
from pipeline.engine.combination import EQUAL, NAIVE, Weights, combine, learn
from pipeline.engine.families import FAMILIES
from pipeline.engine.panel import Floats

NAMES = list(FAMILIES)
AVERAGE = "seasonal_average"
PRODUCTS, HORIZON = 20, 14
Origin = tuple[tuple[DemandClass, ...], Floats, dict[str, Floats]]


def origins(count: int, seed: int = 0, linear: float = 4.0, lightgbm: float = 4.0, biased: float = 0.0) -> list[Origin]:
    """Return past origins of 50 units a day, with errors of the given size drawn for each family on its own."""
    rng = np.random.default_rng(seed)
    shape, found = (PRODUCTS, HORIZON), []
    for _ in range(count):
        actual = rng.poisson(50, shape).astype(float)
        made = {
            NAIVE: rng.poisson(50, shape).astype(float),
            "linear": actual + biased + linear * rng.standard_normal(shape),
            "lightgbm": actual + lightgbm * rng.standard_normal(shape),
        }
        found.append(((DemandClass.HIGH,) * PRODUCTS, actual, made))
    return found


def of_all(found: Weights) -> dict[str, float]:
    """Return the weights of all products."""
    return dict(found.by_class[None])


LEARNT = st.dictionaries(st.sampled_from(["regression", "trees"]), st.sampled_from([0.0, 0.3, 1.0]))


@given(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), LEARNT, st.sampled_from([None, *DemandClass]))
def test_weights_add_up_to_one(families: list[str], learnt: dict[str, float], demand_class: DemandClass | None) -> None:
    """Whichever families take part, whatever was learnt, each has a weight, none is negative, and they add up to 1."""
    found = Weights({None: learnt, DemandClass.LOW: {"trees": 1.0}}).shares(families, demand_class)
    assert list(found) == families
    assert sum(found.values()) == pytest.approx(1)
    assert min(found.values()) >= 0


@given(st.lists(st.sampled_from(["linear", "prophet", "lightgbm"]), min_size=1, unique=True))
def test_every_voice_counts_alike(families: list[str]) -> None:
    """Families that say the same share one voice's weight; the gatekeepers have none beside them."""
    found = EQUAL.shares([NAIVE, *families, AVERAGE])
    voices = {FAMILIES[name].voice for name in families}
    for voice in voices:
        members = [found[name] for name in families if FAMILIES[name].voice == voice]
        assert sum(members) == pytest.approx(1 / len(voices))
        assert len(set(members)) == 1
    assert found[NAIVE] == found[AVERAGE] == 0


def test_without_evidence_rare_sales_are_a_family_of_their_own() -> None:
    """Until weights are learnt the family for rare sales has none beside the others, and all of it alone."""
    assert EQUAL.shares(["linear", "lightgbm", "tsb"]) == {"linear": 0.5, "lightgbm": 0.5, "tsb": 0.0}
    assert EQUAL.shares([NAIVE, "tsb"]) == {NAIVE: 0.0, "tsb": 1.0}
    learnt = Weights({None: {"trees": 0.6, "intermittent": 0.4}})
    assert learnt.shares(["lightgbm", "tsb"]) == pytest.approx({"lightgbm": 0.6, "tsb": 0.4})


def test_a_gatekeeper_speaks_where_nothing_else_can() -> None:
    """Alone a gatekeeper has all the weight; of two the seasonal naive has it, as on the ladder."""
    assert EQUAL.shares([NAIVE]) == {NAIVE: 1.0}
    assert EQUAL.shares([AVERAGE]) == {AVERAGE: 1.0}
    assert EQUAL.shares([AVERAGE, NAIVE]) == {AVERAGE: 0.0, NAIVE: 1.0}


def test_gatekeepers_are_not_learnt_from() -> None:
    """However good a gatekeeper was, it gets no weight, and without a second voice nothing is learnt."""
    past = origins(3, linear=8.0, lightgbm=8.0)
    perfect = [(classes, actual, made | {NAIVE: actual, AVERAGE: actual}) for classes, actual, made in past]
    assert learn(perfect) == learn(past)
    assert learn(perfect).shares([NAIVE, AVERAGE, "linear", "lightgbm"])[AVERAGE] == 0
    assert learn([(c, a, {name: m[name] for name in (NAIVE, AVERAGE, "linear")}) for c, a, m in perfect]) == EQUAL


def test_linear_and_prophet_are_one_voice() -> None:
    """The two forms of one regression count once, the trees once."""
    names = ["seasonal_naive", "linear", "prophet", "lightgbm"]
    assert EQUAL.shares(names) == {"seasonal_naive": 0.0, "linear": 0.25, "prophet": 0.25, "lightgbm": 0.5}


def test_a_family_that_failed_is_left_out_of_its_row() -> None:
    """A row of NaN is no voice: the others share its weight, and where none is left the row stays NaN."""
    nan = np.nan
    made = {
        "seasonal_naive": np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [nan, nan], [5.0, 5.0]]),
        "linear": np.array([[10.0, 10.0], [nan, nan], [nan, nan], [nan, nan], [10.0, nan]]),
        "lightgbm": np.array([[20.0, 30.0], [40.0, 40.0], [nan, nan], [nan, nan], [20.0, 20.0]]),
    }
    expected = [[15.0, 20.0], [40.0, 40.0], [3.0, 3.0], [nan, nan], [20.0, 20.0]]
    np.testing.assert_array_equal(combine(made), expected)


def test_no_products_are_combined_to_none() -> None:
    """A block without rows stays one."""
    assert combine({"linear": np.empty((0, 14)), "lightgbm": np.empty((0, 14))}).shape == (0, 14)


def test_what_was_wrong_counts_little() -> None:
    """A voice with errors four times as large has next to no weight; one a little worse loses it with the evidence."""
    assert of_all(learn(origins(1, linear=16.0)))["regression"] < 0.15
    few, many = (of_all(learn(origins(count, linear=4.5))) for count in (1, 12))
    assert 0.3 < many["regression"] < few["regression"] < 0.5
    assert sum(many.values()) == pytest.approx(1)


def test_alike_voices_count_alike() -> None:
    """Voices whose errors are as large and have nothing in common have nearly the same weight."""
    found = of_all(learn(origins(6)))
    assert found["trees"] == pytest.approx(0.5, abs=0.06)


def test_what_leans_one_way_is_no_help() -> None:
    """A voice that is always ten too high loses to one that is not, though its errors vary less."""
    assert of_all(learn(origins(6, linear=1.0, biased=10.0)))["regression"] < 0.2


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("linear", "lightgbm"), [(4.0, 4.0), (4.0, 5.0), (3.0, 6.0)])
def test_no_worse_than_the_plain_mean(seed: int, linear: float, lightgbm: float) -> None:
    """On days that were not learnt from the errors are at most two in a hundred above the plain mean's."""
    *past, (classes, actual, made) = origins(4, seed, linear, lightgbm)
    learnt, plain = (np.abs(actual - combine(made, classes, one)).mean() for one in (learn(past), EQUAL))
    assert learnt <= 1.02 * plain


@pytest.mark.parametrize("factor", [1e3, 1e9])
def test_a_family_that_explodes_is_dropped(factor: float) -> None:
    """Forecasts a thousand times too high, on all days or on a few, leave the others all but alone."""
    for rows in (slice(None), slice(0, 3)):
        past = origins(3)
        for _, _, made in past:
            made["lightgbm"][rows] *= factor
        assert of_all(learn(past))["trees"] < 0.02


def test_classes_have_their_own_weights() -> None:
    """Each demand class is weighed by its own days, and one with too few has the weights of all."""
    past = []
    for number in range(6):
        _, actual, made = origins(1, number)[0]
        made["linear"][:10] += 30
        made["lightgbm"][10:] += 30
        classes = (DemandClass.HIGH,) * 10 + (DemandClass.MEDIUM,) * 9 + (DemandClass.LOW,)
        past.append((classes, actual, made))
    found = learn(past)
    assert found.by_class[DemandClass.HIGH]["trees"] > 0.8
    assert found.by_class[DemandClass.MEDIUM]["trees"] < 0.2
    assert DemandClass.LOW not in found.by_class
    assert found.shares(["linear", "lightgbm"], DemandClass.LOW) == pytest.approx(
        {"linear": found.by_class[None]["regression"], "lightgbm": found.by_class[None]["trees"]}
    )
    combined = combine(past[0][2], past[0][0], found)
    np.testing.assert_allclose(
        combined[0],
        sum(share * past[0][2][name][0] for name, share in found.shares(list(past[0][2]), DemandClass.HIGH).items()),
    )


def test_too_little_is_no_evidence() -> None:
    """Without origins, with one voice, with few days, or where nothing came true, all voices count alike."""
    assert learn([]) == EQUAL
    assert learn([(c, a, {"linear": m["linear"]}) for c, a, m in origins(3)]) == EQUAL
    assert learn([(c[:2], a[:2], {k: v[:2] for k, v in m.items()}) for c, a, m in origins(3)]) == EQUAL
    assert learn([(c, np.full_like(a, np.nan), m) for c, a, m in origins(3)]) == EQUAL


def test_rows_that_a_voice_could_not_forecast_teach_nothing() -> None:
    """A product without trees changes no weight."""
    past = origins(3, linear=8.0)
    whole = learn(past)
    more = []
    for classes, actual, made in past:
        wider = {name: np.vstack([block, np.full((1, HORIZON), np.nan)]) for name, block in made.items()}
        wider["linear"][-1] = 5.0
        more.append(((*classes, DemandClass.HIGH), np.vstack([actual, np.zeros((1, HORIZON))]), wider))
    assert learn(more) == whole
