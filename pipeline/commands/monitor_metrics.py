"""`pipeline monitor demo-metrics` and `simulate-prediction`: something to try dashboards and rules with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.metrics import Host, run_server
from pipeline.commands.shared import WhichTenant, aside, one_tenant, prepared

NOT_WELL = 3
"""Exit status of what was tried and did not go well."""


def demo_metrics(
    host: Host = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("--port", help="Serve them there instead of printing them.", min=0, max=65535)
    ] = None,
) -> None:
    """Print made-up figures of every metric in Prometheus' format, marked by `pipeline_demo 1`, or serve them.

    Example: pipeline monitor demo-metrics --port 9464
    """
    from pipeline.monitoring.metrics.collector import as_text
    from pipeline.monitoring.metrics.demo import demo_figures

    if port is None:
        typer.echo(as_text(demo_figures()).decode(), nl=False)
    else:
        run_server(demo_figures, host, port)


def simulate_prediction(
    product: Annotated[str, typer.Option("--product", help="Product id.")],
    tenant: WhichTenant = None,
    count: Annotated[int, typer.Option("--count", help="Forecasts to make, one after the other.", min=1)] = 10,
    deployment: Annotated[
        str, typer.Option("--deployment", help="Name of the deployment that the window is reported for.")
    ] = "simulated",
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where servers report; SERVING_METRICS_PATH when unset.")
    ] = None,
) -> None:
    """Make real forecasts of a product, as a model server would, and report one serving window of them.

    Prints the window; exit status 3 where a forecast failed.

    Example: pipeline monitor simulate-prediction --tenant my-bakery --product rye --count 20
    """
    installation = prepared()
    from contracts import ForecastRequest
    from pipeline.monitoring.serving.assess import metrics_folder
    from pipeline.monitoring.simulated import predict, window_of, write_window
    from pipeline.requests import accepted

    request = accepted(
        ForecastRequest,
        tenant=one_tenant(installation, tenant),
        products=(product,),
        days=installation.settings.horizon_days,
        confidence=0.9,
    )
    served = predict(installation, request, count)
    window = window_of(installation, request, served, deployment)
    path = write_window(folder or metrics_folder(installation.settings, installation.home), window)
    typer.echo(window.model_dump_json(indent=2))
    aside(f"one window of {count} forecasts was written to {path}")
    if served.faults:
        aside(f"{served.failures} of {count} failed; the first: {served.faults[0]}", typer.colors.RED)
        raise typer.Exit(NOT_WELL)
