"""`pipeline run`: from sales to forecasts, for the sample tenants, one's own file, or all tenants."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from contracts import Tenant
from pipeline.commands import outcome
from pipeline.commands.asking import parsed_overrides, plan_config
from pipeline.commands.sampling import add_sample
from pipeline.commands.shared import AsJson, DateFormat, Tags, only_lines, prepared
from pipeline.errors import ConfigurationError
from pipeline.installation import Installation
from pipeline.tags import parsed_tags

Sales = Annotated[str | None, typer.Option("--sales", help="CSV or Parquet: a file, a folder, a glob or a URL.")]
Country = Annotated[str | None, typer.Option("--country", help="Country of the holidays, two capitals such as ES.")]


def run(
    sales: Sales = None,
    country: Country = None,
    covariates: Annotated[
        str | None, typer.Option("--covariates", help="File of values by date, or by product and date.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Tenant id; found from the file when unset.")] = None,
    mapping: Annotated[
        str | None, typer.Option("--map", help="Your column names: date=Datum,product_id=Artikel,quantity=Menge")
    ] = None,
    region: Annotated[str | None, typer.Option("--region", help="Region of the holidays, such as MD.")] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", help="Time zone, such as Europe/Madrid; the country's when unset.")
    ] = None,
    date_format: DateFormat = None,
    product: Annotated[
        list[str] | None, typer.Option("--product", help="Train this product now; may be given again.")
    ] = None,
    start: Annotated[str | None, typer.Option("--start", help="First day that the training sees, YYYY-MM-DD.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="Last day that the training sees, YYYY-MM-DD.")] = None,
    origins: Annotated[int | None, typer.Option("--origins", help="Past origins to score at, 1 to 52.")] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", help="SETTING=VALUE for this training: lightgbm_max_depth=6; may be given again."),
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Write a profile of the training.")] = False,
    tag: Tags = None,
    as_json: AsJson = False,
) -> None:
    """Train and forecast: the sample tenants, your own file (--sales, --country), or every tenant you have added.

    Example: pipeline run --sales till.csv --country DE --map date=Datum,product_id=Artikel,quantity=Menge
    """
    tags, overrides = parsed_tags(tag or ()), parsed_overrides(override or ())
    # One job at a time has the whole machine; under the daemon, jobs share it.
    os.environ.setdefault("WORKERS", str(len(os.sched_getaffinity(0))))
    installation = prepared()
    broken: dict[str, outcome.RunResult] = {}
    new: Tenant | None = None
    if sales is not None:
        if country is None:
            raise ConfigurationError("--sales needs --country, two capitals such as ES, for the public holidays")
        from pipeline.commands.describing import Described, given_source, make_tenant

        described = Described(given_source(sales), country, covariates, tenant, mapping, date_format, region, timezone)
        new = make_tenant(described, installation.home)
        wanted = [new.id]
    else:
        _refuse_alone(
            country=country,
            covariates=covariates,
            map=mapping,
            region=region,
            timezone=timezone,
            date_format=date_format,
        )
        wanted, broken = _known_tenants(installation, tenant)
    asked = {"products": product or None, "start": start, "end": end, "evaluation_origins": origins}
    config = plan_config(wanted, {**asked, "overrides": overrides or None, "diagnostics": profile or None})
    if new is not None:
        from pipeline.tenants import save_tenant

        save_tenant(installation.home, new, replace=True)
    results = {**run_tenants(installation, wanted, tags, quiet=as_json, config=config), **broken}
    outcome.show_results(installation, results, as_json)
    if not all(result.success for result in results.values()):
        raise typer.Exit(1)


def run_tenants(
    installation: Installation,
    tenants: list[str],
    tags: Mapping[str, str],
    *,
    quiet: bool,
    config: Mapping[str, Any] | None = None,
) -> dict[str, outcome.RunResult]:
    """Run the main job for each tenant, with a progress bar a tenant; after Ctrl-C none of the others is begun."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from pipeline.commands.dagster_runs import register_tenants, run_job
    from pipeline.progress import listening

    register_tenants(installation)
    results = {}
    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[tenant]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet or only_lines()) as progress:
        for tenant_id in tenants:
            bar = progress.add_task("reading sales", total=None, tenant=tenant_id)

            def moved(step: str, done: int, total: int, bar: object = bar) -> None:
                progress.update(bar, description=step, completed=done, total=total)  # type: ignore[arg-type]

            with listening(moved):
                results[tenant_id] = run_job(tenant_id, config=config, tags=tags)
            progress.update(bar, description=_ending(results[tenant_id]), completed=1, total=1)
            if results[tenant_id].interrupted:
                break
    return results


def _ending(result: outcome.RunResult) -> str:
    if result.cancelled:
        return "cancelled"
    return "done" if result.success else "failed"


def _known_tenants(installation: Installation, tenant_id: str | None) -> tuple[list[str], dict[str, outcome.RunResult]]:
    """The tenants to run, and those whose files are broken; without any, the sample tenants are written first."""
    from pipeline.tenants import list_tenants

    if tenant_id is not None:
        return [installation.tenant(tenant_id).id], {}
    usable, broken = list_tenants(installation.home)
    if usable or broken:
        failed = {name: outcome.RunResult("", False, (f"TenantError: {error}",)) for name, error in broken.items()}
        return [tenant.id for tenant in usable], failed
    return add_sample(installation), {}


def _refuse_alone(**options: str | None) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise ConfigurationError(f"{', '.join(given)} describes a sales file: give it with --sales PATH")
