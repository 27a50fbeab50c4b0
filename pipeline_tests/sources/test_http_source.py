"""A sales service that misbehaves loses and doubles nothing; stamps, tokens and pages are used as agreed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ChangingFileError, ConfigurationError, PipelineError, SourceError
from pipeline.home import Home
from pipeline.sources.extract import load_sales, source_fingerprint
from pipeline_tests.sources.builders import NOW, SETTINGS, days, extract, quantities
from pipeline_tests.sources.places import OverHttp, over_http
from pipeline_tests.sources.service import Request, Say

ROWS = days("2024-06-01", [float(n) for n in range(1, 11)])


@pytest.fixture(params=[True, False], ids=["stamps", "no stamps"])
def place(request: pytest.FixtureRequest) -> Iterator[OverHttp]:
    """A service that holds ROWS."""
    with over_http(stamps=request.param) as found:
        found.put(ROWS)
        yield found


def on_page(token: str, say: object) -> Say:
    """Answer so on one page, and as usual on others."""
    content = say if isinstance(say, bytes) else json.dumps(say).encode()
    return lambda request: content if request.params.get("page", "first") == token else None


ROW = {"date": "2024-06-01", "product_id": "bread", "quantity": 1}


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        (
            on_page("3", b'{"rows": [{"date": "2024<cut>'),
            "the service sales:shop was asked 3 times and failed: RemoteProtocolError",
        ),
        (on_page("3", b"<html>busy</html>"), "answered what is no JSON"),
        (on_page("3", b"\xff\xfe{"), "answered what is no JSON"),
        (on_page("3", [ROW]), "page '3' is not as agreed"),
        (on_page("3", {"rows": [ROW]}), "next_page: Field required"),
        (on_page("3", {"rows": {"a": 1}, "next_page": None}), "rows: Input should be a valid list"),
        (on_page("3", {"rows": [[1, 2]], "next_page": None}), r"rows\.0: Input should be a valid dict"),
        (on_page("6", {"rows": [ROW], "next_page": "3"}), "goes in a circle: page '3'"),
        (on_page("9", {"rows": [ROW], "next_page": None, "total": 11}), "speaks of 11 rows and gives 10"),
    ],
)
def test_a_bad_page_takes_nothing_away(place: OverHttp, home: Home, instead: Say, said: str) -> None:
    """Whatever is wrong with a page, the extraction fails with the reason, and the table stays as it is."""
    before = extract(place.tenant(), home)
    place.put(ROWS.assign(quantity=50.0))
    place.service.instead = instead
    with pytest.raises(SourceError, match=said):
        extract(place.tenant(), home)
    assert load_sales(home, "shop").equals(before.daily)
    place.service.instead = None
    assert set(quantities(extract(place.tenant(), home)).values()) == {50.0}


@pytest.mark.parametrize(
    "odd",
    [
        {"product_id": "caf\ud83d"},
        {"product_id": "bread", "note": "\ud83d"},
        {"product_id": "bread", "note": {"\ud83d": "\ud83d"}},
        {"product_id": "bread", "\ud83d": 1},
    ],
    ids=["product", "text", "nested", "field"],
)
def test_half_a_character_is_told_by_its_escape(place: OverHttp, home: Home, odd: dict[str, Any]) -> None:
    """An emoji that was cut in two, in a cell or a name, takes no row away, its own included."""
    row = {**ROW, "date": "2024-06-11", **odd}
    place.service.instead = on_page("9", {"rows": [row], "next_page": None})
    found = quantities(extract(place.tenant(), home))
    assert len(found) == len(ROWS)
    assert found[odd["product_id"].replace("\ud83d", "\\ud83d"), "2024-06-11"] == 1


def test_rows_that_move_between_pages_are_noticed(place: OverHttp, home: Home) -> None:
    """A service that changes with every page that is read never gives a table that is half old and half new."""

    def grow(request: Request) -> None:
        early = days(f"2024-05-{1 + request.number % 20:02}", [100.0 + request.number], "new")
        place.put(pd.concat([early, pd.DataFrame(place.service.rows)]))

    place.service.instead = grow
    with pytest.raises(ChangingFileError, match="changed each of 3 times"):
        extract(place.tenant(), home)
    assert not home.table("shop", "sales").exists()
    place.service.instead = None
    expected = sum(row["quantity"] for row in place.service.rows)
    assert extract(place.tenant(), home).daily["quantity"].sum() == expected


def test_a_change_of_order_alone_is_no_change(place: OverHttp, home: Home) -> None:
    """The same rows in another order, and other pages, make the same table."""
    first = extract(place.tenant(), home)
    place.put(ROWS.iloc[::-1])
    place.service.page_size = 4
    again = extract(place.tenant(), home)
    assert not again.changed
    assert quantities(again) == quantities(first)


def test_with_stamps_a_look_asks_for_one_answer_without_rows(home: Home) -> None:
    """A service with ETags is asked once a look, with the stamp of the window; nothing else is transferred."""
    with over_http(stamps=True) as place:
        place.put(ROWS)
        found = extract(place.tenant(), home)
        place.service.asked.clear()
        assert source_fingerprint(place.tenant(), home, SETTINGS) == found.fingerprint
        (asked,) = place.service.asked
        assert asked.headers["If-None-Match"]
        assert asked.params == {"since": "2024-05-05"}  # the last day less the look-back and the margin
        place.service.asked.clear()
        assert not extract(place.tenant(), home, NOW + dt.timedelta(hours=1)).changed
        assert len(place.service.asked) == 1


def test_a_change_between_reading_and_remembering_is_found(home: Home) -> None:
    """What changes after the last page and before the stamp is taken is not taken for read."""
    with over_http(stamps=True) as place:
        place.put(ROWS)

        def correct(request: Request) -> None:
            if request.params["since"] != "1970-01-01":
                place.put(ROWS.assign(quantity=9.0))

        place.service.instead = correct
        first = extract(place.tenant(), home)
        place.service.instead = None
        assert source_fingerprint(place.tenant(), home, SETTINGS) != first.fingerprint
        assert set(quantities(extract(place.tenant(), home)).values()) == {9.0}


def test_the_token_comes_from_the_environment(place: OverHttp, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bearer token is sent, told nowhere, and its lack or refusal is named."""
    place.service.token = "s3cret"
    tenant = place.tenant(token="${PIPELINE_SOURCE_TOKEN}")
    with pytest.raises(ConfigurationError, match=r"PIPELINE_SOURCE_TOKEN.* is not set"):
        extract(tenant, home)
    monkeypatch.setenv("PIPELINE_SOURCE_TOKEN", "wr0ng")
    with pytest.raises(SourceError, match="sales:shop cannot be used: HTTP 401 from http") as caught:
        extract(tenant, home)
    assert "wr0ng" not in str(caught.value)
    monkeypatch.setenv("PIPELINE_SOURCE_TOKEN", "s3cret")
    assert len(extract(tenant, home).daily) == len(ROWS)


