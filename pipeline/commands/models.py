"""`pipeline models`: what is registered, and whether it is whole."""

from __future__ import annotations

from typing import Annotated

import typer

from contracts import Metrics
from pipeline.commands.shared import AsJson, WhichTenant, one_tenant, prepared, show
from pipeline.installation import Installation

app = typer.Typer(help="List, show and verify registered models.", no_args_is_help=True)
Product = Annotated[str | None, typer.Option("--product", help="Product id.")]


@app.command("list")
def list_(
    tenant: WhichTenant = None,
    product: Product = None,
    deployed: Annotated[bool, typer.Option("--deployed", help="Only the models in use.")] = False,
    limit: Annotated[int, typer.Option(help="Rows at the most.", min=1)] = 50,
    offset: Annotated[int, typer.Option(help="Rows to leave out first.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """List registered models, the newest first.

    Example: pipeline models list --tenant my-bakery --deployed
    """
    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    rows = []
    for record in installation.registry.models(tenant_id, product, True if deployed else None, limit, offset):
        metrics = installation.registry.metrics(tenant_id, record.product_id, record.version)
        rows.append(
            {
                "product": record.product_id,
                "version": record.version,
                "families": record.algorithm,
                "class": record.demand_class,
                "origin": record.origin,
                "WAPE": metrics.get("combination", {}).get("wape"),
                "naive": metrics.get("naive", {}).get("wape"),
                "in use": "yes" if record.deployed else "",
            }
        )
    show(
        rows,
        as_json,
        f"Models of {tenant_id}",
        right=("WAPE", "naive"),
        empty=f"{tenant_id} has no model yet",
        spare=("class", "origin"),
    )


@app.command("show")
def show_(
    product: Annotated[str, typer.Argument(help="Product id.")],
    version: Annotated[str | None, typer.Option("--version", help="Version; the one in use, else the newest.")] = None,
    tenant: WhichTenant = None,
    as_json: AsJson = False,
) -> None:
    """Show one model's manifest: members, weights, errors, data, files.

    Example: pipeline models show "Croissant, butter" --tenant my-bakery
    """
    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    manifest = installation.registry.manifest(tenant_id, product, version or _version(installation, tenant_id, product))
    if as_json:
        typer.echo(manifest.model_dump_json(indent=2))
        return
    facts = manifest.model_dump(
        include={"product_id", "version", "origin", "demand_class", "data_days", "evaluation", "code_version", "job_id"}
    )
    show([{"": name, "value": value} for name, value in facts.items()], False, f"Model of {product}")
    lines: list[tuple[str, float | None, Metrics]] = [
        ("combination", None, manifest.metrics),
        ("seasonal naive", None, manifest.naive_metrics),
    ]
    lines += [(m.family, m.weight, m.metrics) for m in manifest.members]
    figures = ("mae", "rmse", "wape", "mase", "rmsse", "bias", "coverage", "below_upper", "pinball")
    show(
        [
            {"family": name, "weight": weight, **metrics.model_dump(include=set(figures))}
            for name, weight, metrics in lines
        ],
        False,
        "Errors out of sample",
        right=("weight", *figures),
    )
    show(
        [
            {"file": f"{m.family}/{ref.name}", "bytes": ref.bytes, "sha256": ref.sha256}
            for m in manifest.members
            for ref in m.files
        ],
        False,
        "Files",
        right=("bytes",),
        empty="no files: this model needs none",
    )


@app.command("deploy")
def deploy(
    product: Annotated[str, typer.Argument(help="Product id.")],
    version: Annotated[str | None, typer.Option("--version", help="Version; the newest when unset.")] = None,
    tenant: WhichTenant = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")] = "by hand",
) -> None:
    """Put a model in use by hand, once its files are verified; forecasts use it from the next run on.

    Example: pipeline models deploy "Croissant, butter" --tenant my-bakery --reason "checked with the baker"
    """
    import getpass

    from pipeline.errors import IntegrityError
    from pipeline.training.promotion import broken_files

    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    newest = installation.registry.models(tenant_id, product, None, 1)
    chosen = version or (newest[0].version if newest else _version(installation, tenant_id, product))
    manifest = installation.registry.manifest(tenant_id, product, chosen)
    if faults := broken_files(manifest, installation.store):
        raise IntegrityError(f"version {chosen} of {product!r} is not whole: {'; '.join(faults)}")
    figures = {"mae": manifest.metrics.mae, "naive_mae": manifest.naive_metrics.mae}
    installation.registry.promote(tenant_id, product, chosen, reason=reason, actor=getpass.getuser(), figures=figures)
    typer.echo(f"version {chosen} of {product} is in use")


@app.command("verify")
def verify(tenant: WhichTenant = None, product: Product = None, as_json: AsJson = False) -> None:
    """Check every registered model's manifest and files against their SHA-256; exit status 1 when one is broken.

    Example: pipeline models verify --tenant my-bakery
    """
    from pipeline.errors import PipelineError
    from pipeline.training.promotion import broken_files

    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    faults, count, page = [], 0, 500
    while records := installation.registry.models(tenant_id, product, None, page, count):
        for record in records:
            try:
                manifest = installation.registry.manifest(tenant_id, record.product_id, record.version)
                broken = broken_files(manifest, installation.store)
            except PipelineError as error:
                broken = [str(error)]
            faults += [{"product": record.product_id, "version": record.version, "fault": fault} for fault in broken]
        count += len(records)
    show(faults, as_json, "Broken models", empty=f"{count} models of {tenant_id} are whole")
    if faults:
        raise typer.Exit(1)


def _version(installation: Installation, tenant_id: str, product: str) -> str:
    from pipeline.errors import NotRegisteredError

    in_use = installation.registry.models(tenant_id, product, True, 1)
    found = in_use or installation.registry.models(tenant_id, product, None, 1)
    if not found:
        raise NotRegisteredError(f"tenant {tenant_id!r} has no model of {product!r}; see `pipeline models list`")
    return found[0].version
