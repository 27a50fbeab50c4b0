"""What the command says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from pipeline.cli import app
from pipeline_tests.commands.conftest import Terminal, apart

NEEDS_NO_EXAMPLE = {("version",)}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group with its words."""
    yield path, command
    for name, part in sorted(getattr(command, "commands", {}).items()):
        yield from commands(part, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))
LEAVES = [path for path, command in ALL.items() if not hasattr(command, "commands")]


def test_the_commands_are_those_that_people_know():
    """No command disappears or changes its name by accident."""
    assert {" ".join(path) for path in LEAVES} == {
        "alerts close",
        "alerts list",
        "backtest",
        "breakers list",
        "breakers reset",
        "dev",
        "events drop",
        "events inbox",
        "events list",
        "events relay",
        "events send",
        "forecast evaluate",
        "forecast explain",
        "forecast make",
        "forecast show",
        "jobs cancel",
        "jobs list",
        "jobs retry",
        "jobs show",
        "jobs submit",
        "lineage show",
        "metrics serve",
        "models compare",
        "models deploy",
        "models experiments",
        "models history",
        "models list",
        "models mirror",
        "models reproduce",
        "models rollback",
        "models show",
        "models sign",
        "models verify",
        "monitor compute-freshness",
        "monitor demo-metrics",
        "monitor emit-lineage-dataset-build",
        "monitor emit-lineage-training-run",
        "monitor run-checks",
        "monitor serve-metrics",
        "monitor serving-health",
        "monitor simulate-prediction",
        "registry sweep",
        "registry upgrade",
        "run",
        "tenants add",
        "tenants check",
        "tenants list",
        "version",
    }


@pytest.mark.parametrize("path", ALL, ids=lambda path: " ".join(path) or "pipeline")
def test_help_fits_the_terminal(fresh: Terminal, path: tuple[str, ...]):
    """Help of every command and group ends well and no line of it is wider than the terminal."""
    answer = fresh(*path, "--help")
    assert answer.status == 0
    assert "Usage:" in answer.out
    assert max(map(len, answer.lines)) <= 80


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_help_teaches(fresh: Terminal, path: tuple[str, ...]):
    """Help of every command shows an example that can be typed, and says what each of its options is for."""
    said = " ".join(fresh(*path, "--help").out.split())
    assert path in NEEDS_NO_EXAMPLE or f"Example: pipeline {' '.join(path)}" in said
    assert [option.name for option in ALL[path].params if not getattr(option, "help", None)] == []


def test_without_a_command_the_help_is_shown(fresh: Terminal):
    """`pipeline` alone tells a stranger where to start."""
    answer = fresh()
    assert "pipeline run" in answer.out + answer.err


def test_the_real_command_answers(fresh: Terminal):
    """Typed in a shell, the command prints its version, alone."""
    answer = apart(fresh.world, "version")
    assert (answer.status, answer.out, answer.err) == (0, "0.1.0\n", "")
