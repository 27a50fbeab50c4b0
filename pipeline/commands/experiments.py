"""`pipeline models experiments`: the trainings of a tenant or product, one after the other."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer

from pipeline.commands.shared import AsJson, Tags, WhichTenant, one_tenant, prepared, show
from pipeline.registry.records import Experiment
from pipeline.tags import parsed_tags
from pipeline.training.commit import CHANGED

COMMIT_LETTERS = 8


class Figure(StrEnum):
    """What can be followed."""

    WAPE = "wape"
    MAE = "mae"
    RMSE = "rmse"
    MASE = "mase"
    RMSSE = "rmsse"
    BIAS = "bias"
    COVERAGE = "coverage"
    BELOW_UPPER = "below_upper"
    PINBALL = "pinball"


def experiments(
    tenant: Annotated[str | None, typer.Argument(help="Tenant id; may be left out when there is only one.")] = None,
    product: Annotated[str | None, typer.Option("--product", help="Product id: its models alone.")] = None,
    tag: Tags = None,
    metric: Annotated[Figure, typer.Option(help="Which figure.")] = Figure.WAPE,
    limit: Annotated[int, typer.Option(help="Rows at the most: the newest.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show a figure from training to training, the newest last: of all products together, or of one.

    Example: pipeline models experiments my-bakery --tag idea=fewer-trees --metric mae
    """
    installation = prepared()
    tenant_id, tags = one_tenant(installation, tenant), parsed_tags(tag or ())
    found = installation.registry.experiments(tenant_id, product, metric=metric, tags=tags, limit=limit)
    row = _of_tenant if product is None else _of_product
    rows = [_everything(one, metric) if as_json else row(one, metric) for one in found]
    asked = f" with {', '.join(f'{name}={value}' for name, value in tags.items())}" if tags else ""
    show(
        rows,
        as_json,
        f"Trainings of {product or tenant_id}{asked}",
        right=("models", metric.upper(), "naive", "least", "mean"),
        empty=f"no training of {product or tenant_id}{asked} is registered",
        spare=("commit", "least", "mean", "models", "cause") if product is None else ("commit", "cause"),
    )


def mirror_(
    tenant: WhichTenant = None,
    latest: Annotated[int, typer.Option(help="Trainings to look at: the latest.", min=1)] = 100,
) -> None:
    """Mirror trainings to the MLflow server of MLFLOW_TRACKING_URI that it lacks; what is there stays as it is.

    Example: pipeline models mirror --tenant my-bakery --latest 500
    """
    from pipeline.errors import ConfigurationError
    from pipeline.training.mirror import mirror

    installation = prepared()
    if installation.settings.mlflow_tracking_uri is None:
        raise ConfigurationError("MLFLOW_TRACKING_URI is unset: name a server, such as http://127.0.0.1:5000")
    tenant_id = one_tenant(installation, tenant)
    typer.echo(f"{mirror(installation, tenant_id, latest)} trainings of {tenant_id} were mirrored")


def _of_tenant(one: Experiment, metric: str) -> dict[str, Any]:
    return {
        "started": f"{one.job.started_at:%Y-%m-%d %H:%M}",
        "status": str(one.job.status),
        "cause": one.job.cause,
        "models": one.models,
        metric.upper(): one.value,
        "naive": one.naive,
        "least": one.least,
        "mean": one.mean,
        "commit": _short(one.job.git_commit),
        "tags": _told(one),
    }


def _of_product(one: Experiment, metric: str) -> dict[str, Any]:
    return {
        "started": f"{one.job.started_at:%Y-%m-%d %H:%M}",
        "version": one.version,
        "cause": one.job.cause,
        metric.upper(): one.value,
        "naive": one.naive,
        "commit": _short(one.job.git_commit),
        "tags": _told(one),
    }


def _everything(one: Experiment, metric: str) -> dict[str, Any]:
    figures = {name: value for name, value in asdict(one).items() if name != "job"}
    return {"metric": str(metric), **figures, "job": asdict(one.job)}


def _told(one: Experiment) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(one.job.tags.items()))


def _short(commit: str | None) -> str:
    """A commit's first letters; the sign that files were changed stays."""
    return "" if commit is None else commit[:COMMIT_LETTERS] + (CHANGED if commit.endswith(CHANGED) else "")
