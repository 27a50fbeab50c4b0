"""The queue of runs: what orders it, what may run at once, and the file that tells Dagster so.

The queue is Dagster's own. A run's tags say what it is: `dagster/priority` orders the queue, first come first served
among equals; `pipeline/work` marks trainings, of which MAX_CONCURRENT_JOBS run at once; `pipeline/lane` tells low
trainings from all others, which leave one place free for them where there are several; of a
`pipeline/batch` one runs at a time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from contracts import Priority
from pipeline.settings import Settings

PRIORITY_TAG, WORK_TAG, LANE_TAG = "dagster/priority", "pipeline/work", "pipeline/lane"
BATCH_TAG = "pipeline/batch"
TRAINING, LOW = "training", "low"
GRACE_SECONDS = 300
"""Between the trainer's own time limit, which keeps what is done, and Dagster's, which ends the run.

A run that waited for its sales, OUTAGE_WAIT_SECONDS at most, has these besides.
"""
HEADER = "# Made from the settings by the command line at each start. For rules of your own set DAGSTER_HOME.\n"


NUMBERS = {Priority.URGENT: 20, Priority.HIGH: 10, Priority.NORMAL: 0, Priority.LOW: -10}


def priority_tags(priority: Priority) -> dict[str, str]:
    """Return the tags by which a training of this priority waits in the queue."""
    lane = LOW if priority is Priority.LOW else "upper"
    return {PRIORITY_TAG: str(NUMBERS[priority]), WORK_TAG: TRAINING, LANE_TAG: lane}


def number_of(tags: Mapping[str, str]) -> int:
    """Return the number by which Dagster orders a run: 0 where its tags give none."""
    try:
        return int(tags.get(PRIORITY_TAG, 0))
    except ValueError:
        return 0


def priority_of(tags: Mapping[str, str]) -> Priority:
    """Return the class that a run's number belongs to: the highest whose own number it reaches."""
    number = number_of(tags)
    return next((priority for priority, least in NUMBERS.items() if number >= least), Priority.LOW)


def instance_file(template: str, settings: Settings) -> str:
    """Return dagster.yaml with the limits that the settings ask for.

    Trainings have MAX_CONCURRENT_JOBS places. One more is for everything else, so that a night full of trainings
    delays no forecast. All but low trainings may take one place less than there are, where there are several.
    """
    places = settings.max_concurrent_jobs
    limits = {
        r"max_concurrent_runs": places + 1,
        rf"key: {WORK_TAG}\n.*\n\s*limit": places,
        rf"key: {LANE_TAG}\n.*\n\s*limit": max(places - 1, 1),
        r"max_runtime_seconds": _longest(settings),
    }
    for name, value in limits.items():
        template, found = re.subn(rf"({name}: )\d+", rf"\g<1>{value}", template)
        if found != 1:
            raise ValueError(f"dagster.yaml has {found} places for {name!r}, and needs one")
    return HEADER + template


def _longest(settings: Settings) -> int:
    """Seconds after which Dagster ends a run."""
    return math.ceil(60 * settings.max_training_time_minutes + settings.outage_wait_seconds) + GRACE_SECONDS
