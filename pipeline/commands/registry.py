"""`pipeline registry`: the database behind it all."""

from __future__ import annotations

import typer

from pipeline.commands.shared import prepared

app = typer.Typer(help="Care for the registry's database.", no_args_is_help=True)


@app.command("upgrade")
def upgrade_() -> None:
    """Bring the registry's database to this version's schema.

    Example: pipeline registry upgrade
    """
    from pipeline.registry.database import check_schema, open_engine, upgrade

    engine = open_engine(prepared().settings)
    upgrade(engine)
    check_schema(engine)
    typer.echo("the registry's schema is up to date")
