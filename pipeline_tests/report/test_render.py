"""The HTML report: complete, safe, self-contained, and worst first."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.monitoring.findings import Finding, Severity
from pipeline.report import ForecastDay, ProductLine, TenantReport, Totals, UnusualDay, render_report
from pipeline_tests.report.conftest import HOSTILE, ORIGIN, line
from pipeline_tests.report.page import Node, read

EMPTY = TenantReport("corner", "Corner", dt.datetime(2026, 10, 1, tzinfo=dt.UTC), ORIGIN, 14, Totals())


def _table(page: Node) -> Node:
    return next(t for t in page.all("table") if t.attributes.get("id") == "products")


def _names(page: Node) -> list[str]:
    return [group.one("span", "name").text for group in _table(page).all("tbody", "product")]


def _next_day(page: Node) -> list[list[str]]:
    section = next(s for s in page.all("section") if s.attributes["aria-labelledby"] == "next-heading")
    return [[cell.text for cell in row.inside if isinstance(cell, Node)] for row in section.all("tr") if row.all("td")]


def test_products_come_worst_first(report: TenantReport) -> None:
    """Products must be ordered by units wrong a day, those without a known error last."""
    assert _names(read(render_report(report))) == ["Bread", "Crème brûlée", "Bun", "Rusk", "Torte"]


def test_the_order_is_said(report: TenantReport) -> None:
    """The page must say what its order is, and mark the column in the table's heading."""
    page = read(render_report(report))
    assert "units forecast wrong on an average day" in page.text
    (sorted_by,) = [h for h in _table(page).all("th") if "aria-sort" in h.attributes]
    assert sorted_by.text == "Wrong a day"


def test_a_product_line_is_complete(report: TenantReport) -> None:
    """A row and its details must hold class, model, version, rung, errors, gain, coverage, volume and next day."""
    group = _table(read(render_report(report))).all("tbody", "product")[1]
    row, more = group.all("tr")[0], group.one("tr", "more")
    figures = [c.text for c in row.all("td", "n")]
    assert figures == ["4", "80 %", "100 %", "+20 %", "0.80", "90 %", "5", "5"]
    for wanted in ("cake", "medium", "lightgbm + linear", "20261001_020000", "champion", "trained"):
        assert wanted in more.text
    assert more.all("svg")
    assert "Wed 14 Oct" in more.text


def test_fallbacks_and_failures_stand_out(report: TenantReport) -> None:
    """A forecast from a lower rung and a failed training must bear a badge, and notes must be shown."""
    rows = {g.one("span", "name").text: g.all("tr")[0] for g in _table(read(render_report(report))).all("tbody")}
    assert rows["Torte"].one("span", "badge").text == "seasonal naive"
    assert "15 days of data" in rows["Torte"].text
    assert rows["Rusk"].one("span", "badge").text == "failed"
    assert not rows["Bread"].all("span", "badge")


def test_tomorrow_lists_what_to_bake(report: TenantReport) -> None:
    """The first table must give the next date and the products, largest first, with number and range."""
    page = read(render_report(report))
    assert page.all("h2")[0].text == "Today (Thursday 1 October 2026): bake …"
    rows = _next_day(page)
    assert [r[:2] for r in rows] == [
        ["Bread", "100"],
        ["Torte", "30"],
        ["Bun", "10"],
        ["Crème brûlée", "5"],
        ["Rusk", "3"],
    ]
    assert re.fullmatch(r"70\s*\u2013\s*130", rows[0][2])


def test_a_closed_tomorrow_shows_the_next_open_day(report: TenantReport) -> None:
    """When nothing is expected tomorrow, the table must be of the first day with sales, and say so."""
    products = tuple(
        replace(p, forecast=(ForecastDay(p.forecast[0].date, 0.0, 0.0, 0.0), *p.forecast[1:])) for p in report.products
    )
    heading = read(render_report(replace(report, products=products))).all("h2")[0].text
    assert heading == "Tomorrow (Friday 2 October 2026): bake …"


def test_many_products_are_folded_away() -> None:
    """Beyond the largest twelve, tomorrow's products must lie in a part that can be opened."""
    page = read(render_report(replace(EMPTY, products=tuple(line(f"p{k}", 0.2, 0.3, 50.0 - k) for k in range(20)))))
    assert len(page.one("table").all("th", "")) - 4 == 12
    assert page.one("summary").text == "The other 8 products"
    assert len(_next_day(page)) == 20


