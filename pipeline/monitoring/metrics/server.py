"""`/metrics` over HTTP: one reading at a time, kept for a few seconds, and never waited for for ever."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from prometheus_client import start_http_server

from pipeline.errors import ConfigurationError
from pipeline.monitoring.metrics.catalogue import Figures
from pipeline.monitoring.metrics.collector import registry_of

AWAY: Figures = {"pipeline_registry_up": {(): 0}}
"""What is told where nothing answers in time."""
logger = logging.getLogger(__name__)


class Readings:
    """Hands out figures: the last ones while they are young, else new ones, read once for all who ask meanwhile.

    Args:
        read: reads them; what it raises is raised to everybody who waits for it.
        kept: seconds in which figures are young.
        wait: seconds after which who waits is told that the registry is away; the reading goes on, and no other begins.
    """

    def __init__(self, read: Callable[[], Figures], kept: float, wait: float) -> None:
        self._read, self._kept, self._wait = read, kept, wait
        self._lock = threading.Lock()
        self._last: tuple[float, Figures] | None = None
        self._running: Future[Figures] | None = None

    def __call__(self) -> Figures:
        """Return the figures."""
        with self._lock:
            if self._last is not None and time.monotonic() - self._last[0] < self._kept:
                return self._last[1]
            if self._running is None:
                self._running = Future()
                # A thread that keeps no process alive: it may hang in a connection for minutes.
                threading.Thread(target=self._work, args=(self._running,), daemon=True).start()
            running = self._running
        try:
            return running.result(self._wait)
        except TimeoutError:
            logger.warning("no figures within %g s: the registry's database does not answer", self._wait)
            return AWAY

    def _work(self, future: Future[Figures]) -> None:
        try:
            found = self._read()
        except BaseException as error:  # whoever waits is told
            with self._lock:
                self._running = None
            future.set_exception(error)
            return
        with self._lock:
            self._running, self._last = None, (time.monotonic(), found)
        future.set_result(found)


@contextmanager
def served(read: Callable[[], Figures], host: str, port: int) -> Iterator[str]:
    """Serve figures in the block, and give the address.

    Args:
        read: gives the figures of a scrape.
        host: address to listen at.
        port: where; 0: any that is free.

    Raises:
        ConfigurationError: nothing can listen there.
    """
    try:
        server, thread = start_http_server(port, host, registry_of(read))
    except (OSError, OverflowError) as error:
        raise ConfigurationError(f"nothing can listen at {host}:{port}: {error}") from error
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
