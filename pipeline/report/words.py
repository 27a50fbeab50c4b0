"""Numbers, dates and verdicts in the words of the report."""

from __future__ import annotations

import datetime as dt

from pipeline.report.content import Totals, gain, known

NO_VALUE = "n/a"
THIN_SPACE = "\u202f"
WHOLE_FROM = 3.0
"""Units from which quantities are written without decimals."""
SAME = 0.005
"""Difference of errors, as a share of the naive one, that is not worth a word."""
METHODS = {
    "seasonal_naive": "repeats what was sold on that weekday a week before",
    "seasonal_average": "averages the last four of the same weekday",
    "ets": "follows level, trend and week, the latest sales most",
    "theta": "follows the level, and half of the trend",
    "tsb": "for rare sales: how often something is sold, and how much then",
    "linear": "adds up trend, week, year, holidays and what else is given",
    "prophet": "the parts of linear, fitted another way",
    "lightgbm": "decision trees that learn from all products together",
    "lightgbm_direct": "the same trees, never fed with their own forecasts",
}


def percent(value: float | None) -> str:
    """Return a share as a whole percentage, such as `21 %`."""
    share = known(value)
    return NO_VALUE if share is None else f"{share * 100:.0f}{THIN_SPACE}%"


def fine_percent(value: float | None) -> str:
    """Return a share as a percentage with one decimal, such as `17.2 %`, where small differences are looked for."""
    share = known(value)
    return NO_VALUE if share is None else f"{share * 100:.1f}{THIN_SPACE}%"


def signed_percent(value: float | None) -> str:
    """Return a share as a percentage with its sign, such as `+22 %`."""
    share = known(value)
    if share is None:
        return NO_VALUE
    if abs(share) < SAME:
        return f"0{THIN_SPACE}%"
    return f"{share * 100:+.0f}{THIN_SPACE}%".replace("-", "\N{MINUS SIGN}")


def decimal(value: float | None) -> str:
    """Return a figure with two decimals."""
    figure = known(value)
    return NO_VALUE if figure is None else f"{figure:.2f}"


def units(value: float | None) -> str:
    """Return a quantity as a person would say it: whole from 3 units, with one decimal below."""
    quantity = known(value)
    if quantity is None:
        return NO_VALUE
    text = f"{quantity:,.0f}" if quantity >= WHOLE_FROM else f"{quantity:.1f}".removesuffix(".0")
    return text.replace(",", THIN_SPACE)


def raw(value: float | None) -> str:
    """Return a number for sorting by; empty where it is unknown."""
    figure = known(value)
    return "" if figure is None else f"{figure:.6g}"


def short_day(day: dt.date) -> str:
    """Return a day such as `Thu 1 Oct`."""
    return f"{day:%a} {day.day} {day:%b}"


def long_day(day: dt.date) -> str:
    """Return a day such as `Thursday 1 October 2026`."""
    return f"{day:%A} {day.day} {day:%B %Y}"


def unusual(name: str, day: dt.date, sold: float, usual: float) -> str:
    """Return what was strange about a day, such as `12 March: 410 of Croissant, where about 40 are usual`."""
    amount = "nothing" if sold == 0 else units(sold)
    return f"{day:%A} {day.day} {day:%B}: {amount} of {name}, where about {units(usual)} are usual"


def method(family: str) -> str:
    """Return in a few words what a family does."""
    return METHODS.get(family, "a family of your own")


def verdict(totals: Totals) -> str:
    """Return one or two sentences on how good the forecasts are against repeating last week."""
    error, naive = known(totals.wape), known(totals.naive_wape)
    if error is None:
        return "It is not known yet how good these forecasts are: too little has been sold to test them on."
    said = (
        "Tested on past days that they had not seen, the forecasts were wrong by "
        f"{error * 100:.0f} units for every 100 sold."
    )
    return " ".join(part for part in (said, _against_naive(error, naive), _within(known(totals.coverage))) if part)


def _against_naive(error: float, naive: float | None) -> str:
    saved = gain(error, naive)
    if naive is None or saved is None:
        return ""
    repeating = f"Repeating last week would have been wrong by {naive * 100:.0f}"
    if abs(saved) < SAME:
        return f"{repeating}: no difference."
    return f"{repeating}: the forecasts do {percent(abs(saved))} {'better' if saved > 0 else 'worse'}."


def _within(coverage: float | None) -> str:
    if coverage is None:
        return ""
    return f"On {coverage * 100:.0f} of 100 days the sales lay within the range given; 90 are aimed at."


def day_from(today: dt.date, day: dt.date | None) -> str:
    """Return what a day is called on the day that the report is made: old sales have no tomorrow."""
    ahead = 2 if day is None else (day - today).days
    if ahead < 0:
        return "Already over"
    return {0: "Today", 1: "Tomorrow"}.get(ahead, "Next day with sales")
