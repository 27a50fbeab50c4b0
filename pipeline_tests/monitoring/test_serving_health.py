"""Health follows the rules in their order: held against a slow telling of them, and at each threshold."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import DeploymentHealthState, ServingMetricsWindow
from pipeline.monitoring.serving.health import health_of_all
from pipeline.monitoring.serving.windows import _Found
from pipeline.settings import Settings
from pipeline_tests.monitoring.servers import NOON, steady, window

USUAL = Settings(serving_missing_windows=3)


def judged(records: Sequence[dict[str, Any]], now: dt.datetime = NOON) -> list[DeploymentHealthState]:
    """The deployments of some windows, read as from a file."""
    found = _Found()
    for number, record in enumerate(records):
        found.add(ServingMetricsWindow.model_validate_json(json.dumps(record)), "file", number)
    order = sorted(found.kept.values(), key=lambda one: (*one.source[:2], one.start, one.end))
    return health_of_all(order, USUAL, now)


def without(minutes: Sequence[int], length: int = 30, **changes: Any) -> list[dict[str, Any]]:
    """A window a minute but for some, counted back from now."""
    return [window(minute, **changes) for minute in range(length) if minute not in minutes]


RULES: list[tuple[list[dict[str, Any]], str, int, str]] = [
    (steady(30), "healthy", 0, "all checks passed"),
    ([window(10)], "healthy", 0, "all checks passed"),
    ([window(10.02)], "unhealthy", 0, "the latest window ended 2026-03-02 11:49:58 UTC, 601.2 s ago; at most 600 s"),
    (steady(5, request_count=0), "unhealthy", 0, "no request came in 5 windows since 2026-03-02 11:55:00 UTC"),
    ([window(0, request_count=0, failure_count=0), window(1)], "healthy", 0, "all checks passed"),
    (without([5, 9, 14]), "healthy", 3, "all checks passed"),
    (without([5, 9, 14, 20]), "degraded", 4, "4 windows are missing, at most 3; the longest gap, 120 s, is that of"),
    (without([5, 6, 7]), "healthy", 3, "all checks passed"),
    ([window(0), window(5.5), window(6.5)], "degraded", 4, "4 windows are missing, at most 3; the longest gap, 330 s"),
    (steady(3, latency_p95_ms=500, latency_p99_ms=1000), "healthy", 0, "all checks passed"),
    (steady(3, latency_p95_ms=500.5), "degraded", 0, "the latest p95 of predict is 500.5 ms, at most 500 ms"),
    (steady(3, latency_p99_ms=1001), "degraded", 0, "the latest p99 of predict is 1,001 ms, at most 1,000 ms"),
    ([window(0), window(1, latency_p95_ms=900, failure_count=50)], "healthy", 0, "all checks passed"),
    (steady(3, failure_count=5, rejected_count=5), "healthy", 0, "all checks passed"),
    (steady(3, failure_count=6), "degraded", 0, "the latest failure rate of predict is 6 % (6 of 100 requests)"),
    (steady(3, rejected_count=6), "degraded", 0, "the latest rejection rate of predict is 6 % (6 of 100 requests)"),
    (without([5, 9, 14, 20], latency_p95_ms=900, failure_count=50), "degraded", 4, "4 windows are missing"),
    (steady(3, latency_p95_ms=900, failure_count=50), "degraded", 0, "the latest p95"),
    ([window(11, latency_p95_ms=900)], "unhealthy", 0, "the latest window ended"),
]  # fmt: skip


@pytest.mark.parametrize(("records", "status", "missing", "words"), RULES, ids=range(len(RULES)))
def test_the_first_rule_that_holds_decides(
    records: list[dict[str, Any]], status: str, missing: int, words: str
) -> None:
    """At its threshold a deployment is still well, beyond it the rule gives status and figures; earlier rules first."""
    (state,) = judged(records)
    assert (state.status.value, state.missing_window_count) == (status, missing)
    assert state.detail.startswith(words)


def test_a_long_gap_alone_degrades() -> None:
    """Where more windows may be missing, the longest gap still has its own limit."""
    patient = Settings(serving_missing_windows=100)
    for minutes, status in ((5, "healthy"), (5.02, "degraded")):
        found = _Found()
        for record in (window(0), window(minutes)):
            found.add(ServingMetricsWindow.model_validate_json(json.dumps(record)), "file", 1)
        order = sorted(found.kept.values(), key=lambda one: one.start)
        (state,) = health_of_all(order, patient, NOON)
        assert state.status.value == status
    assert state.detail.startswith("the longest gap, 301.2 s, is that of predict from 2026-03-02 11:53:58")


def test_endpoints_are_no_gaps_of_each_other() -> None:
    """Two endpoints that report in turn, each once a minute, miss nothing; nor do they fill each other's gaps."""
    half = [window(minute + 0.5, endpoint_name="batch") for minute in range(20)]
    assert judged([*steady(20), *half])[0].missing_window_count == 0
    (state,) = judged([*without([5, 6, 7, 8], 20), *half])
    assert (state.status.value, state.missing_window_count) == ("degraded", 4)


