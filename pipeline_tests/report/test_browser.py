"""The report in a real browser: it loads without an error, sorts, filters, opens, and asks for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.report import TenantReport, render_report

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}"),
]


@dataclass
class Opened:
    """A loaded report, and what the browser complained of or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def names(self) -> list[str]:
        """The products in the order shown, hidden ones left out."""
        return [n.strip() for n in self.page.locator("tbody.product:visible .name").all_inner_texts()]


@pytest.fixture
def opened(report: TenantReport, tmp_path: Path) -> Iterator[Opened]:
    """The report, open in a browser."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = tmp_path / "report.html"
    path.write_text(render_report(report), encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        opened = Opened(browser.new_page(viewport={"width": 1280, "height": 900}))
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.goto(path.as_uri())
        yield opened
        browser.close()
        assert opened.complaints == []
        assert opened.requests == [path.as_uri()]


def test_headings_sort(opened: Opened) -> None:
    """A click on a heading must sort by it, a second turn the order round; unknown figures stay last."""
    heading = opened.page.locator("#products thead th", has_text="Last week")
    heading.locator("button").click()
    assert opened.names() == ["Crème brûlée", "Rusk", "Bun", "Bread", "Torte"]
    assert heading.get_attribute("aria-sort") == "descending"
    heading.locator("button").click()
    assert opened.names() == ["Bread", "Bun", "Rusk", "Crème brûlée", "Torte"]
    opened.page.locator("#products thead button", has_text="Product").click()
    assert opened.names() == ["Bread", "Bun", "Crème brûlée", "Rusk", "Torte"]
    opened.page.locator("#products thead button", has_text="Product").click()
    assert opened.names()[0] == "Torte"
    heading.locator("button").click()
    assert opened.names() == ["Crème brûlée", "Rusk", "Bun", "Bread", "Torte"]
    assert opened.page.locator("#products th[aria-sort]").count() == 1


def test_the_filter_finds_products(opened: Opened) -> None:
    """Typing must leave the products that hold every word, accents or not, and count them."""
    box = opened.page.locator("#filter")
    box.fill("creme BRULEE")
    assert opened.names() == ["Crème brûlée"]
    assert opened.page.locator("#count").inner_text() == "1 of 5 products"
    box.fill("nothing like this")
    assert opened.names() == []
    box.fill("")
    assert len(opened.names()) == 5


def test_a_click_opens_a_product(opened: Opened) -> None:
    """A product's plot must be hidden at first, shown after a click, and travel with its row when sorted."""
    group = opened.page.locator("tbody.product", has_text="Bread")
    plot = group.locator(".more svg")
    assert not plot.is_visible()
    group.locator("button.open").click()
    assert plot.is_visible()
    opened.page.locator("#products thead button", has_text="Error").click()
    assert plot.is_visible()
    assert group.locator("button.open").get_attribute("aria-expanded") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_sideways_scrolling(opened: Opened, scheme: str) -> None:
    """At 400 pixels the page itself must not be wider than the screen, in light and dark alike."""
    opened.page.set_viewport_size({"width": 400, "height": 800})
    opened.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    opened.page.locator("button.open").first.click()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 400
    shade = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(n) for n in shade[4:-1].split(",")) > 380) == (scheme == "light")


def test_a_desk_screen_shows_every_column(opened: Opened) -> None:
    """At 1280 pixels no table has to be scrolled sideways."""
    opened.page.set_viewport_size({"width": 1280, "height": 900})
    wider = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth).length"
    assert opened.page.evaluate(wider) == 0
