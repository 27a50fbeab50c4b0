"""The pages of a sales service become one table, whatever fields their rows have, and take no more room than it."""

from __future__ import annotations

import tracemalloc

from contracts import Tenant
from pipeline.resilience import Services
from pipeline.sources.opening import Asking, open_source
from pipeline.sources.rows import gathered_records
from pipeline.sources.state import State
from pipeline_tests.services.server import Request, server
from pipeline_tests.sources.builders import SETTINGS

ROWS_A_PAGE = 2000


def test_rows_that_name_other_fields_than_the_first() -> None:
    """A field that only a later page has, or only an earlier one, is missing elsewhere; pages may be empty."""
    frame = gathered_records([[{"a": 1}, {}], [], [{"b": "x"}], [{"b": "y", "a": 2.5}]])
    told = frame.astype(object)
    assert told.where(told.notna(), None).to_dict("list") == {"a": [1, None, None, 2.5], "b": [None, None, "x", "y"]}
    assert list(frame.index) == [1, 2, 3, 4]
    assert gathered_records([]).empty


def peak(pages: int) -> int:
    """The most bytes of Python's own that reading so many pages takes; the table's columns are not among them."""

    def page(request: Request) -> object:
        n = int(request.query.get("page", "0"))
        rows = [{"date": "2024-06-01", "product_id": f"p{k % 9}", "quantity": k / 8} for k in range(ROWS_A_PAGE)]
        return {"rows": rows, "next_page": n + 1 if n + 1 < pages else None, "total": pages * ROWS_A_PAGE}

    with server({"/sales": page}) as shop:
        source = {"kind": "http", "url": f"{shop.url}/sales"}
        tenant = Tenant.model_validate(
            {"id": "shop", "name": "S", "country": "ES", "timezone": "Europe/Madrid", "source": source}
        )
        opened = open_source(tenant, State(rules=""), Asking(SETTINGS, Services(SETTINGS), 60))
        (part,) = opened.parts()
        tracemalloc.start()
        try:
            raw = opened.read(part)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert raw is not None
    assert raw.table.rows == pages * ROWS_A_PAGE
    return most


def test_pages_are_let_go_as_they_are_read() -> None:
    """Ten times the pages take less than four times the memory: each becomes columns before the next is read."""
    peak(1)  # What is loaded on first use is nobody's page.
    few = peak(4)
    assert peak(40) < 4 * few