def test_an_endpoint_that_falls_silent_is_a_gap() -> None:
    """While another endpoint of the deployment goes on, the silent one's missing windows are counted up to its last."""
    (state,) = judged([*steady(20), *(window(minute, endpoint_name="batch") for minute in range(8, 20))])
    assert (state.status.value, state.missing_window_count, state.evaluated_windows) == ("degraded", 7, 32)
    assert "is that of batch" in state.detail


def test_the_worst_endpoint_is_told() -> None:
    """With several latest windows of one end, the slowest and the most failing endpoint decide, and are named."""
    (state,) = judged([window(0), window(0, endpoint_name="batch", latency_p95_ms=800)])
    assert state.detail.startswith("the latest p95 of batch is 800 ms")
    (state,) = judged([window(0, endpoint_name="zeta"), window(0, endpoint_name="batch", failure_count=9)])
    assert state.detail.startswith("the latest failure rate of batch is 9 %")


def test_the_state_names_what_serves_now() -> None:
    """Model, bundle and data set are those of the latest window, after a change of version as well."""
    (state,) = judged([window(1, model_version="1"), window(0, model_version="2", bundle_id="b2")])
    assert (state.model_version, state.bundle_id, state.latest_window_end) == ("2", "b2", NOON)


def told_slowly(records: Sequence[dict[str, Any]], now: dt.datetime) -> tuple[str, int]:
    """Status and missing windows of one deployment, straight from the words of the rules."""
    read = [ServingMetricsWindow.model_validate_json(json.dumps(record)) for record in records]
    last_start = max(one.window_start for one in read)
    names = {one.endpoint_name for one in read}
    missing, longest = 0, 0.0
    for name in names:
        starts = sorted({one.window_start for one in read if one.endpoint_name == name})
        if starts[-1] != last_start:
            starts.append(last_start)
        for i in range(1, len(starts)):
            gap = (starts[i] - starts[i - 1]).total_seconds()
            if gap >= 120:
                missing += max(int(gap // 60) - 1, 1)
                longest = max(longest, gap)
    age = (now - max(one.window_end for one in read)).total_seconds()
    if age > 600 or sum(one.request_count for one in read) == 0:
        return "unhealthy", missing
    if missing > 3 or longest > 300:
        return "degraded", missing
    for name in names:
        own = [one for one in read if one.endpoint_name == name]
        end = max(one.window_end for one in own)
        late = max((one for one in own if one.window_end == end), key=lambda one: one.window_start)
        if late.latency_p95_ms > 500 or late.latency_p99_ms > 1000:
            return "degraded", missing
        if late.request_count and max(late.failure_count, late.rejected_count) / late.request_count > 0.05:
            return "degraded", missing
    return "healthy", missing


RECORD = st.builds(
    lambda place, seconds, endpoint, requests, failed, p95: (place, seconds, endpoint, requests, failed, p95),
    st.integers(0, 60), st.sampled_from([60, 60, 60, 30, 120]), st.sampled_from(["a", "b"]),
    st.sampled_from([0, 100, 100]), st.sampled_from([0, 5, 6]), st.sampled_from([100, 500, 501]),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(RECORD, min_size=1, max_size=40, unique_by=lambda r: r[:3]), st.integers(0, 24))
def test_the_rules_are_those_told_slowly(records: list[tuple[Any, ...]], later: int) -> None:
    """On random windows of two endpoints, at random moments, status and missing windows are those of the slow rule."""
    read = [
        window(place / 2, seconds=seconds, endpoint_name=endpoint, request_count=requests, failure_count=failed,
               latency_p95_ms=p95)
        for place, seconds, endpoint, requests, failed, p95 in records
    ]  # fmt: skip
    now = NOON + dt.timedelta(seconds=30 * later)
    (state,) = judged(read, now)
    assert (state.status.value, state.missing_window_count) == told_slowly(read, now)
    assert (state.detail == "all checks passed") is (state.status.value == "healthy")
