"""The tests' own server does what it is told, so that what is tested against it is what it says."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from pipeline_tests.services.server import Answer, Request, Server, server


def echo(asked: Request) -> object:
    """Say what was asked."""
    return {"query": asked.query, "body": asked.body.decode(), "login": asked.login}


@pytest.fixture
def made() -> Iterator[Server]:
    """A server with two routes."""
    with server({"/echo": echo, "/gone": lambda _: Answer(410, b"gone")}) as one:
        yield one


def test_routes_answer(made: Server) -> None:
    """Query, body and login reach a route, its JSON comes back; other places are 404; all requests are kept."""
    answer = httpx.post(f"{made.url}/echo?a=1", content="x", auth=("ana", "pw"))
    assert answer.json() == {"query": {"a": "1"}, "body": "x", "login": "ana:pw"}
    assert [httpx.get(f"{made.url}{path}").status_code for path in ("/gone", "/nowhere")] == [410, 404]
    assert [(one.method, one.path) for one in made.requests] == [
        ("POST", "/echo"),
        ("GET", "/gone"),
        ("GET", "/nowhere"),
    ]
    assert [made.count(path) for path in ("/", "/echo", "/ech")] == [3, 1, 0]


def test_the_next_requests_meet_a_fault(made: Server) -> None:
    """So many requests are answered by a status with its header, and those after them well."""
    made.misbehave("429", left=2, retry_after="7")
    answers = [httpx.get(f"{made.url}/echo") for _ in range(3)]
    assert [one.status_code for one in answers] == [429, 429, 200]
    assert [one.headers.get("Retry-After") for one in answers] == ["7", "7", None]
    made.misbehave("garbage", left=1)
    assert httpx.get(f"{made.url}/echo").headers["Content-Type"] == "text/html"


def test_a_share_meets_a_fault(made: Server) -> None:
    """About one request in ten does, the same ones whenever the seed is the same."""
    runs = []
    with httpx.Client() as client:
        for seed in (1, 1, 2):
            made.misbehave("500", share=0.1, seed=seed)
            runs.append([client.get(f"{made.url}/echo").status_code for _ in range(300)])
    assert all(15 <= run.count(500) <= 45 for run in runs)
    assert runs[0] == runs[1] != runs[2]
