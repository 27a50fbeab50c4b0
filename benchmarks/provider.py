"""A provider of sales and weather over HTTP, which fails as it is told to: now and then, and for a while altogether."""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pandas as pd

FAULTS = ("500", "429", "cut", "reset")
"""A status; one with `Retry-After`; half of an answer; a connection that is reset."""
ASKED_SECONDS = 2
"""What `Retry-After` asks for."""


@dataclass(frozen=True)
class Trouble:
    """What goes wrong: so large a share of the requests, by this seed, and once a time without any answer.

    `dark_after` is the number of the request after which nobody listens any more, for `dark_seconds`.
    """

    share: float = 0.0
    seed: int = 0
    dark_after: int | None = None
    dark_seconds: float = 0.0


@dataclass
class Provider:
    """Serves `/sales` in pages with a stamp, and `/weather`; `met` counts the faults that requests have met."""

    sales: pd.DataFrame
    page_rows: int
    trouble: Trouble = Trouble()
    requests: int = 0
    met: dict[str, int] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        self._drawn, self._lock = random.Random(self.trouble.seed), threading.Lock()
        self._rows = [{str(name): value for name, value in row.items()} for row in self.sales.to_dict("records")]
        self._stamp = hashlib.sha256(json.dumps(self._rows).encode()).hexdigest()
        self._dark: threading.Thread | None = None

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Listen on a free port of this machine until the block ends; gives the address."""
        self._listen()
        try:
            yield f"http://127.0.0.1:{self.port}"
        finally:
            if self._dark is not None:
                self._dark.join()
            self._close()

    def answer(self, path: str, query: dict[str, str], stamp: str | None) -> tuple[int, bytes]:
        """Return status and content for a request."""
        if path == "/weather":
            return 200, json.dumps(_weather(query["from"], query["to"])).encode()
        if "page" not in query and stamp == f'"{self._stamp}"':
            return 304, b""
        rows = [row for row in self._rows if row["date"] >= query["since"]]
        start = int(query.get("page", "0"))
        end = start + self.page_rows
        page = {"rows": rows[start:end], "next_page": end if end < len(rows) else None, "total": len(rows)}
        return 200, json.dumps(page).encode()

    @property
    def stamp(self) -> str:
        """The ETag of the sales."""
        return f'"{self._stamp}"'

    def fault(self) -> str | None:
        """Count a request; return what it meets."""
        with self._lock:
            self.requests += 1
            if self.requests == self.trouble.dark_after:
                self._dark = threading.Thread(target=self._away)
                self._dark.start()
            found = self._drawn.choice(FAULTS) if self._drawn.random() < self.trouble.share else None
            if found is not None:
                self.met[found] = self.met.get(found, 0) + 1
            return found

    def _listen(self) -> None:
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def _close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _away(self) -> None:
        self._close()
        threading.Event().wait(self.trouble.dark_seconds)
        self._listen()


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        """Answer, or fail."""
        parts, fault = urlsplit(self.path), self.provider.fault()
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # At once: a socket that is closed in order would say goodbye first.
            return
        if fault is not None and fault.isdigit():
            self._write(int(fault), b"{}", {"Retry-After": str(ASKED_SECONDS)} if fault == "429" else {})
            return
        status, content = self.provider.answer(
            parts.path, dict(parse_qsl(parts.query)), self.headers.get("If-None-Match")
        )
        stamp = {"ETag": self.provider.stamp} if parts.path == "/sales" else {}
        self._write(status, content, stamp, cut=fault == "cut")

    def _write(self, status: int, content: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def _weather(first: str, last: str) -> dict[str, Any]:
    """The same values of a day whenever it is asked for."""
    days = pd.date_range(first, last)
    rows = [{"date": str(day.date()), "warmth": 12.0 + 10 * ((day.dayofyear * 37) % 29) / 29} for day in days]
    return {"issued_at": datetime.now(UTC).isoformat(), "rows": rows}
