"""Every family passes the one conformance suite; and what is true of single families."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import families
from pipeline.engine.families import FAMILIES, FOREIGN, Family, Recipe
from pipeline.errors import FamilyError
from pipeline_tests.engine.builders import NAN, outlook_of, panel_of
from pipeline_tests.engine.conformance import LENGTH, FamilyContract, history, outlook

WEEKS = st.lists(st.one_of(st.just(NAN), st.floats(0, 90)), min_size=1, max_size=70)


class TestEveryFamily(FamilyContract):
    """The suite for all families that the pipeline knows."""

    @pytest.fixture(params=list(FAMILIES))
    def family(self, request: pytest.FixtureRequest) -> Family:
        """Each family in turn."""
        return FAMILIES[request.param]


def test_names_and_stand_ins_are_known() -> None:
    """A family stands under its own name, and another that is evaluated in its place exists and is evaluated."""
    for name, family in FAMILIES.items():
        assert family.name == name
        assert family.stand_in is None or FAMILIES[family.stand_in].stand_in is None


@pytest.mark.parametrize("name", ["linear", "prophet"])
@pytest.mark.parametrize("units", [np.zeros(LENGTH), np.r_[np.full(LENGTH - 13, NAN), np.full(13, 5.0)]])
def test_regressions_refuse_what_they_cannot_carry(name: str, units: np.ndarray) -> None:
    """Fewer than 14 observed days, or no sales, are refused: the text names the product and both figures."""
    days, most = np.isfinite(units).sum(), np.nanmax(units)
    with pytest.raises(FamilyError, match=f"'rye' has {days} observed days and at most {most:g} units"):
        FAMILIES[name].fit(panel_of(units, ("rye",)), outlook_of(LENGTH + 14), Recipe())


def test_trees_refuse_too_few_days() -> None:
    """Fewer days than two leaves hold are refused, with the figures."""
    with pytest.raises(FamilyError, match="7 observed days over 1 products, with 7 days of sales, are too few"):
        FAMILIES["lightgbm"].fit(panel_of(np.full(35, 5.0)), outlook_of(60), Recipe())


def test_trees_sample_above_their_limit() -> None:
    """Above `max_rows` a random part of the days is used, the same for the same seed."""
    panel, known = history(), outlook()
    whole = FAMILIES["lightgbm"].fit(panel, known, Recipe(seed=1)).predict(panel, known, 14)
    sampled = {
        seed: FAMILIES["lightgbm"].fit(panel, known, Recipe({"max_rows": 150}, seed)).predict(panel, known, 14)
        for seed in (1, 2)
    }
    again = FAMILIES["lightgbm"].fit(panel, known, Recipe({"max_rows": 150}, 1)).predict(panel, known, 14)
    assert not np.allclose(sampled[1], whole)
    assert not np.allclose(sampled[1], sampled[2])
    np.testing.assert_array_equal(sampled[1], again)


def test_the_seasonal_naive_repeats_last_week() -> None:
    """Each day ahead has the units of the same weekday of the last week."""
    units = np.arange(1.0, 22.0)
    forecast = (
        FAMILIES["seasonal_naive"]
        .fit(panel_of(units), outlook_of(40), Recipe())
        .predict(panel_of(units), outlook_of(40), 16)
    )
    assert forecast[0].tolist() == [15, 16, 17, 18, 19, 20, 21] * 2 + [15, 16]


def test_the_seasonal_naive_goes_back_to_the_last_observed_one() -> None:
    """A weekday that was not observed last week has its value of before; one never observed has the mean."""
    units = np.arange(1.0, 22.0)
    units[[14, 20, 13, 6]] = NAN
    panel = panel_of(units)
    forecast = FAMILIES["seasonal_naive"].fit(panel, outlook_of(40), Recipe()).predict(panel, outlook_of(40), 7)
    assert forecast[0, 0] == 8
    assert forecast[0, 6] == pytest.approx(np.nanmean(units))


def test_the_seasonal_naive_needs_no_history() -> None:
    """Three days, or none that was observed, still make a forecast."""
    panel = panel_of([[2.0, 4.0, 6.0], [NAN, NAN, NAN]])
    forecast = FAMILIES["seasonal_naive"].fit(panel, outlook_of(40), Recipe()).predict(panel, outlook_of(40), 8)
    assert forecast[0].tolist() == [4, 4, 4, 4, 2, 4, 6, 4]
    assert not forecast[1].any()


@given(units=WEEKS, ahead=st.integers(1, 20))
def test_the_seasonal_average_is_the_mean_of_four_weekdays(units: list[float], ahead: int) -> None:
    """Each day ahead has the mean of the last four observed same weekdays, of all observed days where there is none."""
    panel, known = panel_of(units), outlook_of(100)
    found = FAMILIES["seasonal_average"].fit(panel, known, Recipe()).predict(panel, known, ahead)[0, ahead - 1]
    observed = [(day, value) for day, value in enumerate(units) if not np.isnan(value)]
    same = [value for day, value in observed if (len(units) + ahead - 1 - day) % 7 == 0][-4:]
    usual = same or [value for _, value in observed] or [0.0]
    assert found == pytest.approx(sum(usual) / len(usual))


def test_gatekeepers_are_the_two_simple_ones() -> None:
    """The seasonal naive and the seasonal average are there to be beaten, and nothing else of ours is."""
    gatekeepers = [name for name, family in FAMILIES.items() if family.gatekeeper and name not in FOREIGN]
    assert gatekeepers == ["seasonal_naive", "seasonal_average"]


def test_the_package_has_no_other_names() -> None:
    """Asking the package for what it does not have is an AttributeError that says so."""
    with pytest.raises(AttributeError, match="has no attribute 'FAMILY'"):
        families.FAMILY  # noqa: B018 - it is the asking that counts
