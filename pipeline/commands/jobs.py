"""`pipeline jobs`: what trains, what waits, how far it is; stop it, or try again what failed."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import typer

from contracts import JobProgress, Outcome
from pipeline.commands.shared import AsJson, prepared, show, tell
from pipeline.commands.submitting import submit
from pipeline.errors import ConfigurationError
from pipeline.installation import Installation
from pipeline.progress import duration
from pipeline.registry.records import JobRecord, JobStatus

app = typer.Typer(help="Ask for, follow, cancel and repeat trainings.", no_args_is_help=True)
app.command("submit")(submit)
JobId = Annotated[str, typer.Argument(help="Id of the job, or its first letters, as `pipeline jobs list` shows it.")]
SHOWN_LETTERS = 8
TENANT_TAG = "dagster/partition"
STARTING = "starting"
"""What a run is called that works and has no training job yet: it reads its sales, or waits for them."""
BLANK = dict.fromkeys(("job", "tenant", "status", "priority", "%", "products", "left", "began", "cause"))


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")] = None,
    limit: Annotated[int, typer.Option(help="Ended and running jobs at the most.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """List what waits in the queue, in its order, what starts, then the trainings that run or have ended, newest first.

    Example: pipeline jobs list --tenant my-bakery
    """
    installation = prepared()
    now = dt.datetime.now(dt.UTC)
    waiting = [_run_row(run, f"queued, {place}.") for place, run in enumerate(_queue(tenant), start=1)]
    jobs = sorted(_jobs(installation, tenant, limit), key=lambda job: job.started_at, reverse=True)[:limit]
    starting = [_run_row(run, STARTING) for run in _starting(installation, tenant)]
    rows = [*waiting, *starting, *(_job_row(job, now) for job in jobs)]
    show(
        rows if as_json else [{**row, "job": row["job"][:SHOWN_LETTERS]} for row in rows],
        as_json,
        "Trainings",
        right=("%", "products"),
        empty="nothing waits and nothing was trained yet; try `pipeline run`",
        spare=("cause", "priority"),
    )


@app.command("show")
def show_(job: JobId, as_json: AsJson = False) -> None:
    """Show how far a job is, what became of its products, and what it wrote down.

    Example: pipeline jobs show 3f2a81c0
    """
    installation = prepared()
    if (run := _run_without_job(installation, job)) is not None:
        _show_run(run, as_json)
        return
    found = _found(installation, job)
    progress = found.progress(dt.datetime.now(dt.UTC))
    if as_json:
        typer.echo(progress.model_dump_json(indent=2))
        return
    facts: dict[str, Any] = {
        "tenant": found.tenant_id,
        "status": found.status,
        "priority": found.priority,
        "cause": found.cause,
        "asked for by": found.requested_by,
        "step": found.step,
        "progress": f"{found.percentage:.0f} %, {found.products_completed} of {found.products_total} products",
        "time left": _left(found, progress.estimated_time_remaining),
        **{outcome.value: getattr(found, outcome.value) for outcome in Outcome},
        "run": found.run_id,
        "error": found.error,
    }
    show([{"": name, "value": value} for name, value in facts.items()], False, f"Job {found.id}")
    lines = installation.registry.logs(found.tenant_id, found.id)
    rows = [{"at": f"{line.at:%H:%M:%S}", "": line.level, "step": line.step, "message": line.message} for line in lines]
    show(rows, False, "What it wrote down (UTC)", empty="it wrote nothing down")


@app.command("cancel")
def cancel(job: Annotated[str, typer.Argument(help="Id of a job or a run, or its first letters.")]) -> None:
    """Take a run out of the queue, or stop one that starts or trains; the products that are done keep their models.

    Example: pipeline jobs cancel 3f2a81c0
    """
    installation = prepared()
    from pipeline.commands.dagster_runs import cancel_run, opened_instance

    run = _run_without_job(installation, job)
    run_id = run.run_id if run else _running(_found(installation, job))
    with opened_instance() as instance:
        tell(cancel_run(instance, run_id))


@app.command("retry")
def retry(job: JobId, as_json: AsJson = False) -> None:
    """Train again, under the same terms, what failed in a job or was left over; what it trained is left alone.

    Example: pipeline jobs retry 3f2a81c0
    """
    installation = prepared()
    found = _found(installation, job)
    if not found.status.final:
        raise ConfigurationError(f"job {found.id!r} is {found.status}; wait for its end, or `pipeline jobs cancel` it")
    products = not_trained(installation, found)
    if not products:
        tell(f"nothing to do: no product of job {found.id} failed or was left over")
        return
    from pipeline.commands import outcome
    from pipeline.commands.run import run_tenants
    from pipeline.training.experiment import terms_of

    asked = {"products": products, "scheduled": False, **terms_of(found)}
    config = {"ops": {"training_plan": {"config": asked}}}
    results = run_tenants(installation, [found.tenant_id], {"retry_of": found.id}, quiet=as_json, config=config)
    outcome.show_results(installation, results, as_json)
    if not all(result.success for result in results.values()):
        raise typer.Exit(1)


def not_trained(installation: Installation, job: JobRecord) -> list[str]:
    """Return the due products of a job that failed or that it did not come to, in the plan's order."""
    settled = {
        row.product_id
        for row in installation.registry.ledger(job.tenant_id, job.id)
        if row.outcome is not Outcome.FAILED
    }
    plan = installation.registry.plan(job.tenant_id, job.id)
    return [row.product_id for row in plan if row.due and row.product_id not in settled]


