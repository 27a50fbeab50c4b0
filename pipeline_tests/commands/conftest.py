"""Fixtures: the command `pipeline`, as typed, in this process and in one of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline_tests.defs import world
from pipeline_tests.defs.world import Finished, World


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What was printed, without empty lines."""
        return [line.rstrip() for line in self.out.splitlines() if line.strip()]


@dataclass(frozen=True)
class Terminal:
    """A terminal of 80 columns in a world."""

    world: World
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path, **settings: str) -> Answer:
        """Run a command in this process, its errors handled as for a user."""
        self.capsys.readouterr()
        with self.world.around(**{"COLUMNS": "80", **settings}), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["pipeline", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main()
        said = self.capsys.readouterr()
        return Answer(int(ended.value.code or 0), said.out, said.err)


def apart(world: World, *arguments: str | Path, cwd: Path | None = None, **settings: str) -> Answer:
    """Run a command in a process of its own, with nothing else in its environment."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *map(str, arguments)],
        env=world.alone(**settings),
        cwd=cwd or world.root.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two tenants after their first run; not to be changed."""
    return world.finished(tmp_path_factory.getbasetemp() / "finished")


@pytest.fixture
def terminal(finished: Finished, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A terminal where two tenants have been run; commands that change anything must not be typed here."""
    return Terminal(finished.world, capsys)


@pytest.fixture
def copied(finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """The same, to be changed."""
    return Terminal(finished.world.copied(tmp_path / "world"), capsys)


@pytest.fixture
def fresh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A terminal where nothing has been done yet."""
    return Terminal(World(tmp_path / "world"), capsys)
