"""`pipeline registry`: the database behind it all."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.shared import AsJson, prepared, show
from pipeline.who import user

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


@app.command("sweep")
def sweep(
    yes: Annotated[bool, typer.Option("--yes", help="Delete it now; else it is only shown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what need not be kept any longer, and delete it with --yes: old models, jobs, logs, events, unused files.

    Never a champion, the model that it replaced, a product's newest model, or an object that a model refers to.

    Example: pipeline registry sweep --yes
    """
    import datetime as dt

    from pipeline.registry.contents import Kind
    from pipeline.registry.sweep import carry_out, propose
    from pipeline.tenants import list_tenants

    installation = prepared()
    tenants = [tenant.id for tenant in list_tenants(installation.home).usable]
    parts = installation.registry, installation.store
    proposal = propose(*parts, installation.settings, tenants, dt.datetime.now(dt.UTC))
    found: dict[str, int] = {
        "models": len(proposal.models),
        "jobs": len(proposal.jobs),
        "shared fits": len(proposal.fits),
        "lines of logs": proposal.logs,
        "objects": proposal.count(Kind.OBJECT),
        "files in quarantine": proposal.count(Kind.QUARANTINED),
        "remains of writes": proposal.count(Kind.REMAINS),
        "access logs": len(proposal.access),
        "lineage logs": len(proposal.lineage),
        "events": proposal.events,
        "bytes": proposal.freed,
    }
    if yes:
        swept = carry_out(proposal, *parts, user())
        counts = (swept.models, swept.jobs, swept.fits, swept.logs, swept.objects, swept.quarantined, swept.remains)
        deleted = dict(zip(found, (*counts, swept.access, swept.lineage, swept.events, swept.freed), strict=True))
        rows = [{"": name, "deleted": count} for name, count in deleted.items()]
    else:
        rows = [{"": name, "to be deleted": count} for name, count in found.items()]
    show(rows, as_json, "Storage", right=("deleted", "to be deleted"))
    if not as_json:
        typer.echo(f"{proposal.stored:,} bytes are stored; sharing equal objects saves {proposal.shared:,} more")
