"""Why this number: what is told of a forecast is the forecast that the ladder makes, on whatever rung."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from contracts import Explanation, ForecastPart, PartKind, Rung
from pipeline.engine.panel import Outlook
from pipeline.engine.parts import CLOSED, LEVEL, WEEKDAY, Part
from pipeline.errors import ConfigurationError, DataError
from pipeline.forecasting.ladder import Ladder
from pipeline.forecasting.why import explain_product, told_parts
from pipeline.forecasting.words import sentences, words
from pipeline_tests.engine.builders import NAN, days
from pipeline_tests.forecasting.test_ladder import break_file, climb
from pipeline_tests.training.shop import TRAINABLE, Shop

FRIDAY = dt.date(2026, 10, 2)
RAIN = Part(PartKind.COVARIATE, "rain_mm")


def why(shop: Shop, product: str) -> list[Explanation]:
    """Explain a product's coming days."""
    opened = shop.installation
    return explain_product(Ladder(shop.data(), opened.registry, opened.store, opened.settings, 0), product)


@pytest.mark.parametrize("product", [*TRAINABLE, "new"])
def test_what_is_explained_is_the_forecast(running: Shop, product: str) -> None:
    """Each day has the mean, range, rung and version that the ladder gives, and parts that add up to the mean."""
    frame = climb(running)
    rows = frame[frame["product_id"] == product].to_dict("records")
    told = why(running, product)
    assert [one.date for one in told] == [row["date"] for row in rows]
    for one, row in zip(told, rows, strict=True):
        assert sum(part.units for part in one.parts) == pytest.approx(row["y_hat"], rel=1e-6, abs=1e-6)
        assert (one.y_hat, one.lower, one.upper) == pytest.approx((row["y_hat"], row["lower"], row["upper"]), rel=1e-9)
        assert (one.tenant_id, one.origin, one.rung, one.reason) == (
            row["tenant_id"],
            row["origin"],
            row["rung"],
            row["reason"],
        )
        assert one.model_version == (None if pd.isna(row["model_version"]) else row["model_version"])


def test_members_say_what_the_forecast_is_made_of(running: Shop) -> None:
    """On open days the members' own numbers, times their weights, are the forecast; weights are the manifest's."""
    one = why(running, "baguette")[0]
    manifest = running.installation.registry.manifest("bakery", "baguette", one.model_version or "")
    assert {m.family: m.weight for m in one.members} == {m.family: m.weight for m in manifest.members}
    assert sum(m.weight * m.y_hat for m in one.members) == pytest.approx(one.y_hat)
    assert not one.closed


def test_closed_days_say_so(running: Shop) -> None:
    """On the coming Sunday the shop is closed: that is the part that leaves nothing, and the sentence."""
    (sunday,) = [one for one in why(running, "baguette") if one.date.weekday() == 6]
    assert sunday.y_hat == 0
    assert sunday.closed
    assert sum(part.kind is PartKind.CLOSED for part in sunday.parts) == 1
    assert "closed" in " ".join(sentences(sunday))


def test_a_fallen_champion_is_not_what_is_explained(running: Shop) -> None:
    """Where the champion's files are torn the naive's week is told, since it is what forecasts, and why it does."""
    version = running.installation.registry.champions("bakery")["baguette"].version
    break_file(running, "baguette", version, "linear")
    one = why(running, "baguette")[0]
    assert (one.rung, [m.family for m in one.members]) == (Rung.SEASONAL_NAIVE, ["seasonal_naive"])
    assert version in one.reason
    assert {part.kind for part in one.parts} <= {PartKind.LEVEL, PartKind.WEEKDAY}


def test_what_is_not_sold_is_named(running: Shop) -> None:
    """An unknown product is an error that says where products are listed; a discontinued one says since when."""
    with pytest.raises(ConfigurationError, match="does not sell 'bun'; `pipeline forecast show --tenant bakery`"):
        why(running, "bun")
    with pytest.raises(DataError, match="'gone' of tenant 'bakery' has no forecast: nothing was sold on the last 90"):
        why(running, "gone")


