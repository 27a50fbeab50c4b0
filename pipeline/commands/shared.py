"""What the commands share: the home, tables for the terminal, and JSON for machines."""

from __future__ import annotations

import json
import logging
import os
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

from pipeline import logs
from pipeline.commands.instance import set_up_instance
from pipeline.errors import ConfigurationError
from pipeline.installation import Installation
from pipeline.settings import get_settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
WhichTenant = Annotated[str | None, typer.Option("--tenant", help="Tenant id; may be left out when there is only one.")]
DateFormat = Annotated[
    str | None, typer.Option("--date-format", help="How dates are written, such as %d.%m.%Y; 2024-12-31 when unset.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="KEY=VALUE to find trainings by; may be given again.")]
NARROWEST = 60
"""Letters a line that a terminal is taken to have at the least."""
FOLDED = 16
"""Letters up to which a text is kept on one line."""
LONGEST = 120
"""Letters that are shown of a text; a product's name may have hundreds."""
GAP = 2
"""Letters between two columns."""
logger = logging.getLogger(__name__)


def prepared() -> Installation:
    """Return the installation, with its folders made and DAGSTER_HOME set to an absolute folder under it.

    A DAGSTER_HOME that the environment sets is respected: the instance may be shared.
    """
    installation = Installation(get_settings())
    logs.configure(installation.settings)
    os.environ["PIPELINE_HOME"] = str(installation.home.root)
    set_up_instance(installation)
    return installation


def one_tenant(installation: Installation, tenant_id: str | None) -> str:
    """Return the tenant that is meant.

    Raises:
        ConfigurationError: none was named and there is not exactly one.
    """
    from pipeline.tenants import tenant_ids

    if tenant_id is not None:
        return installation.tenant(tenant_id).id
    known = tenant_ids(installation.home)
    if len(known) == 1:
        return known[0]
    raise ConfigurationError(
        f"say which tenant with --tenant: {', '.join(known)}" if known else "there is no tenant yet; try `pipeline run`"
    )


def show(
    rows: Sequence[Mapping[str, Any]],
    as_json: bool,
    title: str,
    right: Sequence[str] = (),
    empty: str = "nothing to show",
    spare: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:
    """Print rows as a table that fits the terminal, or as JSON.

    Args:
        rows: the same keys in each; the keys are the headings.
        as_json: JSON instead, with nothing left out.
        title: heading of the table.
        right: columns of numbers.
        empty: what to say when there are no rows.
        spare: columns to leave out, the first one first, where the terminal is too narrow for all.
        whole: columns of names that are typed, kept on one line where the terminal is wide enough for that.
    """
    if as_json:
        typer.echo(json.dumps([dict(row) for row in rows], default=str, ensure_ascii=False, indent=2))
        return
    if not rows:
        typer.echo(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = _width()
    least = {name: _least([_cell(row[name]) for row in rows], name, name in (*right, *whole)) for name in rows[0]}
    left_out = []
    for name in spare:
        if sum(least.values()) + GAP * len(least) > width:
            left_out.append(name)
            del least[name]
    fits = sum(least.values()) + GAP * len(least) <= width
    wide = sum(max(len(name), *(len(_cell(row[name])) for row in rows)) + GAP for name in least) > width
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False)
    for name, letters in least.items():
        justify: Literal["left", "right"] = "right" if name in right else "left"
        # Where the whole does not fit, names and numbers take no more than they need: the last column would be cut.
        most = letters if fits and wide and name in (*right, *whole) else None
        table.add_column(name, justify=justify, overflow="fold", min_width=letters if fits else None, max_width=most)
    for row in rows:
        table.add_row(*(Text(_cell(row[name])) for name in least))
    Console(width=width).print(table)
    if left_out:
        tell(f"The terminal is too narrow for {', '.join(left_out)}; --json has all.")


def tell(text: str) -> None:
    """Print a sentence, in as many lines as the terminal needs."""
    typer.echo(textwrap.fill(printable(text), _width()))


def only_lines() -> bool:
    """Say whether LOG_FORMAT=json wants nothing on stderr but log lines: no progress bar, no coloured message."""
    setup = logs.current()
    return setup is not None and setup.only_lines


def aside(text: str, colour: str | None = None, level: int = logging.WARNING) -> None:
    """Tell on stderr what is no result; with LOG_FORMAT=json, which wants nothing else there, as a log line."""
    if only_lines():
        logger.log(level, "%s", text)
    else:
        typer.secho(text, fg=colour, err=True)


def _width() -> int:
    return max(shutil.get_terminal_size((100, 24)).columns, NARROWEST)


def _least(cells: Sequence[str], heading: str, whole: bool) -> int:
    """Letters that a column needs at least: all of them for numbers; long texts may go on in the next line."""
    from rich.cells import cell_len

    needed = max(cell_len(text) for text in (*cells, *heading.split()))
    return needed if whole else min(needed, FOLDED)


def printable(text: str) -> str:
    """Return a text on one line; what would ring, move the cursor or colour the terminal is spelt out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cell(value: object) -> str:
    """A value as one short line."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
    text = printable(str(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
