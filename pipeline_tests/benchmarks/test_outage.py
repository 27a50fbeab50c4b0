"""An outage within a training, in small: a real provider that fails and is away for a while loses nothing."""

from __future__ import annotations

import pytest

from benchmarks.outage import Trained, page, products_sold, same, trained
from benchmarks.provider import Trouble
from pipeline_tests.defs.world import FEW_TRIALS

QUICK = {
    **FEW_TRIALS,
    "EVALUATION_ORIGINS": "2",
    "WITHOUT_FAMILIES": "lightgbm,lightgbm_direct,prophet,theta,tsb",
    "RETRY_HTTP_MIN_SECONDS": "0.1",
    "RETRY_HTTP_MAX_SECONDS": "0.5",
    "BREAKER_SALES_SECONDS": "4",
}
OPEN_SECONDS = 4
TROUBLE = Trouble(share=0.1, seed=5, dark_after=30, dark_seconds=8)
PRODUCTS, PAGE_ROWS = 10, 25

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Trained]:
    """The same training from a provider that is well, and from one that is not."""
    folder = tmp_path_factory.mktemp("outage")
    sold = products_sold(folder, PRODUCTS, 200)
    well = trained(folder / "well", sold, Trouble(), PAGE_ROWS, **QUICK)
    return well, trained(folder / "ill", sold, TROUBLE, PAGE_ROWS, **QUICK)


def test_a_training_outlasts_an_outage_and_loses_nothing(both: tuple[Trained, Trained]) -> None:
    """All products are trained, from the same sales to the same forecasts, and all is told to other systems."""
    well, ill = both
    assert same(well, ill) == dict.fromkeys(same(well, ill), True)
    assert well.found["trained"] == ill.found["trained"] == ill.found["told"] == PRODUCTS
    assert len(ill.met) >= 3


def test_the_metadata_says_what_was_repeated_and_waited(both: tuple[Trained, Trained]) -> None:
    """Of a provider that is well nothing; else the repetitions, the wait in which it was left alone, the fault."""
    well, ill = (one.found["asked"]["sales"] for one in both)
    assert (well["attempts"], well["seconds_waited"]) == (well["calls"], 0)
    assert "seconds_left_alone" not in well
    assert ill["attempts"] > ill["calls"]
    assert TROUBLE.dark_seconds - OPEN_SECONDS < ill["seconds_left_alone"] < TROUBLE.dark_seconds + OPEN_SECONDS
    assert ill["seconds_left_alone"] < ill["seconds_waited"]
    assert ill["last_fault"]


def test_what_was_read_is_kept(both: tuple[Trained, Trained]) -> None:
    """What is told was waited; beyond the requests that failed hardly any is made again: no reading begins anew."""
    well, ill = both
    assert ill.asked("seconds_waited") <= ill.asking
    assert ill.requests <= well.requests + sum(ill.met.values()) + 10


def test_the_page_judges_the_wait(both: tuple[Trained, Trained]) -> None:
    """A wait beyond the outage and the backoff's own is called missed."""
    well, ill = both
    short = Trouble(dark_seconds=1)
    assert "waited" in page(well, ill, short).text
    assert "**missed**" in page(well, ill, short).text
    assert "**missed**" not in page(well, ill, Trouble(dark_seconds=3600)).text