def test_parts_stand_in_the_order_of_their_size() -> None:
    """The level comes first, then the largest, whatever their sign; what adds nothing on the day is left out."""
    units = {WEEKDAY: 2.0, RAIN: -3.0, LEVEL: 1.0, CLOSED: 0.0}
    known = Outlook(days(9, "2026-10-01"), covariates={"rain_mm": np.arange(9.0)})
    told = told_parts(units, known, "bun", FRIDAY)
    assert [(part.words, part.units) for part in told] == [("level", 1), ("rain mm (1)", -3), ("Friday", 2)]


@pytest.mark.parametrize(("second", "value"), [(7.0, 7.0), (NAN, None)])
def test_a_covariate_is_told_with_the_value_of_the_product(second: float, value: float | None) -> None:
    """A covariate by product has the product's own value of the day; a missing one is not made up."""
    own = np.array([[1.0, 2.0], [3.0, second]])
    known = Outlook(days(2, "2026-10-01"), by_product={"rain_mm": own}, products=("roll", "bun"))
    (part,) = told_parts({RAIN: 1.0}, known, "bun", FRIDAY)
    assert part.value == value
    assert told_parts({Part(PartKind.COVARIATE, "gone"): 1.0}, known, "bun", FRIDAY)[0].value is None


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        (WEEKDAY, None, "Friday"),
        (Part(PartKind.HOLIDAY, "Unity Day"), None, "Unity Day"),
        (Part(PartKind.HOLIDAY), None, "holidays near by"),
        (RAIN, 12.345, "rain mm (12.3)"),
        (RAIN, None, "rain mm (not known)"),
        (Part(PartKind.FAMILY, "oracle"), None, "forecast of oracle"),
    ],
)
def test_words(part: Part, value: float | None, said: str) -> None:
    """Parts are called what a shop calls them."""
    assert words(part, FRIDAY, value) == said


@pytest.mark.parametrize("kind", PartKind)
def test_every_kind_has_words(kind: PartKind) -> None:
    """No kind of part is left without a word."""
    assert words(Part(kind, "x"), FRIDAY, None)


def explanation(*units: float, stored: float | None = None) -> Explanation:
    """An explanation of a level and other parts."""
    kinds = (PartKind.LEVEL, *[PartKind.COVARIATE] * len(units))
    parts = [
        ForecastPart(kind=kind, units=value, words=f"part {number}")
        for number, (kind, value) in enumerate(zip(kinds, units, strict=False))
    ]
    return Explanation(
        tenant_id="b", product_id="bun", date=FRIDAY, origin="2026-10-01", y_hat=sum(units), lower=1, upper=99,
        rung=Rung.CHAMPION, reason="", parts=parts, members=[], stored=stored,
    )  # fmt: skip


def test_the_sentence_names_the_largest_parts() -> None:
    """The level and the four largest parts are named with their signs, the rest summed; what is stored agrees."""
    said = sentences(explanation(42, 18, -6, 3, 2, 1, -0.5, stored=59.5))
    assert said == [
        "Friday 2 October 2026: 59.5 expected, between 1.0 and 99.0 on nine days of ten: part 0 42.0, "
        "part 1 +18.0, part 2 -6.0, part 3 +3.0, part 4 +2.0, all else +0.5."
    ]


def test_few_units_have_two_decimals() -> None:
    """A product of less than ten units is not rounded away, and nothing is ever minus zero."""
    assert "part 0 0.42, part 1 +0.05, part 2 +0.00." in sentences(explanation(0.42, 0.05, -0.0001))[0]


def test_an_overtaken_forecast_is_said_to_be_so() -> None:
    """Where another number is stored than would be forecast now, the owner hears both."""
    said = sentences(explanation(42, 18, stored=55))
    assert said[1].startswith("The stored forecast says 55.0")
