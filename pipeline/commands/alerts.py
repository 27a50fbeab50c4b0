"""`pipeline alerts`: what needs a person now, and closing what does no longer."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.shared import AsJson, prepared, show
from pipeline.who import user

app = typer.Typer(help="See what needs a person, and close it.", no_args_is_help=True)


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Those that have ended, too.")] = False,
    limit: Annotated[int, typer.Option("--limit", help="The last so many.", min=1)] = 50,
    as_json: AsJson = False,
) -> None:
    """List what needs a person, the last first: what is wrong, since when, how often it was seen, what helps.

    Example: pipeline alerts list --tenant my-bakery
    """
    found = prepared().registry.alerts(tenant, ended=ended, limit=limit)
    if as_json:
        show([vars(alert) for alert in found], as_json, "Alerts")
        return
    rows = [
        {
            "no.": alert.id,
            "tenant": alert.tenant_id or "(all)",
            "alert": alert.kind,
            "severity": alert.severity,
            "since": f"{alert.raised_at:%Y-%m-%d %H:%M}",
            "times": alert.times,
            "message": f"{alert.subject}: {alert.message}",
            "what to do": alert.outcome if alert.ended_at else alert.action,
        }
        for alert in found
    ]
    show(
        rows,
        as_json,
        "Alerts (times are UTC)",
        right=("no.", "times"),
        empty="no alert" if ended else "no alert is open",
        spare=("times", "since"),
        whole=("no.", "severity"),
    )


@app.command("close")
def close(
    number: Annotated[int, typer.Argument(help="Number, as `pipeline alerts list` shows it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")],
) -> None:
    """End an alert by hand. One whose job succeeds ends by itself; one that fails once more is raised anew.

    Example: pipeline alerts close 7 --reason "the shop has closed for good"
    """
    was = prepared().registry.close_alert(number, actor=user(), reason=reason)
    typer.echo(f"alert {number} is closed: {was.kind} of {was.subject}, seen {was.times} times")
