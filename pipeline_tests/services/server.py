"""A real HTTP server for tests of sales and signals: its routes are functions that return what becomes JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pipeline_tests.services.misbehaving import Handler, Misbehaving, serving


@dataclass(frozen=True)
class Request:
    """What was asked: method, path, query (the last of equal names), headers by their small names, body."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def login(self) -> str:
        """`user:password`, where there is one; else empty."""
        scheme, _, said = self.headers.get("authorization", "").partition(" ")
        return base64.b64decode(said).decode() if scheme == "Basic" else ""


@dataclass(frozen=True)
class Answer:
    """What is answered where it is not simply JSON with 200."""

    status: int = 200
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Route = Callable[[Request], Any]
"""Returns an Answer, or what JSON can hold."""


class Server(Misbehaving):
    """Serves routes by their path, 404 elsewhere; `requests` keeps what was asked, faults or none."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        super().__init__(_Handler)
        self.routes = dict(routes)
        self.requests: list[Request] = []

    def count(self, path: str) -> int:
        """How many requests there were for a path and, unless it is `/`, below it."""
        below = path.rstrip("/") + "/"
        return sum(one.path == path or one.path.startswith(below) for one in self.requests)


class _Handler(Handler):
    server: Server

    def received(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Request(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
        self.server.requests.append(self.asked)

    def answer(self, body: bytes, fault: str | None) -> tuple[int, dict[str, str], bytes]:
        route = self.server.routes.get(self.asked.path)
        made = route(self.asked) if route else Answer(404, b'{"error": "no such place"}')
        if isinstance(made, Answer):
            return made.status, made.headers, made.content
        return 200, {"Content-Type": "application/json"}, json.dumps(made).encode()


@contextmanager
def server(routes: Mapping[str, Route]) -> Iterator[Server]:
    """A server that serves until the block ends."""
    with serving(Server(routes)) as made:
        yield made
