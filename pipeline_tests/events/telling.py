"""Events to send, made as trainings make them; and what a sink has of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contracts import Outcome
from pipeline.installation import Installation
from pipeline.registry import Registry
from pipeline_tests.registry.builders import ledger_row, start


def fail(registry: Registry, *products: str, tenant_id: str = "bakery") -> list[str]:
    """Let products of a training fail, and return the ids of the events in their order."""
    job_id = start(registry, tenant_id)
    for product in products:
        registry.record(ledger_row(job_id, product, tenant_id, outcome=Outcome.FAILED, version=None))
    last = registry.events(tenant_id, limit=len(products))
    return [event.event_id for event in last[::-1]]


def lines(installation: Installation) -> list[dict[str, Any]]:
    """The whole lines of the event files, in their order."""
    found = []
    for path in sorted(Path(installation.home.events).glob("events-*.ndjson")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue  # a torn line
    return found


def first_of_each(ids: list[str]) -> list[str]:
    """Event ids with the repeats dropped, as a consumer does."""
    return list(dict.fromkeys(ids))
