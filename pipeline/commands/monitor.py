"""`pipeline monitor`: what the feedback layer reads and finds, for people and for other systems."""

from __future__ import annotations

import typer

app = typer.Typer(
    help=(
        "Read metadata contracts, also those of other systems, and say what they show.\n\n"
        "JSON goes to standard output, messages go to standard error; the exit status tells the outcome."
    ),
    no_args_is_help=True,
)