def test_an_unreachable_service_is_named_without_secrets(home: Home) -> None:
    """Host and path are told; the login and the query's values are not."""
    with over_http(stamps=True) as place:
        tenant = place.tenant(url="http://bob:s3cret@127.0.0.1:1/sales?key=hidden")
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:1/sales") as caught:
        extract(tenant, home)
    assert not [secret for secret in ("bob", "s3cret", "hidden") if secret in str(caught.value)]


def test_an_url_may_have_parameters_of_its_own(place: OverHttp, home: Home) -> None:
    """What stands in the URL is asked along with the day and the page."""
    place.service.url += "?shop=north"
    extract(place.tenant(), home)
    assert {request.params["shop"] for request in place.service.asked} == {"north"}


def test_another_shop_of_one_service_begins_anew(home: Home) -> None:
    """A URL whose own parameters name another shop is another business's, where its days are others."""
    with over_http(stamps=True) as place:
        place.put(ROWS)
        first = place.tenant(url=f"{place.service.url}?shop=a")
        extract(first, home)
        place.put(ROWS.assign(quantity=50.0))
        other = extract(place.tenant(url=f"{place.service.url}?shop=b"), home)
    assert set(quantities(other).values()) == {50.0}
    assert other.report.replaced_source == place.service.url


ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ROW, "rows", "next_page"]), inner),
    max_leaves=8,
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=ANSWERS | st.builds(lambda rows: {"rows": rows, "next_page": None}, st.lists(ANSWERS, max_size=3)))
def test_no_answer_breaks_what_is_stored(tmp_path_factory: pytest.TempPathFactory, answer: Any) -> None:
    """Any JSON at all is taken in as sales of the window, or refused by an error of ours; older days always stay."""
    home = Home(tmp_path_factory.mktemp("home"))
    with over_http(stamps=False) as place:
        place.put(days("2024-04-01", [1.0] * 70))
        before = quantities(extract(place.tenant(), home))
        place.service.instead = lambda _: json.dumps(answer).encode()
        try:
            found = quantities(extract(place.tenant(), home))
        except PipelineError:
            found = quantities_stored(home)
            assert found == before
    assert {key: units for key, units in found.items() if key[1] < "2024-05-05"}.items() >= {
        (product, day): units for (product, day), units in before.items() if day < "2024-05-05"
    }.items()


def quantities_stored(home: Home) -> dict[tuple[str, str], float]:
    """The stored quantity of each product and day."""
    table = load_sales(home, "shop")
    return dict(
        zip(
            zip(table["product_id"], table["date"].dt.strftime("%Y-%m-%d"), strict=True), table["quantity"], strict=True
        )
    )
