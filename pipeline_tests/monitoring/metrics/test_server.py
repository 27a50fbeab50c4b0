"""`/metrics`: one reading at a time, kept for a while, and an answer even where nothing answers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from pipeline.errors import ConfigurationError
from pipeline.monitoring.metrics.catalogue import Figures
from pipeline.monitoring.metrics.demo import demo_figures
from pipeline.monitoring.metrics.server import AWAY, Readings, served
from pipeline_tests.monitoring.metrics.scraped import names, parsed, value


class Counting:
    """Reads figures, slowly where asked, and counts how often."""

    def __init__(self, seconds: float = 0) -> None:
        self.times, self.seconds = 0, seconds

    def __call__(self) -> Figures:
        """Read once more."""
        self.times += 1
        time.sleep(self.seconds)
        return {"ml_prediction": {(): float(self.times)}}


def test_figures_are_kept_for_a_while() -> None:
    """Within it nothing is read again; after it everything is."""
    read = Counting()
    readings = Readings(read, kept=0.5, wait=5)
    assert readings() == readings() == {"ml_prediction": {(): 1}}
    time.sleep(0.6)
    assert readings() == {"ml_prediction": {(): 2}}


def test_all_who_ask_at_once_share_a_reading() -> None:
    """Eight scrapes at once are one look into the registry."""
    read = Counting(0.3)
    readings = Readings(read, kept=5, wait=5)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: readings(), range(8)))
    assert found == [{"ml_prediction": {(): 1}}] * 8
    assert read.times == 1


def test_what_hangs_is_not_waited_for() -> None:
    """The registry counts as away; while it hangs no further look begins, and when it answers figures are back."""
    free = threading.Event()
    begun: list[int] = []

    def read() -> Figures:
        begun.append(1)
        free.wait()
        return {"pipeline_registry_up": {(): 1}}

    readings = Readings(read, kept=5, wait=0.2)
    at = time.monotonic()
    assert [readings() for _ in range(3)] == [AWAY] * 3
    assert time.monotonic() - at < 5
    assert len(begun) == 1
    free.set()
    time.sleep(0.2)
    assert readings() == {"pipeline_registry_up": {(): 1}}


def test_a_fault_of_ours_is_a_5xx_and_no_figure(capfd: pytest.CaptureFixture[str]) -> None:
    """The next scrape tries again."""
    answers = iter([ValueError("odd"), demo_figures()])

    def read() -> Figures:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with served(Readings(read, kept=0, wait=5), "127.0.0.1", 0) as address:
        assert httpx.get(address).status_code == 500
        assert httpx.get(address).status_code == 200
    assert "ValueError: odd" in capfd.readouterr().err


def test_scrapers_get_the_format_that_they_ask_for() -> None:
    """Text, or OpenMetrics; only some metrics where names are given; nothing of this process itself."""
    with served(demo_figures, "127.0.0.1", 0) as address:
        plain = httpx.get(address)
        assert plain.headers["content-type"].startswith("text/plain")
        found = parsed(plain.text)
        assert value(found, "pipeline_demo") == 1
        assert not [name for name in names(found) if name.startswith(("python_", "process_"))]
        strict = httpx.get(address, headers={"accept": "application/openmetrics-text; version=1.0.0"})
        assert strict.headers["content-type"].startswith("application/openmetrics-text")
        assert strict.text.endswith("# EOF\n")
        some = httpx.get(address, params={"name[]": "model_mae_bucket"})
        assert names(parsed(some.text)) == {"model_mae_bucket"}
        assert httpx.post(address).status_code == 405


def test_a_place_that_is_taken_is_said() -> None:
    """It names host and port."""
    with served(demo_figures, "127.0.0.1", 0) as address:
        port = int(address.rpartition(":")[2].partition("/")[0])
        with (
            pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1:{port}: .*in use"),
            served(demo_figures, "127.0.0.1", port),
        ):
            pass
    with served(demo_figures, "127.0.0.1", port):  # It is free again.
        pass
