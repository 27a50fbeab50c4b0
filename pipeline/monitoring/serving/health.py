"""How deployments are: the first rule that holds gives the status and says why."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from contracts import DeploymentHealthState, HealthStatus
from pipeline.monitoring.serving.windows import Window
from pipeline.settings import Settings

WELL = "all checks passed"


class Gap(NamedTuple):
    """A time in which an endpoint reported less often than expected, from one window's start to the next one's."""

    endpoint: str
    since: dt.datetime
    until: dt.datetime
    missing: int
    """Windows that should have come."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.until - self.since).total_seconds()


def health_of_all(windows: Iterable[Window], settings: Settings, now: dt.datetime) -> list[DeploymentHealthState]:
    """Return how each deployment is, in order of their ids.

    Args:
        windows: each once, in order of deployment, endpoint, start and end.
        settings: the thresholds.
        now: the moment at which they are judged.
    """
    return [health_of(list(own), settings, now) for _, own in groupby(windows, lambda one: one.source.deployment_id)]


def health_of(windows: Sequence[Window], settings: Settings, now: dt.datetime) -> DeploymentHealthState:
    """Return how one deployment is, by its windows in order of endpoint, start and end; there must be one."""
    endpoints = [list(own) for _, own in groupby(windows, lambda one: one.source.endpoint_name)]
    gaps = list(gaps_of(endpoints, dt.timedelta(seconds=settings.serving_expected_seconds)))
    missing = sum(gap.missing for gap in gaps)
    latest = max(windows, key=lambda one: (one.end, one.start, one.heartbeat, one.source.endpoint_name))
    of_endpoints = [max(own, key=lambda one: (one.end, one.start)) for own in endpoints]
    status, detail = HealthStatus.HEALTHY, WELL
    if words := next(_unhealthy(windows, latest, settings, now), None):
        status, detail = HealthStatus.UNHEALTHY, words
    elif words := next(_degraded(gaps, missing, of_endpoints, settings), None):
        status, detail = HealthStatus.DEGRADED, words
    source = latest.source
    return DeploymentHealthState(
        deployment_id=source.deployment_id,
        model_name=source.model_name,
        model_version=source.model_version,
        bundle_id=source.bundle_id,
        input_dataset_name=source.input_dataset_name,
        input_dataset_version=source.input_dataset_version,
        status=status,
        evaluated_windows=len(windows),
        latest_window_end=latest.end,
        missing_window_count=missing,
        detail=detail,
    )


def gaps_of(endpoints: Sequence[Sequence[Window]], expected: dt.timedelta) -> Iterator[Gap]:
    """Yield the gaps of each endpoint.

    A gap is the time from the start of a window to the start of the next one of the same endpoint, and counts from
    twice the expected time on; after an endpoint's last window it ends at the last start of any endpoint, so that one
    that has fallen silent while others go on is seen.
    """
    last = max(window.start for own in endpoints for window in own)
    for own in endpoints:
        name = own[0].source.endpoint_name
        for since, until in pairwise([*(window.start for window in own), last]):
            if until - since >= 2 * expected:
                yield Gap(name, since, until, max((until - since) // expected - 1, 1))


def silence(latest_end: dt.datetime, settings: Settings, now: dt.datetime) -> str | None:
    """Return in words that the latest window is too old; None where it is not."""
    age = (now - latest_end).total_seconds()
    if age <= settings.serving_stale_seconds:
        return None
    age = math.ceil(round(10 * age, 3)) / 10  # Rounded up: what is too old is never told as what is allowed.
    most = _n(settings.serving_stale_seconds)
    return f"the latest window ended {_moment(latest_end)}, {_n(age)} s ago; at most {most} s"


def _unhealthy(windows: Sequence[Window], latest: Window, settings: Settings, now: dt.datetime) -> Iterator[str]:
    if words := silence(latest.end, settings, now):
        yield words
    if not any(window.requests for window in windows):
        yield f"no request came in {len(windows):,} windows since {_moment(min(one.start for one in windows))}"


def _degraded(gaps: Sequence[Gap], missing: int, latest: Sequence[Window], settings: Settings) -> Iterator[str]:
    """Yield the rules that hold, in their order; of several endpoints the worst is told."""
    longest = max(gaps, key=lambda gap: gap.seconds, default=None)
    if longest and missing > settings.serving_missing_windows:
        yield f"{missing:,} windows are missing, at most {settings.serving_missing_windows:,}; {_longest(longest)}"
    if longest and longest.seconds > settings.serving_longest_gap_seconds:
        yield f"{_longest(longest)}; at most {_n(settings.serving_longest_gap_seconds)} s"
    yield from _slow(latest, settings)
    yield from _failing(latest, settings)


def _slow(latest: Sequence[Window], settings: Settings) -> Iterator[str]:
    p95, p99 = max(latest, key=lambda one: one.p95), max(latest, key=lambda one: one.p99)
    if p95.p95 > settings.serving_p95_ms:
        yield f"the latest p95 of {_endpoint(p95)} is {_n(p95.p95)} ms, at most {_n(settings.serving_p95_ms)} ms"
    if p99.p99 > settings.serving_p99_ms:
        yield f"the latest p99 of {_endpoint(p99)} is {_n(p99.p99)} ms, at most {_n(settings.serving_p99_ms)} ms"


def _failing(latest: Sequence[Window], settings: Settings) -> Iterator[str]:
    asked = [one for one in latest if one.requests]  # Without a request there is no rate.
    failing = max(asked, key=lambda one: one.failures / one.requests, default=None)
    if failing and failing.failures / failing.requests > settings.serving_failure_rate:
        yield _rate("failure", failing, failing.failures, settings.serving_failure_rate)
    rejecting = max(asked, key=lambda one: one.rejected / one.requests, default=None)
    if rejecting and rejecting.rejected / rejecting.requests > settings.serving_rejection_rate:
        yield _rate("rejection", rejecting, rejecting.rejected, settings.serving_rejection_rate)


def _rate(what: str, window: Window, count: int, most: float) -> str:
    return (
        f"the latest {what} rate of {_endpoint(window)} is {_percent(count / window.requests)} "
        f"({count:,} of {window.requests:,} requests), at most {_percent(most)}"
    )


def _longest(gap: Gap) -> str:
    times = f"from {_moment(gap.since)} to {gap.until:%H:%M:%S}"
    return f"the longest gap, {_n(gap.seconds)} s, is that of {gap.endpoint} {times}"


def _endpoint(window: Window) -> str:
    return window.source.endpoint_name


def _moment(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _n(value: float) -> str:
    return f"{round(value, 3):,}".removesuffix(".0")


def _percent(share: float) -> str:
    return f"{share * 100:.4g} %"
