"""Lineage for people and for machines: as a tree, and as records."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.home import Home
from pipeline.monitoring.lineage.log import Ref, Step
from pipeline.monitoring.lineage.walk import Trail, came_from, files_of, is_decision, uses
from pipeline.tables import read_metadata, read_table, records

if TYPE_CHECKING:
    from rich.tree import Tree

DEEPEST = 12
MOST = 20
"""Branches that are shown of one place; with more it says how many."""
NARROWEST = 60
LONGEST_NAME = 80
"""Letters of a name; a product may have hundreds."""
SHOWN_LETTERS = 12
"""Of a version that is a hash."""
TOLD = (
    "row_count", "feature_count", "origin", "cause", "duration_seconds", "job_id", "run_id", "from_version", "actor",
    "reason",
)  # fmt: skip


@dataclass(frozen=True)
class InUse:
    """A product's forecast of now: the version of the table, and that of the model that made its rows, if one did."""

    forecast: Ref
    version: str | None


def in_use(home: Home, tenant_id: str, product: str) -> InUse | None:
    """Return a product's forecast of now; None where it has none.

    Raises:
        DataError: it cannot be read, or was made before tables had metadata.
    """
    path = home.table(tenant_id, "forecasts")
    if not path.exists():
        return None
    table = read_table(path, "the forecasts")
    if not {"product_id", "model_version"} <= set(table.columns):
        raise DataError(f"the forecasts {path} cannot be read: they have no products or no versions")
    rows = records(table.loc[table["product_id"] == product, ["model_version"]])
    if not rows:
        return None
    metadata = read_metadata(path)
    if metadata is None:
        raise DataError(f"the forecasts {path} were made before lineage was noted; the next ones will have it")
    return InUse(Ref(metadata.dataset_name, metadata.dataset_version), rows[0]["model_version"])


def as_records(trail: Trail) -> dict[str, Any]:
    """Return a walk for machines: where it began, each step that was found, once, the gaps, and the faulty lines."""
    steps = trail.steps or list({id(step): step for step in trail.made.values()}.values())
    return {
        "start": [ref._asdict() for ref in trail.start],
        "steps": [
            {
                "event_type": step.event_type,
                "event_time": step.event_time,
                "inputs": {role: ref._asdict() for role, ref in step.inputs.items()},
                "outputs": {role: ref._asdict() for role, ref in step.outputs.items()},
                "metadata": step.metadata,
            }
            for step in steps
        ],
        "missing": [ref._asdict() for ref in sorted(trail.missing)],
        "faulty_lines": [{"file": one.file, "line": one.line, "fault": one.fault} for one in trail.faults],
    }


def as_tree(trail: Trail, *, forward: bool) -> str:
    """Return a walk as a tree that fits the terminal; what was shown once is not unfolded again."""
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    heading = "what was made from it" if forward else "what it was made from"
    root, grow = Tree(Text(heading)), _Growing(trail, set())
    _branch(root, list(trail.start), grow.forward if forward else grow.back, 0)
    width = max(shutil.get_terminal_size((100, 24)).columns, NARROWEST)
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        console.print(root)
    return captured.get().rstrip()


@dataclass(frozen=True)
class _Growing:
    """Grows the branches of a walk, as deep as anybody reads: each stands a few letters further to the right."""

    trail: Trail
    seen: set[Ref]

    def back(self, tree: Tree, ref: Ref, depth: int) -> None:
        step = self.trail.made.get(ref)
        if step is None:
            _line(tree, ref, "**no event says how it was made**" if ref in self.trail.missing else "")
            return
        branch = _line(tree, ref, _told(step))
        if ref in self.seen or depth == DEEPEST:
            branch.add("as above" if ref in self.seen else "and further (--json)")
            return
        self.seen.add(ref)
        origins = [one for one in came_from(step) if one in self.trail.made or one in self.trail.missing]
        files = files_of(step)
        _branch(branch, origins if files is None else [], self.back, depth + 1)
        if files is not None:
            self._files(branch, step, files)

    def _files(self, branch: Tree, step: Step, files: list[dict[str, Any]]) -> None:
        for ref in step.inputs.values():
            source = _line(branch, ref, "source")
            for file in files[:MOST]:
                days = f"{file.get('first_date')} to {file.get('last_date')}"
                digest = str(file.get("sha256"))[:SHOWN_LETTERS]
                _text(source, f"{file.get('name')}  {days}, SHA-256 {digest}")
            count = step.metadata.get("file_count")
            _left_out(source, (count if isinstance(count, int) else len(files)) - len(files[:MOST]))

    def forward(self, tree: Tree, ref: Ref, depth: int) -> None:
        branch = _line(tree, ref, _told(self.trail.made[ref]) if ref in self.trail.made else "")
        if ref in self.seen or depth == DEEPEST:
            branch.add("as above" if ref in self.seen else "and further (--json)")
            return
        self.seen.add(ref)
        users = [step for step in self.trail.steps if uses(step, ref)][::-1]
        for step in [one for one in users if is_decision(one)][:MOST]:
            _text(branch, f"{step.event_type}  {_told(step)}")
        made = {one: None for step in users for one in step.outputs.values()}
        _branch(branch, list(made), self.forward, depth + 1)


def _branch(tree: Tree, refs: list[Ref], grow: Callable[[Tree, Ref, int], None], depth: int) -> None:
    for ref in refs[:MOST]:
        grow(tree, ref, depth)
    _left_out(tree, len(refs) - MOST)


def _left_out(tree: Tree, number: int) -> None:
    if number > 0:
        tree.add(f"and {number} more; --json has all that was noted")


def _line(tree: Tree, ref: Ref, told: str) -> Tree:
    version = ref.version if len(ref.version) <= 20 else ref.version[:SHOWN_LETTERS]
    name = ref.name if len(ref.name) <= LONGEST_NAME else f"{ref.name[: LONGEST_NAME - 1]}…"
    return _text(tree, f"{name}  {version}{f'  {told}' if told else ''}")


def _text(tree: Tree, text: str) -> Tree:
    from rich.text import Text

    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return tree.add(Text(plain))


def _told(step: Step) -> str:
    """What a step says of itself, in a few words."""
    parts = [f"{name.replace('_', ' ')} {step.metadata[name]}" for name in TOLD if step.metadata.get(name) is not None]
    return ", ".join([step.event_time[:16].replace("T", " "), *parts])
