"""Seasonal average: the mean of the last four observed same weekdays. The calmer of the two gatekeepers."""

from __future__ import annotations

from pipeline.engine.families.seasonal_naive import SeasonalNaive


class SeasonalAverage(SeasonalNaive):
    """A seasonal naive over four weeks: one odd day counts a quarter."""

    name = "seasonal_average"
    voice = "average"
    weeks = 4
