"""What the docs say of the command line is what can be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline.cli import app
from pipeline_tests.test_docs import HEADING, INLINE, PAGES, ROOT, blocks_of, prose_of, section, table

COMMAND = re.compile(r"(?:^|[\s/=])pipeline (?=[a-z])(.*)")


@cache
def commands() -> dict[str, Any]:
    """Every command by its full name, groups left out."""
    found: dict[str, Any] = {}

    def walk(name: str, command: Any) -> None:
        children = getattr(command, "commands", None)
        if children is None:
            found[name] = command
        for child, below in (children or {}).items():
            walk(f"{name} {child}", below)

    walk("pipeline", typer.main.get_command(app))
    return found


def test_every_command_is_documented() -> None:
    """Each command has a section, its options are all there and no others, and their defaults are given."""
    pages = (
        "reference/command-line.md",
        "reference/command-line-of-forecasts.md",
        "reference/command-line-of-operating.md",
        "reference/command-line-of-models.md",
        "reference/command-line-of-monitoring.md",
    )
    page_of = {title.strip("`"): page for page in pages for _, title in HEADING.findall(prose_of(page))}
    assert {title for title in page_of if title.startswith("pipeline ")} == set(commands())
    for name, command in commands().items():
        stated = table(section(page_of[name], f"`{name}`"))
        options = [param for param in command.params if param.param_type_name == "option"]
        assert set(stated) == {opt for param in options for opt in param.opts}, name
        for param in options:
            if not isinstance(param.default, bool) and isinstance(param.default, int | str):
                assert str(param.default) in stated[param.opts[0]][1], f"{name} {param.opts[0]}"


def test_every_make_target_is_documented() -> None:
    """The page has a row for each target that `make help` lists."""
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    stated = set(table(section("reference/command-line.md", "`make`")))
    assert stated == {f"make {target}" for target in targets if target != "help"}


def _written_commands(page: Path) -> Iterator[tuple[str, bool]]:
    """The `pipeline ...` commands of a page, and whether each must be complete: in a block, not in a sentence."""
    for code in blocks_of(page, "sh", "ini"):
        for line in code.replace("\\\n", " ").splitlines():
            found = COMMAND.search(line.split(" #")[0])
            if found:
                yield found[1], True
    for code in INLINE.findall(prose_of(page)):
        found = re.match(r"(?:.*\s)?pipeline (?=[a-z])(.*)", re.sub(r"\s+", " ", code))
        if found:
            yield found[1], False


def _faults(line: str, complete: bool) -> str | None:
    """What is wrong with the words after `pipeline`, if anything."""
    words = shlex.split(line)
    names = [name for name in commands() if f"pipeline {' '.join(words)} ".startswith(f"{name} ")]
    if not names:
        group = any(name.startswith(f"pipeline {' '.join(words)} ") for name in commands())
        return None if group and not complete else "no such command"
    command, rest = commands()[names[0]], words[len(names[0].split()) - 1 :]
    try:
        given, left, _ = command.make_parser(typer.Context(command)).parse_args([w for w in rest if w != "--help"])
    except Exception as error:  # the parser's errors are not public; their text says enough
        return str(error)
    missing = [param.name for param in command.params if param.required and given.get(param.name) is None]
    return f"too many words: {left}" if left else f"needs {missing}" if complete and missing else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_can_be_typed(page: Path) -> None:
    """Every `pipeline ...` in the docs names a command and options that there are, and gives what they need."""
    faults = {line: _faults(line, complete) for line, complete in _written_commands(page)}
    assert not {line: fault for line, fault in faults.items() if fault}


@pytest.mark.parametrize("line", ["bake", "run --oven", "run --sales", "version 2", "backtest --folds 4"])
def test_commands_that_cannot_be_typed_are_found(line: str) -> None:
    """The test above sees unknown commands and options, missing values, stray words and missing options."""
    assert _faults(line, complete=True)
