"""`pipeline models`: what is registered, what is in use and why, and whether it is whole."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from contracts import Metrics, ModelManifest, ModelQuery, ModelType
from pipeline.commands.experiments import experiments, mirror_
from pipeline.commands.shared import AsJson, WhichTenant, one_tenant, prepared, show
from pipeline.commands.whole import next_steps, whole_model
from pipeline.installation import Installation
from pipeline.monitoring.lineage.log import record
from pipeline.monitoring.lineage.steps import champion_changed
from pipeline.registry.records import Wanted
from pipeline.requests import accepted
from pipeline.who import user

app = typer.Typer(help="List, compare, verify and put in use registered models.", no_args_is_help=True)
FACTS = (
    "version",
    "origin",
    "demand_class",
    "data_days",
    "data_fingerprint",
    "covariates",
    "evaluation",
    "code_version",
    "job_id",
)
FIGURES = ("mae", "rmse", "wape", "mase", "rmsse", "bias", "coverage", "below_upper", "pinball")
app.command("experiments")(experiments)
app.command("mirror")(mirror_)
Product = Annotated[str | None, typer.Option("--product", help="Product id.")]


@app.command("list")
def list_(
    tenant: WhichTenant = None,
    product: Product = None,
    deployed: Annotated[bool, typer.Option("--deployed", help="Only the models in use.")] = False,
    family: Annotated[str | None, typer.Option(help="Only models with this family, such as lightgbm.")] = None,
    model_type: Annotated[ModelType | None, typer.Option("--type", help="Only models of this type.")] = None,
    max_wape: Annotated[float | None, typer.Option(help="Only models whose WAPE is at most this.")] = None,
    limit: Annotated[int, typer.Option(help="Rows at the most, up to 1000.")] = 50,
    offset: Annotated[int, typer.Option(help="Rows to leave out first.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List registered models, the newest first.

    Example: pipeline models list --tenant my-bakery --deployed --family lightgbm --max-wape 0.2
    """
    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    query = accepted(
        ModelQuery,
        tenant=tenant_id,
        product=product,
        model_type=model_type,
        family=family,
        deployed=True if deployed else None,
        max_wape=max_wape,
        limit=limit,
        offset=offset,
    )
    wanted = Wanted(query.product, query.model_type, query.family, query.deployed, query.max_wape)
    rows = [
        {
            "product": one.model.product_id,
            "version": one.model.version,
            "families": one.model.algorithm,
            "class": one.model.demand_class,
            "origin": one.model.origin,
            "WAPE": one.wape,
            "naive": one.naive_wape,
            "in use": "yes" if one.model.deployed else "",
        }
        for one in installation.registry.listing(query.tenant, wanted, query.limit, query.offset)
    ]
    show(
        rows,
        as_json,
        f"Models of {tenant_id}",
        right=("WAPE", "naive"),
        empty=f"{tenant_id} has no such model" if wanted != Wanted() else f"{tenant_id} has no model yet",
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
    facts = {name: getattr(manifest, name) for name in FACTS}
    given = "not written down" if manifest.covariates is None else ", ".join(manifest.covariates) or "none"
    facts |= {"covariates": given}
    show([{"": name, "value": value} for name, value in facts.items()], False, f"Model of {product}")
    if manifest.terms is not None:
        show(
            [{"": name, "value": value} for name, value in manifest.terms.stated.items()], False, "Trained under terms"
        )
    lines: list[tuple[str, float | None, Metrics]] = [
        ("combination", None, manifest.metrics),
        ("seasonal naive", None, manifest.naive_metrics),
    ]
    lines += [(m.family, m.weight, m.metrics) for m in manifest.members]
    show(
        [
            {"family": name, "weight": weight, **metrics.model_dump(include=set(FIGURES))}
            for name, weight, metrics in lines
        ],
        False,
        "Errors out of sample",
        right=("weight", *FIGURES),
        spare=[name for name in FIGURES[::-1] if name not in ("wape", "mase", "coverage")],
        whole=("family",),
    )
    if manifest.against is not None:
        told = manifest.against.model_dump(exclude_none=True)
        show([{"": name, "value": value} for name, value in told.items()], False, "Its recipe against the champion's")
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


@app.command("history")
def history(
    product: Annotated[str, typer.Argument(help="Product id.")],
    tenant: WhichTenant = None,
    limit: Annotated[int, typer.Option(help="Rows at the most.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what was decided about a product's champion, the last first: when, what, by whom, and why.

    Example: pipeline models history "Croissant, butter" --tenant my-bakery
    """
    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    rows = [
        {
            "when": f"{one.decided_at:%Y-%m-%d %H:%M}",
            "decision": str(one.decision).replace("_", " "),
            "version": one.to_version,
            "instead of": one.from_version or "",
            "MAE": one.figures.get("mae"),
            "naive": one.figures.get("naive_mae"),
            "by": one.actor,
            "reason": one.reason,
        }
        for one in installation.registry.promotions(tenant_id, product, limit)
    ]
    show(
        rows,
        as_json,
        f"Champions of {product}",
        right=("MAE", "naive"),
        empty=f"nothing was decided about {product} yet",
        spare=("naive", "MAE", "by"),
    )


@app.command("compare")
def compare(
    product: Annotated[str, typer.Argument(help="Product id.")],
    first: Annotated[str, typer.Argument(help="Version, such as 20261120_143022.")],
    second: Annotated[str, typer.Argument(help="Version to hold against it.")],
    tenant: WhichTenant = None,
    as_json: AsJson = False,
) -> None:
    """Hold two versions of a product's model against each other: data, errors, weights, what differs.

    Example: pipeline models compare "Croissant, butter" 20261113_020011 20261120_020014
    """
    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    both = [comparable(installation.registry.manifest(tenant_id, product, version)) for version in (first, second)]
    rows = []
    for name in dict.fromkeys([*both[0], *both[1]]):
        left, right = (one.get(name) for one in both)
        rows.append({"": name, first: left, second: right, "differs": "" if left == right else "yes"})
    show(rows, as_json, f"Models of {product}", right=(first, second), spare=("differs",))


@app.command("rollback")
def rollback(
    product: Annotated[str, typer.Argument(help="Product id.")],
    tenant: WhichTenant = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")] = "by hand",
) -> None:
    """Put the model that the one in use replaced back in use, once its files are verified.

    Example: pipeline models rollback "Croissant, butter" --tenant my-bakery --reason "far too low on Saturdays"
    """
    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    earlier = installation.registry.previous_champions(tenant_id).get(product)
    if earlier is not None:
        whole_model(installation, tenant_id, product, earlier.version)
    done = installation.registry.roll_back(tenant_id, product, reason=reason, actor=user())
    record(installation.home.lineage, champion_changed([done]))
    typer.echo(f"version {done.to_version} of {product} is in use again, instead of {done.from_version}")


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
    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    newest = installation.registry.models(tenant_id, product, None, 1)
    chosen = version or (newest[0].version if newest else _version(installation, tenant_id, product))
    manifest = whole_model(installation, tenant_id, product, chosen)
    figures = {"mae": manifest.metrics.mae, "naive_mae": manifest.naive_metrics.mae}
    done = installation.registry.promote(tenant_id, product, chosen, reason=reason, actor=user(), figures=figures)
    record(installation.home.lineage, champion_changed([done]))
    typer.echo(f"version {chosen} of {product} is in use")


@app.command("reproduce")
def reproduce_(
    product: Annotated[str, typer.Argument(help="Product id.")],
    version: Annotated[str | None, typer.Argument(help="Version; the one in use, else the newest.")] = None,
    tenant: WhichTenant = None,
    as_json: AsJson = False,
) -> None:
    """Train a registered model again from its manifest, and hold it against what is stored; exit status 1: it differs.

    Example: pipeline models reproduce "Croissant, butter" 20261113_020011 --tenant my-bakery
    """
    import json

    from pipeline.training.reproduce import reproduce

    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    chosen = version or _version(installation, tenant_id, product)
    manifest = installation.registry.manifest(tenant_id, product, chosen)
    made = reproduce(manifest, installation.data(tenant_id), installation.store, installation.settings)
    rows = [
        {
            "family": one.family,
            "weight": one.weight,
            "same files": "yes" if one.same_files else "no",
            "forecasts differ by": one.difference,
            "why not": one.fault or "",
        }
        for one in made.members
    ]
    if as_json:
        typer.echo(json.dumps({"same": made.same, "not_as_it_was": made.differences, "members": rows}, indent=2))
    else:
        show(
            rows, False, f"{product} {chosen}, made again", right=("weight", "forecasts differ by"), spare=("why not",)
        )
        for line in made.differences:
            typer.echo(f"not as it was: {line}")
        typer.echo("the same model" if made.same else "not the same model")
    if not made.same:
        raise typer.Exit(1)


@app.command("sign")
def sign(tenant: WhichTenant = None) -> None:
    """Sign the manifests that are not signed yet with MODEL_SIGNING_KEY: you vouch for them as they stand.

    Look at them first with `pipeline models verify`.

    Example: pipeline models sign --tenant my-bakery
    """
    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    typer.echo(f"{installation.registry.sign_all(tenant_id)} models of {tenant_id} were signed")


@app.command("verify")
def verify(
    tenant: WhichTenant = None,
    product: Product = None,
    quarantine: Annotated[bool, typer.Option("--quarantine", help="Move broken files out of the way.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check every registered model's manifest and files against their SHA-256; exit status 1 when one is broken.

    Example: pipeline models verify --tenant my-bakery --quarantine
    """
    from pipeline.training.integrity import Fault, Verifier, set_aside

    installation = prepared()
    tenant_id = one_tenant(installation, tenant)
    verifier, faults, count, page = Verifier(installation.registry, installation.store), list[Fault](), 0, 500
    while records := installation.registry.models(tenant_id, product, None, page, count):
        faults += [fault for record in records for fault in verifier.faults(record)]
        count += len(records)
    rows = [
        {
            "product": one.model.product_id,
            "version": one.model.version,
            "state": "not known" if one.silent else "broken",
            "fault": one.fault,
        }
        for one in faults
    ]
    show(rows, as_json, "Models that are not known to be whole", empty=f"{count} models of {tenant_id} are whole")
    moved = set_aside(faults, installation.registry, installation.store, user()) if quarantine else ()
    if not as_json:
        for line in (*(f"moved to {place}" for place in moved), *next_steps(faults, tenant_id)):
            typer.echo(line)
    if faults:
        raise typer.Exit(1)


def comparable(manifest: ModelManifest) -> dict[str, Any]:
    """Return what of a manifest is worth comparing, flat: data, errors, weights and settings, code and libraries."""
    facts = manifest.model_dump(include={"origin", "demand_class", "data_days", "horizon", "grade", "seed"})
    facts |= {name: getattr(manifest.metrics, name) for name in FIGURES}
    facts["naive wape"] = manifest.naive_metrics.wape
    for member in manifest.members:
        facts[f"{member.family}: weight"] = member.weight
        facts |= {f"{member.family}: {name}": value for name, value in member.parameters.items()}
    facts |= {f"terms: {name}": value for name, value in (manifest.terms.stated if manifest.terms else {}).items()}
    facts["data"], facts["settings"] = manifest.data_fingerprint[:12], manifest.config_fingerprint[:12]
    return facts | {"code": manifest.code_version} | {f"library {k}": v for k, v in manifest.libraries.items()}


def _version(installation: Installation, tenant_id: str, product: str) -> str:
    from pipeline.errors import NotRegisteredError

    in_use = installation.registry.models(tenant_id, product, True, 1)
    found = in_use or installation.registry.models(tenant_id, product, None, 1)
    if not found:
        raise NotRegisteredError(f"tenant {tenant_id!r} has no model of {product!r}; see `pipeline models list`")
    return found[0].version
