"""`pipeline dev`: which tenants there are when it becomes Dagster's own process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.tenants import tenant_ids
from pipeline_tests.commands.conftest import Terminal
from pipeline_tests.defs import tills

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
    """Start `pipeline dev`."""
    with pytest.raises(_BecameAnotherError, match=r"dagster.*dev"):
        terminal("dev", *options)


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
