"""Real HTTP servers that misbehave when they are told to, in the ways that servers and networks do."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

HANGS_SECONDS = 30
NOISE = b"\x16\x03\x01\x00\x02 this is not HTTP\r\n\r\n"
GARBAGE = b"<html><body>Please sign in</body></html>"

S = TypeVar("S", bound="Misbehaving")


class Misbehaving(ThreadingHTTPServer):
    """A server whose requests meet what `fault` says.

    `hang` (no answer), `drop` (the connection is closed), `slow` (after `seconds`), `trickle` (four bytes every
    `seconds`), `cut` (half of the answer), `noise` (no HTTP), `garbage` (a page where JSON should be), or a status
    such as `429` and `503`. `methods` are those that the fault is for, `left` how many requests still meet it (None:
    all), `seen` counts requests.
    """

    daemon_threads = True

    def __init__(self, handler: type[Handler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.fault: str | None = None
        self.methods, self.left = ("GET",), None
        self.share, self.drawn = 1.0, random.Random(0)
        self.seconds, self.retry_after = 0.3, ""
        self.seen: Counter[str] = Counter()
        self.ended = threading.Event()
        self.counting = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def misbehave(
        self,
        fault: str | None,
        *methods: str,
        left: int | None = None,
        share: float = 1.0,
        seed: int = 0,
        seconds: float = 0.3,
        retry_after: str = "",
    ) -> None:
        """Do so from now on.

        Args:
            fault: what; None: behave.
            methods: of which requests; all where none is named.
            left: for the next so many of them.
            share: by chance, for this share of them, 0 to 1.
            seed: of that chance: the same requests meet it each time.
            seconds: what `slow` and `trickle` wait.
            retry_after: header that a status comes with: seconds, or a date.
        """
        self.fault, self.methods, self.left = fault, methods or ("GET", "HEAD", "PUT", "DELETE", "POST"), left
        self.share, self.drawn = share, random.Random(seed)
        self.seconds, self.retry_after = seconds, retry_after

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def fault_for(self, method: str) -> str | None:
        """What a request meets."""
        with self.counting:
            self.seen[method] += 1
            if self.fault is None or method not in self.methods or self.left == 0:
                return None
            if self.drawn.random() >= self.share:
                return None
            if self.left is not None:
                self.left -= 1
            return self.fault


class Handler(BaseHTTPRequestHandler):
    """Answers as `answer` says, or as its server misbehaves."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # Headers and content are two writes: the second would wait 40 ms for the client.
    server: Misbehaving

    def answer(self, body: bytes, fault: str | None) -> tuple[int, dict[str, str], bytes]:
        """What a request is answered with: status, headers, content."""
        raise NotImplementedError

    def received(self, body: bytes) -> None:
        """Take note of a request, before anything goes wrong with it."""

    def refusal(self, status: int) -> bytes:
        """What a status is answered with."""
        return b'{"error": "not now"}'

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.received(body)
        fault = self.server.fault_for(self.command)
        if fault == "hang":
            self.server.ended.wait(HANGS_SECONDS)
        if fault == "noise":
            self.wfile.write(NOISE)
        if fault in {"hang", "drop", "noise"}:
            self.close_connection = True
            return
        if fault is not None and fault.isdigit():
            asked = {"Retry-After": self.server.retry_after} if self.server.retry_after else {}
            self._write(int(fault), asked, b"" if self.command == "HEAD" else self.refusal(int(fault)))
            return
        if fault == "slow":
            time.sleep(self.server.seconds)
        status, headers, content = self.answer(body, fault)
        if fault == "garbage":
            headers, content = {"Content-Type": "text/html"}, GARBAGE
        self._write(status, headers, content, fault)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _serve

    def _write(self, status: int, headers: dict[str, str], content: bytes, fault: str | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                self.send_header(name, value)
        length = {name.lower(): value for name, value in headers.items()}.get("content-length", str(len(content)))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(content)))
        self.end_headers()
        cut = fault == "cut" and len(content) > 1
        if fault == "trickle":
            self._trickle(content)
        else:
            self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True

    def _trickle(self, content: bytes) -> None:
        for start in range(0, len(content), 4):
            try:
                self.wfile.write(content[start : start + 4])
                self.wfile.flush()
            except OSError:
                return  # Nobody reads any more.
            if self.server.ended.wait(self.server.seconds):
                return

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving(server: S) -> Iterator[S]:
    """Let a server serve until the block ends."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
