"""A service's answer, page by page: its shape, and whether all of it came and nothing twice."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import BadAnswerError, SourceError
from pipeline.places import redacted
from pipeline.resilience import Guard, Patience
from pipeline.resilience.http import Answer, HttpClient
from pipeline.settings import Settings
from pipeline.sources.stamps import can_be_sent
from pipeline.sources.variables import bearer, filled


class Page(BaseModel):
    """One page: rows, what to ask for the next one, and how many rows all pages have, where the service says so."""

    model_config = ConfigDict(strict=True)

    rows: list[dict[str, Any]]
    next_page: str | int | None
    total: int | None = None


@dataclass(frozen=True)
class Service:
    """A sales service; `guard` stands before it, `token` refers to its bearer token.

    `seconds` is what a page may take to come, repetitions included; a service that does not answer is outlasted as long
    as `patience` lasts, which all pages share.
    """

    address: str
    token: str | None
    seconds: float
    guard: Guard
    settings: Settings
    patience: Patience

    @property
    def url(self) -> str:
        """The URL with its secrets filled in."""
        return filled(self.address)

    @property
    def place(self) -> str:
        """The URL as messages show it."""
        return redacted(self.url)

    def ask(self, params: Mapping[str, str], version: str | None = None) -> Answer:
        """Return one answer; `unchanged`, where it still is the one that had the stamp `version`.

        Raises:
            ServiceUnavailableError: it does not answer, however often it is asked, or is left alone for a while.
            BadAnswerError: it refuses.
        """
        kind, _, stamp = (version or "").partition(" ")
        condition = {_CONDITIONS[kind]: stamp} if kind in _CONDITIONS and can_be_sent(stamp) else {}
        with HttpClient(self.guard.within(self.seconds), self.settings, bearer(self.token)) as client:
            answer = self.patience.outlast(self.guard, lambda: client.get(self.url, params, condition))
        if answer.unchanged and not condition:
            raise BadAnswerError(f"the service at {self.place} answers with nothing where rows were asked for")
        return answer

    def pages(self, first: Answer, since: str) -> Iterator[Page]:
        """Yield every page, beginning with the answer to the first question.

        Raises:
            SourceError: a page is not of the shape that was agreed, leads back to one that was there, the pages do
                not end, or their rows are not as many as the service says.
        """
        page, seen, rows = self._page(first, None), set[str](), 0
        end = time.monotonic() + _PAGES * self.seconds + self.patience.seconds
        while True:
            rows += len(page.rows)
            yield page
            if page.next_page is None:
                break
            token = str(page.next_page)
            if token in seen:
                raise SourceError(f"the service at {self.place} goes in a circle: page {token!r} leads back to itself")
            if time.monotonic() > end:
                raise SourceError(f"the service at {self.place} came to no end in {_PAGES * self.seconds:g} s")
            seen.add(token)
            page = self._page(self.ask({"since": since, "page": token}), token)
        if page.total is not None and page.total != rows:
            raise SourceError(f"the service at {self.place} speaks of {page.total} rows and gives {rows}")

    def _page(self, answer: Answer, token: str | None) -> Page:
        try:
            return Page.model_validate(answer.json())
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(map(str, fault["loc"])) or "the whole"
            page = "the first page" if token is None else f"page {token!r}"
            raise SourceError(
                f"the service at {self.place}: {page} is not as agreed: {where}: {fault['msg']}; "
                'wanted is {"rows": [{...}, ...], "next_page": "..." or null}'
            ) from None


_CONDITIONS = {"etag": "If-None-Match", "modified": "If-Modified-Since"}
_PAGES = 10
"""All pages together may take so many times as long as one."""
