"""A real `pipeline dev` in a process group of its own, asked through GraphQL on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pipeline_tests.defs.world import World, processes

T = TypeVar("T")
NEVER = "0 0 1 1 *"
"""A cron that does not come round: whether it is some tenant's night right now is not what is tested."""
PATIENCE = 180
"""Seconds that anything may take on a busy machine."""


@dataclass(frozen=True)
class Server:
    """The running UI with its daemon."""

    world: World
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where the UI is."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Send a GraphQL query and return its data."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            said = {"errors": f"{error}: {error.read().decode(errors='replace')[:2000]}"}
        assert "errors" not in said, said["errors"]
        data: dict[str, Any] = said["data"]
        return data

    def runs(self) -> list[dict[str, Any]]:
        """Every run, the newest first, its tags as a dict."""
        fields = "runId status jobName tags { key value }"
        found = self.ask("{ runsOrError { ... on Runs { results { %s } } } }" % fields)["runsOrError"]["results"]  # noqa: UP031
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def wait(self, what: str, look: Callable[[], T | None], seconds: float = PATIENCE) -> T:
        """Look again and again until something is there; the log's end is shown when it never comes."""
        end = time.monotonic() + seconds
        while (found := look()) is None:
            assert time.monotonic() < end, f"not within {seconds:g} s: {what}\n{self.tail()}"
            time.sleep(1)
        return found

    def tail(self) -> str:
        """The last lines of the server's log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:])


@contextmanager
def serving(world: World, log: Path, **settings: str) -> Iterator[Server]:
    """Run `pipeline dev` for the block, and end it with everything that it has started."""
    port = free_port()
    command = [sys.executable, "-m", "pipeline.cli", "dev", "--port", str(port)]
    with log.open("wb") as out:
        # A script starts what it leaves in the background like this.
        process = subprocess.Popen(
            ["/usr/bin/env", "--default-signal=TERM", "--ignore-signal=INT", *command],
            env=world.alone(**{"CLOCK_CRON": NEVER, "FEEDBACK_CRON": NEVER, **settings}),
            cwd=world.root,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(world, port, log)
    try:
        server.wait("the UI answers", lambda: _up(server, process))
        yield server
    finally:
        process.terminate()
        _ended(world, process)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _up(server: Server, process: subprocess.Popen[bytes]) -> bool | None:
    assert process.poll() is None, f"`pipeline dev` ended with {process.returncode}\n{server.tail()}"
    try:
        return bool(server.ask("{ version }"))
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def _ended(world: World, process: subprocess.Popen[bytes]) -> None:
    """Give everything that was started half a minute to end, then kill what is left, which is a fault."""
    end = time.monotonic() + 30
    while (left := processes(world)) and time.monotonic() < end:
        process.poll()
        time.sleep(0.5)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    process.wait(10)
    assert not left, f"still running half a minute after SIGTERM: {left}"
