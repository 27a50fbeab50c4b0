"""What the processes of a race for the trials' database do."""

from __future__ import annotations

import time
from pathlib import Path

from pipeline.engine.tuning import Tuned
from pipeline.training.fitting import SearchTask, search_class


def searching(given: tuple[SearchTask, Path, int]) -> Tuned:
    """Search at the same moment as the others."""
    task, barrier, runners = given
    (barrier / str(task.demand_class)).touch()
    while len(list(barrier.iterdir())) < runners:
        time.sleep(0.001)
    return search_class(task)
