"""What every test begins with: a process in which nobody has configured logging yet."""

from __future__ import annotations

import logging
import sys

import pytest
from hypothesis import HealthCheck, settings

from pipeline import logs

# How fast examples are drawn says how busy the machine is, and nothing of what must hold.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


@pytest.fixture(autouse=True)
def _nothing_logged_yet() -> None:
    """Undo what a command or a run, in this process by an earlier test, has configured for all loggers and bound."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if one.name == logs.HANDLER]:
        root.removeHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(logs.OURS).setLevel(logging.NOTSET)
    logging.captureWarnings(False)
    sys.excepthook = sys.__excepthook__
    logs._context.set({})
