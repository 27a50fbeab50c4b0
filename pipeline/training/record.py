"""What the registry is told of a running job: its progress, its steps, its end."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from contracts import Outcome
from pipeline.errors import RegistryError
from pipeline.installation import Installation
from pipeline.progress import report
from pipeline.registry.failures import CANCELLED
from pipeline.registry.records import Figure, JobStatus
from pipeline.training.trainer import COMPARING, EVALUATING, TRAINING

EVALUATED_SHARE = 1 / 3
SHARE_LEFT = 1 - EVALUATED_SHARE
PLANNING = "planning"
logger = logging.getLogger(__name__)


class Record:
    """A job's row and log; called with (step, done, total) it passes progress on and writes every whole percent."""

    def __init__(self, installation: Installation, tenant_id: str, job_id: str) -> None:
        self._registry, self.tenant_id, self.job_id = installation.registry, tenant_id, job_id
        self._last: tuple[str, int] | None = None
        self._step, self._begun, self._done = PLANNING, time.perf_counter(), 0
        self._ended = False
        self.counts: Counter[str] = Counter()
        self.names: Mapping[str, str] = {}
        """What people call the products, by id."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Take note of how far a step is."""
        report(step, done, total)
        if step != self._step:
            self._end_step()
            self._step, self._begun = step, time.perf_counter()
        self._done = done
        part = done / max(total, 1)
        # Origins are the first third of the work, the products the rest: one figure that never falls.
        shares = {EVALUATING: EVALUATED_SHARE * part, COMPARING: EVALUATED_SHARE}
        percent = int(100 * shares.get(step, EVALUATED_SHARE + SHARE_LEFT * part))
        if (step, percent) != self._last:
            self._last = (step, percent)
            products = done if step == TRAINING else None
            self._registry.update_job(self.job_id, step=step, percentage=percent, products_completed=products)

    def log(self, level: str, step: str, message: str, **details: object) -> None:
        """Add a line to the job's log, and to that of the process; there, what is no fault is told at DEBUG."""
        heard = logging.DEBUG if level == "info" else logging.getLevelNamesMapping()[level.upper()]
        logger.log(heard, "%s: %s", step, message)
        self._registry.log(self.tenant_id, self.job_id, level, step, message, details=details)

    def complete(self, figures: list[Figure]) -> None:
        """Close the job with its tenant's figures."""
        self._end_step()
        self._registry.save_figures(self.tenant_id, self.job_id, figures)
        self._registry.finish_job(self.job_id, JobStatus.COMPLETED, counts=self._counts, names=self.names)
        self._ended = True

    def fail(self, error: BaseException) -> None:
        """Close the job, once: as cancelled where it was asked to stop, by Ctrl-C or in the UI, else as failed."""
        if self._ended:
            return
        self._ended = True
        failed = isinstance(error, Exception)
        status, kind = (JobStatus.FAILED, type(error).__name__) if failed else (JobStatus.CANCELLED, CANCELLED)
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
        # What the job died of may be the database, or another training that took its lock and closed it.
        with suppress(RegistryError):
            self.log("error", self._step, text)
            self._registry.finish_job(self.job_id, status, counts=self._counts, error=text, kind=kind)

    @property
    def _counts(self) -> dict[str, int]:
        return {outcome.value: self.counts[outcome] for outcome in Outcome}

    def _end_step(self) -> None:
        """Log what the step took."""
        if self._step != PLANNING:
            took = 1000 * (time.perf_counter() - self._begun)
            logger.debug("%s: %d done in %.1f s", self._step, self._done, took / 1000)
            self._registry.log(self.tenant_id, self.job_id, "info", self._step, f"{self._done} done", milliseconds=took)
