"""The command `pipeline`."""

from __future__ import annotations

import logging
import sys
import warnings

import typer

from pipeline import __version__
from pipeline.commands import (
    alerts,
    backtest,
    breakers,
    dev,
    events,
    forecast,
    jobs,
    lineage,
    metrics,
    models,
    monitor,
    monitor_freshness,
    monitor_lineage,
    monitor_metrics,
    monitor_serving,
    registry,
    run,
    tenants,
)
from pipeline.commands.shared import aside
from pipeline.errors import PipelineError

app = typer.Typer(
    name="pipeline",
    help=(
        "Daily demand forecasts for bakeries, cafés and shops.\n\n"
        "Start with `pipeline run`: it trains and forecasts the built-in sample tenants, or, with --sales and "
        "--country, your own file. `pipeline forecast show` prints what to bake, `pipeline dev` opens the Dagster UI. "
        "Everything is written under PIPELINE_HOME (./var unless set)."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(run.run)
app.command("backtest")(backtest.backtest)
app.command("dev")(dev.dev)
app.add_typer(tenants.app, name="tenants")
app.add_typer(jobs.app, name="jobs")
app.add_typer(models.app, name="models")
app.add_typer(forecast.app, name="forecast")
app.add_typer(registry.app, name="registry")
app.add_typer(alerts.app, name="alerts")
app.add_typer(breakers.app, name="breakers")
app.add_typer(events.app, name="events")
app.add_typer(monitor.app, name="monitor")
monitor.app.command("compute-freshness")(monitor_freshness.compute_freshness)
monitor.app.command("run-checks")(monitor_freshness.run_checks)
app.add_typer(lineage.app, name="lineage")
monitor.app.command("emit-lineage-dataset-build")(monitor_lineage.emit_dataset_build)
monitor.app.command("emit-lineage-training-run")(monitor_lineage.emit_training_run)
monitor.app.command("serving-health")(monitor_serving.serving_health)
app.add_typer(metrics.app, name="metrics")
monitor.app.command("serve-metrics", help=metrics.UNDER_ANOTHER_NAME)(metrics.serve)
monitor.app.command("demo-metrics")(monitor_metrics.demo_metrics)
monitor.app.command("simulate-prediction")(monitor_metrics.simulate_prediction)


@app.command("version")
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; an error of ours is one message on stderr and exit status 1, never a traceback."""
    warnings.filterwarnings("ignore", module="dagster")
    try:
        app()
    except PipelineError as error:
        aside(f"{type(error).__name__}: {error}", typer.colors.RED, logging.ERROR)
        sys.exit(1)


if __name__ == "__main__":
    main()
