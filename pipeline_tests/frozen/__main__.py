"""`python -m pipeline_tests.frozen FOLDER`: train a small shop, put its models in use, forecast, and keep it all."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from contracts import Severity
from pipeline.events.messages import read_message
from pipeline.forecasting.ladder import Ladder
from pipeline.registry import Registry
from pipeline.registry.alerts import Subject, Trouble
from pipeline.tables import write_table
from pipeline_tests.training.shop import Shop, sales_of

NEEDED = ("calendar.parquet", "extraction_report.json", "forecasts.parquet", "sales.parquet")


def main() -> None:
    """Make the installation and copy what later releases have to read."""
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="frozen-") as root:
        shop = Shop(Path(root))
        data = shop.sell(sales_of())
        shop.train()
        registry, opened = shop.installation.registry, shop.installation
        for product, record in registry.latest("bakery").items():
            registry.promote("bakery", product, record.version, reason="frozen", actor="tests", figures={"mae": 1.0})
        forecast = Ladder(data, registry, opened.store, opened.settings, 0).climb(None)
        write_table(opened.home.table("bakery", "forecasts"), forecast)
        speak(registry)
        shop.close()
        with sqlite3.connect(opened.home.registry_file) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")  # One file, without its log.
        copy(opened.home.root, folder)


def speak(registry: Registry) -> None:
    """Leave what passes between systems: messages that wait and one whose run was asked for, an alert, a breaker."""
    asked, urgent = {"products": "all", "event_id": "spring"}, {"products": ["a"], "priority": "urgent"}
    for fields in (asked, urgent):
        text = json.dumps({"event_type": "training_trigger", "tenant_id": "bakery", **fields})
        registry.take_in(read_message(text.encode()))
    registry.claim_request(registry.waiting_messages()[0], dt.timedelta(minutes=5))
    registry.note_trouble(
        Subject("run_failed", "bakery", "daily_forecast"),
        Trouble(Severity.HIGH, "the disk is full", "Make room."),
        dt.datetime.now(dt.UTC),
    )
    registry.count_failure("sales:bakery", "it did not answer")


def copy(home: Path, folder: Path) -> None:
    """Copy registry, models and the bakery's tables."""
    folder.mkdir(parents=True)
    shutil.copy(home / "registry.db", folder)
    shutil.copytree(home / "models", folder / "models")
    for path in home.rglob("bakery*"):
        if path.is_file():
            target = folder / path.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    tables = next(path for path in home.rglob("sales.parquet")).parent
    for name in NEEDED:
        target = folder / tables.relative_to(home) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tables / name, target)


if __name__ == "__main__":
    main()