def _jobs(installation: Installation, tenant_id: str | None, limit: int | None) -> list[JobRecord]:
    from pipeline.tenants import tenant_ids

    wanted = [installation.tenant(tenant_id).id] if tenant_id else tenant_ids(installation.home)
    return [job for one in wanted for job in installation.registry.jobs(one, limit)]


def _found(installation: Installation, start: str) -> JobRecord:
    found = [job for job in _jobs(installation, None, None) if start and job.id.startswith(start)]
    if len(found) != 1:
        what = "no training job begins" if not found else f"{len(found)} training jobs begin"
        raise ConfigurationError(f"{what} with {start!r}; `pipeline jobs list --json` shows whole ids")
    return found[0]


def _running(job: JobRecord) -> str:
    if job.status.final or job.run_id is None:
        raise ConfigurationError(f"job {job.id!r} cannot be cancelled: it is {job.status}")
    return job.run_id


def _queue(tenant_id: str | None) -> list[Any]:
    from pipeline.commands.dagster_runs import opened_instance, queued_runs

    with opened_instance() as instance:
        return [run for run in queued_runs(instance) if tenant_id in (None, run.tags.get(TENANT_TAG))]


def _starting(installation: Installation, tenant_id: str | None) -> list[Any]:
    """The runs that have begun and have no training job yet: they read their sales, or wait for them."""
    from pipeline.commands.dagster_runs import opened_instance, started_trainings

    with opened_instance() as instance:
        runs = [run for run in started_trainings(instance) if tenant_id in (None, run.tags.get(TENANT_TAG))]
    return [run for run in runs if not installation.registry.jobs(run.tags.get(TENANT_TAG, ""), 1, run_id=run.run_id)]


def _run_without_job(installation: Installation, start: str) -> Any:
    """The one run that waits or starts whose id begins so; None where there is none, or more."""
    runs = [*_queue(None), *_starting(installation, None)]
    found = [run for run in runs if start and run.run_id.startswith(start)]
    return found[0] if len(found) == 1 else None


def _run_row(run: Any, status: str) -> dict[str, Any]:
    from pipeline.queue import priority_of

    tenant_id, cause = run.tags.get(TENANT_TAG), run.tags.get("cause")
    told = {"status": status, "priority": priority_of(run.tags), "cause": cause}
    return BLANK | {"job": run.run_id, "tenant": tenant_id} | told


def _show_run(run: Any, as_json: bool) -> None:
    """Show what is known of a run before its training job: nothing of it is done yet."""
    from pipeline.commands.dagster_runs import opened_instance

    if as_json:
        with opened_instance() as instance:
            record = instance.get_run_record_by_id(run.run_id)
        began = record.create_timestamp.replace(tzinfo=dt.UTC) if record else dt.datetime.now(dt.UTC)
        progress = JobProgress(
            job_id=run.run_id, percentage=0, products_completed=0, products_total=0, started_at=began
        )
        typer.echo(progress.model_dump_json(indent=2))
        return
    status = "queued" if run.status.value == "QUEUED" else STARTING
    facts = {name: value for name, value in _run_row(run, status).items() if value is not None and name != "job"}
    rows = [{"": name, "value": value} for name, value in (facts | {"run": run.run_id}).items()]
    show(rows, False, "No training job yet")


def _job_row(job: JobRecord, now: dt.datetime) -> dict[str, Any]:
    return BLANK | {
        "job": job.id,
        "tenant": job.tenant_id,
        "status": job.status,
        "priority": job.priority,
        "%": round(job.percentage),
        "products": f"{job.products_completed}/{job.products_total}",
        "left": _left(job, job.progress(now).estimated_time_remaining),
        "began": f"{job.started_at:%Y-%m-%d %H:%M}",
        "cause": job.cause,
    }


def _left(job: JobRecord, seconds: float | None) -> str | None:
    return duration(seconds) if job.status is JobStatus.RUNNING and seconds is not None else None
