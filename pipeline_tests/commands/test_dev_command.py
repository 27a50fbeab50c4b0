"""`pipeline dev`: when it becomes Dagster's own process, and which tenants there are then."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.tenants import tenant_ids
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.defs import tills

MAKEFILE = Path(__file__).parents[2] / "Makefile"
SAMPLE = ["cafe_canteras", "horno_sol", "maison_perrache"]


class _BecameAnotherError(Exception):
    """Where the process would become Dagster's."""


@pytest.fixture
def here(fresh: Terminal, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in which the process goes no further than becoming another."""

    def become(program: str, arguments: list[str]) -> None:
        assert Path(program).exists()
        raise _BecameAnotherError(arguments)

    monkeypatch.setattr(os, "execv", become)
    return fresh


def begin(terminal: Terminal, *options: str) -> None:
    """Start `pipeline dev`, at any port that is free."""
    with pytest.raises(_BecameAnotherError, match=r"dagster.*dev"):
        terminal("dev", "--port", "0", *options)


def test_the_sample_is_added_where_there_is_no_tenant(here: Terminal) -> None:
    """With --sample the three sample tenants are there before the daemon starts; without it there is none."""
    begin(here)
    assert tenant_ids(here.world.home) == []
    begin(here, "--sample")
    assert sorted(tenant_ids(here.world.home)) == SAMPLE


def test_the_sample_never_joins_tenants_of_ones_own(here: Terminal) -> None:
    """Where there is a tenant, --sample adds none."""
    here.world.add("own", tills.write(tills.steady("Bun", days=40), here.world.root / "exports" / "own.csv"))
    begin(here, "--sample")
    assert tenant_ids(here.world.home) == ["own"]


def test_a_port_that_is_taken_is_refused_before_anything_starts(here: Terminal) -> None:
    """Where the UI could not listen no daemon starts and no tenant is added; one line says so."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = other.getsockname()[1]
        answer = here("dev", "--sample", "--port", str(where))
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith(f"ConfigurationError: nothing can listen at 127.0.0.1:{where}: ")
    assert answer.err.count("\n") == 1
    assert tenant_ids(here.world.home) == []


def test_make_dev_postgres_ends_with_what_it_started(tmp_path: Path) -> None:
    """SIGTERM to make, as a service manager sends it, ends `pipeline dev` and not a shell before it."""
    program, told = tmp_path / "bin" / "pipeline", tmp_path / "told"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $$ > {told}.new && mv {told}.new {told}\nexec sleep 60\n", encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / ".runtime").touch()
    command = ["make", "-f", MAKEFILE, "dev-postgres", f"VENV={tmp_path}", "DAGSTER_DATABASE_URL=postgresql://x/y"]
    with subprocess.Popen(command, cwd=MAKEFILE.parent, stderr=subprocess.DEVNULL) as make:
        end = time.monotonic() + 20
        while not told.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        make.terminate()
        make.wait(20)
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)
