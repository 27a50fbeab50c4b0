"""Findings as causes: what is remembered, what answers them, and what becomes of a broken file."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from contracts import AccuracyRow, Cause, DriftRow
from pipeline.errors import DataError
from pipeline.home import Home
from pipeline.monitoring.causes import causes_found, findings, findings_path, open_findings, remember
from pipeline.monitoring.live import Live
from pipeline.registry import Registry
from pipeline.tables import write_table
from pipeline_tests.engine.builders import demand
from pipeline_tests.monitoring.alive import VERSION, data_of, live_of
from pipeline_tests.monitoring.metrics.scraped import made
from pipeline_tests.registry.builders import manifest, start

NAMES = ("a", "b", "c")
LATER = "20240202_030000"


def stored(home: Home, falling: list[str], drifting: list[str], version: str = VERSION) -> Live:
    """Tables that name some products, and the tenant that they are of."""
    live = live_of(data_of(demand(60, 3), NAMES), 50, {})
    told = {"version": version, "reason": "errors grew", "verdict": "falling"}
    accuracy = pd.DataFrame([told | {"product_id": one} for one in falling], columns=list(AccuracyRow.model_fields))
    moved = {"version": version, "reason": "sells more", "drifting": True}
    drift = pd.DataFrame([moved | {"product_id": one} for one in drifting], columns=list(DriftRow.model_fields))
    write_table(home.table("sol", "forecast_accuracy"), accuracy)
    write_table(home.table("sol", "drift"), drift)
    return live


def registered(home: Home, *products: str, version: str = VERSION) -> Registry:
    """A registry in which these products were trained."""
    registry = made(home.root).registry
    for product in products:
        registry.register(manifest(start(registry, "sol"), "sol", product, version=version))
    return registry


def test_accuracy_comes_before_drift(tmp_path: Path) -> None:
    """Of a product of which both found something its accuracy is the cause; each carries its reason."""
    home = Home(tmp_path)
    live = stored(home, ["a"], ["a", "b"])
    remember(home, live)
    expected = {"a": (Cause.LIVE_ACCURACY, "errors grew"), "b": (Cause.DRIFT, "sells more")}
    assert causes_found(home, "sol", registered(home, *NAMES)) == expected


def test_another_model_answers_a_finding(tmp_path: Path) -> None:
    """A product that was trained since is no longer named; one that has no model any more neither."""
    home = Home(tmp_path)
    found = remember(home, stored(home, [], ["a", "b", "c"]))
    registry = registered(home, "a", "b")
    assert [one.product_id for one in open_findings(found, registry)] == ["a", "b"]
    registry.register(manifest(start(registry, "sol"), "sol", "a", version=LATER))
    assert set(causes_found(home, "sol", registry)) == {"b"}
    assert [one.product_id for one in open_findings(found, registry)] == ["b"]


def test_tables_about_earlier_models_leave_no_finding(tmp_path: Path) -> None:
    """Tables that were written before a training say nothing about the model that it made."""
    home = Home(tmp_path)
    assert remember(home, stored(home, ["a"], ["b"], LATER)).found == ()


def test_findings_of_another_tenant_are_not_believed(tmp_path: Path) -> None:
    """A folder that was copied from another tenant tells nothing of its products to whoever reads it."""
    home = Home(tmp_path)
    remember(home, stored(home, ["a"], []))
    findings_path(home, "mar").parent.mkdir(parents=True)
    findings_path(home, "mar").write_bytes(findings_path(home, "sol").read_bytes())
    with pytest.raises(DataError, match="is of tenant 'sol', not of 'mar'"):
        findings(home, "mar")
    assert causes_found(home, "mar", registered(home, "a")) == {}


def test_what_is_no_file_of_findings_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe in its place, and a file far too large, are told of at once."""
    home = Home(tmp_path)
    path = findings_path(home, "sol")
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(DataError, match="no regular file"):
        findings(home, "sol")
    path.unlink()
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(DataError, match="too many"):
        findings(home, "sol")


def test_nobody_has_looked_yet(tmp_path: Path) -> None:
    """Without a file there are no findings and no causes; without tables there is nothing to remember."""
    home = Home(tmp_path)
    assert findings(home, "sol") is None
    registry = registered(home, "a")
    assert open_findings(None, registry) == []
    assert causes_found(home, "sol", registry) == {}
    assert remember(home, live_of(data_of(demand(60, 3), NAMES), 50, {})).found == ()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"tenant_id": "sol"}', b"\xff\xfe"])
def test_a_broken_file_keeps_nothing_from_being_trained(tmp_path: Path, content: bytes) -> None:
    """It is an error by name for who reads it, and no cause for the plan."""
    home = Home(tmp_path)
    remember(home, stored(home, ["a"], []))
    findings_path(home, "sol").write_bytes(content)
    with pytest.raises(DataError, match=r"sol/findings.json cannot be read as Findings"):
        findings(home, "sol")
    assert causes_found(home, "sol", registered(home, "a")) == {}
