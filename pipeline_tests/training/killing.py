"""`python -m pipeline_tests.training.killing`: trains shops in children that kill themselves at a chosen step.

A line of JSON on stdin asks for one child, a line on stdout says what it came to. Every child is forked from this
process, which has trained once and imported everything by then: so that a kill costs a training and no start-up.

A step is whatever changes the disk under the shop's folder, or is about to be committed to the registry.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, select

from pipeline.forecasting.ladder import Ladder
from pipeline.registry.tables import Artefact, Base, TrainedModel
from pipeline_tests.training.shop import Inline, Shop, quick_settings, sales_of

TENANT = "bakery"
TINY = {
    "without_families": "lightgbm,lightgbm_direct,prophet,theta,tsb",
    **{f"tuning_trials_{size}": 1 for size in ("high", "medium", "low", "intermittent")},
}
"""Two families, one of them shared, and a search of one trial: every kind of step, in a second."""
COUNTED = ("trained_models", "performance_metrics", "artefacts", "tenant_models", "promotions", "audit")
CHANGES = {"os.rename": "rename", "os.mkdir": "mkdir", "os.utime": "touch", "os.remove": "remove"}
FOLDERS = ("registries", "evaluated", "access", "locks", "models")


def open_shop(root: Path, url: str | None) -> Shop:
    """Return the shop in a folder, its registry in a database of its own."""
    shop = Shop(root)
    shop.installation = Inline(quick_settings(root / "home", database_url=url, **TINY))
    return shop


def made_shop(root: Path) -> Shop:
    """Make a shop with a product that earns promotion and one that does not."""
    shop = open_shop(root, None)
    shop.sell({name: units for name, units in sales_of().items() if name in {"baguette", "rye"}})
    return shop


def watch(root: Path, step: Callable[[str], None]) -> None:
    """Call `step` with a name before each step that this process takes, from now on."""
    top = str(root)

    def place(path: object) -> str | None:
        text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if not text.startswith(top):
            return None
        return next((name for name in FOLDERS if f"/{name}" in text.removeprefix(top)), "other")

    def audited(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "open":
            changes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            verb = "append to" if arguments[2] & os.O_APPEND else "open"
        else:
            verb = CHANGES.get(name, "")
            changes = bool(verb)
        made_before = name == "os.mkdir" and Path(arguments[0]).exists()
        if changes and not made_before and (where := place(arguments[0])):
            step(f"{verb} {where}")

    flush = os.fsync

    def flushed(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if (where := place(path)) and path.is_file():
            whole = path.read_bytes()
            os.truncate(path, len(whole) // 2)
            step(f"tear {where}")
            os.pwrite(descriptor, whole, 0)
            step(f"flush {where}")
        elif where:
            step(f"flush folder of {where}")
        flush(descriptor)

    sys.addaudithook(audited)
    os.fsync = flushed
    for name, listener in commit_listeners(step).items():
        event.listen(Engine, name, listener)


def commit_listeners(step: Callable[[str], None]) -> dict[str, Callable[..., None]]:
    """Return what SQLAlchemy has to call, by event, so that `step` hears of each commit before it is made."""
    written: list[str] = []

    def before(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        verb, *words = statement.split()
        if verb in {"INSERT", "UPDATE", "DELETE"}:
            written.append(f"{verb} {words[0] if verb == 'UPDATE' else words[1]}")

    def committed(_connection: object) -> None:
        told = f"commit {' '.join(dict.fromkeys(written)) or 'nothing'}"
        written.clear()
        step(told)

    return {"before_cursor_execute": before, "commit": committed}


def train(shop: Shop, at: int | None) -> list[str]:
    """Train and decide; kill this process before step `at`, counted from 1. Return the steps."""
    steps: list[str] = []

    def step(name: str) -> None:
        steps.append(name)
        if len(steps) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    watch(shop.root, step)
    shop.train()
    shop.promote()
    return steps


def state_of(shop: Shop) -> dict[str, Any]:
    """What must be the same whether a training was killed or not: all but versions, times and what it cost."""
    opened = shop.installation
    registry = opened.registry
    files = select(TrainedModel.product_id, Artefact.family, Artefact.name, Artefact.sha256)
    with registry._reading() as connection:
        rows = {name: len(connection.execute(Base.metadata.tables[name].select()).all()) for name in COUNTED}
        stored = sorted(map(list, connection.execute(files.join(TrainedModel, TrainedModel.id == Artefact.model_id))))
    made = Ladder(opened.data(TENANT), registry, opened.store, opened.settings, 0).climb()
    return {
        "rows": rows,
        "files": stored,
        "trained": sorted(row.product_id for row in registry.ledger(TENANT) if row.outcome == "trained"),
        "decided": sorted((one.product_id, one.decision, one.reason) for one in registry.promotions(TENANT)),
        "champions": sorted(registry.champions(TENANT)),
        "forecasts": made.drop(columns=["issued_at", "model_version"]).astype(str).to_dict("records"),
        "unfinished": [job.id for job in registry.jobs(TENANT) if not job.status.final],
    }


def child(order: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked for, in a child."""
    shop = open_shop(Path(order["root"]), order["url"])
    steps = train(shop, order["at"])
    return {"steps": steps, "state": state_of(shop)}


def main() -> None:
    """Fork a child for each line of stdin, and tell how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        shop = made_shop(Path(folder) / "shop")
        shop.train()
        state_of(shop)
        shop.close()
    gc.freeze()
    for line in sys.stdin:
        reading, writing = os.pipe()
        if not (pid := os.fork()):
            os.close(reading)
            with os.fdopen(writing, "w") as told:
                json.dump(child(json.loads(line)), told)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as told:
            text = told.read()
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status), "told": json.loads(text or "null")}), flush=True)


if __name__ == "__main__":
    main()
