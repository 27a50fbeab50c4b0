"""A small sales service over HTTP, of our own: pages, stamps, a token, and faults on demand."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Rows = list[dict[str, Any]]
Say = Callable[["Request"], bytes | None]


@dataclass(frozen=True)
class Request:
    """One question: its parameters, its headers, and how many there were before."""

    params: dict[str, str]
    headers: dict[str, str]
    number: int


@dataclass
class Service:
    """What the service knows and how it behaves; tests change it while it runs.

    `stamps` says whether it sends an ETag. `instead` may answer a request with other bytes, or with None as usual.
    """

    rows: Rows = field(default_factory=list)
    page_size: int = 3
    stamps: bool = True
    date: str = "date"
    token: str | None = None
    total: int | None = None
    instead: Say | None = None
    asked: list[Request] = field(default_factory=list)
    url: str = ""

    def answer(self, params: dict[str, str]) -> tuple[dict[str, Any], str]:
        """The page that is asked for, and the stamp of all pages."""
        rows = [row for row in self.rows if not str(row.get(self.date, "9")) < params["since"]]
        start = int(params.get("page", "0"))
        end = start + self.page_size
        page: dict[str, Any] = {"rows": rows[start:end], "next_page": str(end) if end < len(rows) else None}
        if self.total is not None:
            page["total"] = self.total
        return page, hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


class _Handler(BaseHTTPRequestHandler):
    service: Service

    def do_GET(self) -> None:
        """Answer as the service does, or otherwise where a test says so."""
        known, params = self.service, {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        request = Request(params, dict(self.headers), len(known.asked))
        known.asked.append(request)
        if known.token is not None and self.headers["Authorization"] != f"Bearer {known.token}":
            self._send(401, b"{}")
            return
        page, stamp = known.answer(params)
        if known.stamps and "page" not in params and self.headers["If-None-Match"] == f'"{stamp}"':
            self._send(304, b"")
            return
        other = known.instead(request) if known.instead else None
        self._send(200, json.dumps(page).encode() if other is None else other, stamp if known.stamps else None)

    def _send(self, status: int, content: bytes, stamp: str | None = None) -> None:
        cut = content.removesuffix(b"<cut>")
        self.send_response(status)
        if stamp:
            self.send_header("ETag", f'"{stamp}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(cut)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    """Let a service listen on a free port of this machine."""
    handler = type("Handler", (_Handler,), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}/sales"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
