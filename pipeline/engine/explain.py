"""Why a family forecasts what it does, whether it can tell or not."""

from __future__ import annotations

import logging

from contracts import PartKind
from pipeline.engine.families.base import Explains, Fitted
from pipeline.engine.faults import borne
from pipeline.engine.panel import Outlook, Panel
from pipeline.engine.parts import Part, Parts

_LOG = logging.getLogger(__name__)


def explain(family: str, fitted: Fitted, history: Panel, outlook: Outlook, horizon: int) -> Parts:
    """Return the parts of a fitted family's forecast, each (n, horizon) units, together what it predicts.

    A family that cannot tell why, or fails to, is one part of its own.

    Args:
        family: its name.
        fitted: what is to be explained.
        history: the n products up to the origin.
        outlook: must cover the history and the horizon.
        horizon: days ahead.
    """
    if isinstance(fitted, Explains):
        try:
            return fitted.explain(history, outlook, horizon)
        except borne(family) as error:  # A forecast that cannot be explained is still a forecast.
            whose = f"{history.products[0]!r} and {len(history.products) - 1} more"
            _LOG.warning("%s cannot tell why it forecasts what it does for %s: %s", family, whose, error)
    return {Part(PartKind.FAMILY, family): fitted.predict(history, outlook, horizon)}