@pytest.mark.parametrize(
    ("totals", "said"),
    [
        (
            Totals(wape=0.2, naive_wape=0.25),
            "wrong by 20 units for every 100 sold. Repeating last week .* 25: .* 20 % better",
        ),
        (Totals(wape=0.3, naive_wape=0.25), "20 % worse"),
        (Totals(wape=0.25, naive_wape=0.25), "no difference"),
        (Totals(wape=0.25), r"100 sold\."),
        (Totals(wape=math.nan), "not known yet"),
        (Totals(wape=0.2, naive_wape=0.0, coverage=0.88), "On 88 of 100 days"),
    ],
)
def test_the_verdict_is_in_plain_words(totals: Totals, said: str) -> None:
    """The summary must say how wrong the forecasts are, and how that compares with repeating last week."""
    text = read(render_report(replace(EMPTY, totals=totals))).one("p", "lead").text
    assert re.search(said, text), text


def test_unusual_days_are_told_in_words(report: TenantReport) -> None:
    """Each unusual day is a sentence with day, units, product and what is usual, and those left out are counted."""
    found = (
        UnusualDay("Croissant", dt.date(2026, 3, 12), 410.0, 39.7),
        UnusualDay(HOSTILE, dt.date(2026, 3, 13), 0.0, 24.0),
    )
    page = read(render_report(replace(report, unusual=found, unusual_more=3)))
    (section,) = (s for s in page.all("section") if s.attributes["aria-labelledby"] == "unusual-heading")
    assert [item.text for item in section.all("li")] == [
        "Thursday 12 March: 410 of Croissant, where about 40 are usual",
        f"Friday 13 March: nothing of {HOSTILE}, where about 24 are usual",
    ]
    assert "Of the last 28 days" in section.text
    assert section.text.endswith("And 3 more.")


def test_without_unusual_days_nothing_is_said_of_them(report: TenantReport) -> None:
    """Where no day is unusual there is no such part."""
    page = read(render_report(report))
    assert "unusual-heading" not in {s.attributes["aria-labelledby"] for s in page.all("section")}


def test_counts_are_shown(report: TenantReport) -> None:
    """Products, trained, skipped, insufficient and failed must be on the page with their counts."""
    lists = read(render_report(report)).all("dl", "tiles")
    tiles = {d.one("dt").text: d.one("dd").text for each in lists for d in each.all("div")}
    expected = {"products": "5", "trained": "3", "skipped": "0", "too few data": "1", "failed": "1", "MASE": "0.83"}
    assert expected.items() <= tiles.items()
    assert {
        "rows used": "1 100",
        "duplicates": "19",
        "rejected": "1",
        "mended: mojibake": "3",
    }.items() <= tiles.items()


def test_findings_name_product_reason_and_rows(report: TenantReport) -> None:
    """Errors must come before warnings, with product and reason, and at most five rows named."""
    page = read(render_report(report))
    rows = [r.text for r in page.all("table")[-1].all("tr")[1:]]
    assert [r.split()[0] for r in rows] == ["error", "warning"]
    assert "minimum history torte 15 days of 30" in rows[0]
    assert rows[0].endswith("till.csv:4")
    counted = replace(report, findings=tuple(replace(f, check="outliers") for f in report.findings))
    assert "till.csv:4 and 4 more" in read(render_report(counted)).all("table")[-1].text


def test_rejected_rows_and_the_partial_day_are_named(report: TenantReport) -> None:
    """The page must show where rejected rows stand and why, and name the day that was left out."""
    text = read(render_report(report)).text
    assert "till.csv 12 bad date" in text
    assert "Thursday 1 October 2026, was not over yet" in text


def test_an_empty_tenant_has_a_page() -> None:
    """Without products, forecasts or extraction the page must still be sound and say so."""
    page = read(render_report(EMPTY))
    assert "No products have been sold yet." in page.text
    assert "There are no forecasts" in page.text
    assert "The checks found nothing wrong." in page.text


def test_unknown_figures_are_said_to_be() -> None:
    """None and NaN must be written as n/a, never as nan, None or 0."""
    product = ProductLine("x", "X", "low", wape=math.nan, history=(math.nan,) * 5, mean_quantity=math.nan)
    text = read(render_report(replace(EMPTY, products=(product,)))).text
    assert "n/a" in text
    assert not re.search(r"\b(nan|None|inf)\b", text)


