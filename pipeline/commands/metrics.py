"""`pipeline metrics serve`: the figures of this installation for Prometheus."""

from __future__ import annotations

import json
import logging
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.shared import aside, prepared
from pipeline.errors import RegistryError, SchemaMismatchError

if TYPE_CHECKING:
    from pipeline.monitoring.metrics.catalogue import Figures

app = typer.Typer(help="Figures for Prometheus.", no_args_is_help=True)
PORT = 9464
UNDER_ANOTHER_NAME = """Serve /metrics, as `pipeline metrics serve` does; other systems know it by this name.

Example: pipeline monitor serve-metrics --port 9464
"""
Host = Annotated[str, typer.Option("--host", help="Address to listen at; it asks nobody who he is.")]
Port = Annotated[int, typer.Option("--port", help="Where to listen; 0: any port that is free.", min=0, max=65535)]


@app.command("serve")
def serve(host: Host = "127.0.0.1", port: Port = PORT) -> None:
    """Serve /metrics until it is asked to stop; the first line says where, as JSON.

    Example: pipeline metrics serve --port 9464
    """
    installation = prepared()
    from pipeline.commands.dagster_runs import waiting_runs
    from pipeline.monitoring.metrics.read import read_figures
    from pipeline.monitoring.metrics.server import Readings

    try:
        _ = installation.registry
    except SchemaMismatchError:
        raise
    except RegistryError as error:  # It may come later than this does; until then the metrics say that it is away.
        aside(f"{type(error).__name__}: {error}", typer.colors.YELLOW, logging.WARNING)
    settings = installation.settings
    run_server(
        Readings(
            lambda: read_figures(installation, waiting_runs),
            settings.metrics_kept_seconds,
            settings.metrics_wait_seconds,
        ),
        host,
        port,
    )


def run_server(read: Callable[[], Figures], host: str, port: int) -> None:
    """Serve figures until a signal asks to stop.

    Raises:
        ConfigurationError: nothing can listen there.
    """
    from pipeline.monitoring.metrics.server import served

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with served(read, host, port) as address:
        typer.echo(json.dumps({"address": address}))
        stop.wait()
