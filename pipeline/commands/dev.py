"""`pipeline dev`: the Dagster UI with its daemon."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.sampling import add_sample
from pipeline.commands.shared import only_lines, prepared
from pipeline.errors import ConfigurationError

WORKSPACE = Path(__file__).parent.parent.parent / "workspace.yaml"


def dev(
    port: Annotated[int, typer.Option(help="Port of the UI.", min=0, max=65535)] = 3000,
    host: Annotated[str, typer.Option(help="Address that the UI listens on.")] = "127.0.0.1",
    sample: Annotated[
        bool, typer.Option("--sample", help="Where there is no tenant yet, add the sample ones.")
    ] = False,
) -> None:
    """Open the Dagster UI on this installation, with schedules and sensors running. Ctrl-C ends it.

    It needs nobody: tenants are trained as their sales come in, and forecast for every day.

    Example: pipeline dev --port 3001
    """
    installation = prepared()
    _check_free(host, port)
    from pipeline.commands.dagster_runs import register_tenants
    from pipeline.tenants import tenant_ids

    if sample and not tenant_ids(installation.home):
        add_sample(installation)

    known = register_tenants(installation)
    typer.echo(f"{len(known)} tenants in {installation.home.root}; the UI will be at http://{host}:{port}")
    where = ["-w", str(WORKSPACE)] if WORKSPACE.exists() else ["-m", "pipeline.definitions"]
    form = ["--log-format", "json"] if only_lines() else []
    command = [sys.executable, "-m", "dagster", "dev", *where, "--host", host, "--port", str(port), *form]
    # A script's background jobs are started with SIGINT ignored; Dagster ends its own processes with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter, arguments checked by their types


def _check_free(host: str, port: int) -> None:
    """Refuse a place where the UI could not listen: its daemon would start all the same, the second of one home."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # As the server does: one just ended is free.
            tried.bind(address)
    except OSError as error:
        raise ConfigurationError(f"nothing can listen at {host}:{port}: {error}; choose another with --port") from error