def test_hostile_texts_stay_texts(report: TenantReport) -> None:
    """Markup in any text must be shown as text: no element of it may appear in the page."""
    product = line(
        HOSTILE, 0.2, 0.3, 9.0, name=HOSTILE, champion=HOSTILE, notes=HOSTILE, demand_class=HOSTILE, rung=HOSTILE
    )
    finding = Finding(HOSTILE, Severity.ERROR, HOSTILE, HOSTILE, 1, (HOSTILE,))
    page = read(render_report(replace(report, tenant_name=HOSTILE, products=(product,), findings=(finding,))))
    assert not page.all("img")
    assert len(page.all("script")) == 1
    assert page.one("h1").text == HOSTILE
    assert not [k for n in page.everything() for k in n.attributes if k.startswith("on")]


@settings(max_examples=25, deadline=None)
@given(st.text(min_size=1, max_size=40), st.floats(), st.floats(), st.floats())
def test_any_text_and_number_gives_a_sound_page(text: str, error: float, naive: float, volume: float) -> None:
    """Whatever the names and figures, the page must be well-formed and writable as UTF-8."""
    day = ForecastDay(ORIGIN + dt.timedelta(days=1), volume, error, naive)
    product = ProductLine(
        text,
        text + "\ud800",
        text,
        wape=error,
        naive_wape=naive,
        mean_quantity=volume,
        forecast=(day,),
        history=(volume,),
    )
    html = render_report(replace(EMPTY, products=(product,)))
    html.encode("utf-8")
    assert len(_names(read(html))) == 1


def test_the_page_needs_nothing_else(report: TenantReport) -> None:
    """No element may load anything, no style may import, and the policy must forbid both."""
    html = render_report(report)
    page = read(html)
    for node in page.everything():
        assert node.tag not in {"link", "iframe", "object", "embed", "base"}
        for name in ("src", "href", "xlink:href", "action", "srcset", "poster"):
            assert name not in node.attributes, (node.tag, name)
    assert not re.search(r"url\(|@import", html)
    addresses = set(re.findall(r"https?://[^\"'<\s]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://evil.example/a"}


def test_only_the_own_script_may_run(report: TenantReport) -> None:
    """The content policy must allow the page's script by its hash and no other."""
    page = read(render_report(report))
    (policy,) = [m.attributes["content"] for m in page.all("meta") if "http-equiv" in m.attributes]
    (script,) = page.all("script")
    source = "".join(c for c in script.inside if isinstance(c, str))
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_tables_can_be_read_aloud(report: TenantReport) -> None:
    """Every table must have a caption, every heading cell a scope, and the page a language and a title."""
    page = read(render_report(report))
    assert all(t.all("caption") for t in page.all("table"))
    assert all("scope" in h.attributes for h in page.all("th"))
    assert page.one("html").attributes["lang"] == "en"
    assert "Corner Bakery" in page.one("title").text
    labels = {label.attributes["for"] for label in page.all("label")}
    assert {i.attributes["id"] for i in page.all("input")} == labels


def test_a_thousand_products_stay_small() -> None:
    """A thousand products must fit in 15 MB, all listed, with plots for the worst 200 only."""
    svg = "<svg class='plot-of-one'>" + "x" * 8000 + "</svg>"
    products = tuple(line(f"p{k}", 0.2, 0.3, 1000.0 - k, plot_svg=svg) for k in range(1000))
    html = render_report(replace(EMPTY, products=products))
    assert len(html.encode()) < 15e6
    assert html.count("plot-of-one") == 200
    assert len(_names(read(html))) == 1000


@pytest.mark.parametrize(
    ("made", "word"),
    [(1, "Today"), (0, "Tomorrow"), (-1, "Next day with sales"), (60, "Already over")],
    ids=["night", "evening", "before", "old"],
)
def test_a_day_is_called_by_when_the_report_is_made(report: TenantReport, made: int, word: str) -> None:
    """Tomorrow is the day after the report's making, not the day after the last sales."""
    at = dt.datetime(2026, 9, 30, 20, tzinfo=dt.UTC) + dt.timedelta(days=made)
    page = read(render_report(replace(report, generated_at=at)))
    assert page.all("h2")[0].text.startswith(f"{word} (Thursday 1 October 2026)")


def test_a_day_that_is_over_is_not_the_next(report: TenantReport) -> None:
    """Where the sales end earlier than yesterday the first day from today on is shown; of old ones it is said."""
    late = read(render_report(replace(report, generated_at=dt.datetime(2026, 10, 3, 9, tzinfo=dt.UTC))))
    assert late.all("h2")[0].text.startswith("Today (Saturday 3 October 2026): bake")
    old = read(render_report(replace(report, generated_at=dt.datetime(2027, 10, 3, 9, tzinfo=dt.UTC))))
    assert old.all("h2")[0].text.startswith("Already over (Thursday 1 October 2026): what was to bake")
