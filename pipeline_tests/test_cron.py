"""Cron expressions are checked where settings are read: Dagster takes what is taken, and what is not is told."""

from __future__ import annotations

import warnings

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cron import checked_cron
from pipeline.errors import ConfigurationError
from pipeline.settings import get_settings

LETTERS = st.text("0123456789*,-/ ?L#@adeimnosu\u0663", max_size=6)
NUMBERS = st.integers(0, 70).map(str) | st.sampled_from(["sun", "mon", "sat", "jan", "feb", "dec"])
PARTS = st.one_of(
    st.just("*"), NUMBERS, st.tuples(NUMBERS, NUMBERS).map("-".join), st.integers(1, 99).map("*/{}".format), LETTERS
)
EXPRESSIONS = st.lists(st.lists(PARTS, min_size=1, max_size=3).map(",".join), min_size=5, max_size=5).map(" ".join)


def schedule(cron: str) -> None:
    """Make a schedule of Dagster of it; that it warns of steps longer than a range is no refusal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        dg.ScheduleDefinition(name="any", cron_schedule=cron, job_name="any")


@given(EXPRESSIONS)
def test_what_is_taken_dagster_takes(cron: str) -> None:
    """No expression passes that would break the code location later."""
    try:
        checked_cron(cron)
    except ValueError:
        return
    schedule(cron)


@pytest.mark.parametrize(
    "cron",
    [
        "*/10 * * * *",
        "30 3 * * *",
        " 0  4 * * MON-fri ",
        "0,30 8-18/2 1,15 jan,jul *",
        "5/20 * * * 7",
        "0 0 29 2 *",
        "0 0 31 * *",
        "0 0 * * 5-7",
    ],
)
def test_usual_expressions_are_taken(cron: str) -> None:
    """Numbers, names, ranges, lists and steps, as they are written."""
    assert checked_cron(cron) == cron
    schedule(cron)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("bad", "of 5 fields, minute, .*; it has 1"),
        ("* * * * * *", "it has 6"),
        ("60 * * * *", "'60' is no minute of a cron expression: it must be from 0 to 59"),
        ("* 24 * * *", "'24' is no hour"),
        ("* * 0 * *", "'0' is no day of the month"),
        ("* * * mon *", "'mon' is no month"),
        ("* * * * 8", "'8' is no day of the week"),
        ("*/0 * * * *", r"'\*/0' is no minute"),
        ("*/90 * * * *", "longer than"),
        ("9-5 * * * *", "the range '9-5' of the minute ends before it begins"),
        ("* * 31 2,4 *", "a day that none of its months has"),
        ("@reboot", "it has 1"),
    ],
)
def test_what_is_no_expression_is_told(cron: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting is named, with its value and what is wrong, before anything is run."""
    monkeypatch.setenv("FEEDBACK_CRON", cron)
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match=f"FEEDBACK_CRON=.*{said}"):
        get_settings()
    get_settings.cache_clear()
