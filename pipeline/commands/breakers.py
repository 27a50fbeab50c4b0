"""`pipeline breakers`: which services are left alone, since when, and letting calls through again."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.shared import AsJson, prepared, show
from pipeline.who import user

app = typer.Typer(help="Look at the circuit breakers of services outside, and reset them.", no_args_is_help=True)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the services that have failed: whether they are left alone, since when, and what failed last.

    Example: pipeline breakers list
    """
    from pipeline.resilience import seconds_of, tried_again_at

    installation = prepared()
    rows = [
        {
            "name": one.name,
            "state": one.state,
            "failures": one.failures,
            "open since": one.opened_at,
            "tried again at": tried_again_at(one, seconds_of(one.name, installation.settings)),
            "last error": one.last_error,
        }
        for one in installation.registry.breakers()
    ]
    if not as_json:
        for row in rows:
            row |= {name: f"{row[name]:%Y-%m-%d %H:%M:%S}" for name in ("open since", "tried again at") if row[name]}
    show(
        rows,
        as_json,
        "Circuit breakers (times are UTC)",
        right=("failures",),
        empty="no service has failed yet",
        spare=("failures", "tried again at"),
        whole=("name", "open since", "tried again at"),
    )


@app.command("reset")
def reset(
    name: Annotated[str, typer.Argument(help="Name, as `pipeline breakers list` shows it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")],
) -> None:
    """Let calls to a service through again at once, and begin to count its failures anew.

    Example: pipeline breakers reset sales:my-bakery --reason "the till's server is mended"
    """
    from pipeline.resilience import tenant_of

    registry = prepared().registry
    was = registry.reset_breaker(name, tenant_id=tenant_of(name) or "", actor=user(), reason=reason)
    typer.echo(f"{name} was {was.state} after {was.failures} failures; it is closed")
