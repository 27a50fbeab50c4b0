"""`pipeline lineage`: from a forecast back to the files of its sales, and forward again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.shared import AsJson, WhichTenant, aside, one_tenant, prepared

if TYPE_CHECKING:
    from pipeline.installation import Installation
    from pipeline.monitoring.lineage.walk import Trail

app = typer.Typer(help="Show what was made from what.", no_args_is_help=True)


@app.callback()
def _lineage() -> None:
    """Show what was made from what."""


@app.command("show")
def show(
    what: Annotated[str, typer.Argument(metavar="PRODUCT|VERSION", help="Product id, or version of a model or table.")],
    tenant: WhichTenant = None,
    forward: Annotated[
        bool, typer.Option("--forward", help="What was made from it, instead of what it was made from.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Walk from a product's forecast, or from a version, back to the files of the sales; or forward.

    A product stands for its present forecast; forward, for the model of it. A version is that of a model, or of a
    table, of which the first 8 letters will do.

    Example: pipeline lineage show "Croissant, butter" --tenant my-bakery
    """
    import json

    from pipeline.monitoring.lineage.shown import as_records, as_tree

    installation = prepared()
    trail = _walked(installation, what, tenant, forward=forward)
    for fault in trail.faults:
        aside(f"faulty line: {fault}")
    if as_json:
        typer.echo(json.dumps(as_records(trail), ensure_ascii=False, indent=2))
    else:
        typer.echo(as_tree(trail, forward=forward))


def _walked(installation: Installation, what: str, tenant: str | None, *, forward: bool) -> Trail:
    from pipeline.keys import partition_key
    from pipeline.monitoring.lineage import walk
    from pipeline.monitoring.lineage.log import Ref
    from pipeline.monitoring.lineage.shown import in_use

    folder = installation.home.lineage
    known = _tenant_or_none(installation, tenant)
    found = None if known is None else in_use(installation.home, known, what)
    if found is None:
        start = walk.versions_like(folder, what, known)
        return walk.forward(folder, start) if forward else walk.back(folder, start)
    if not forward:
        return walk.back(folder, [found.forecast], what)
    if found.version is None:
        return walk.forward(folder, [found.forecast])
    return walk.forward(folder, [Ref(partition_key(str(known), what), found.version)])


def _tenant_or_none(installation: Installation, tenant: str | None) -> str | None:
    """The tenant that is named, or the only one; a version needs none."""
    from pipeline.tenants import tenant_ids

    if tenant is None and len(tenant_ids(installation.home)) != 1:
        return None
    return one_tenant(installation, tenant)
