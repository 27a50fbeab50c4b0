"""Figures in the form that Prometheus' client writes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.monitoring.metrics.catalogue import MEASURES, Distribution, Figures, Kind, Measure
from pipeline.registry.measures import LAST, bound_text


class FiguresCollector(Collector):
    """Asks for the figures at each scrape."""

    def __init__(self, read: Callable[[], Figures]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield each metric that is known now."""
        figures = self._read()
        for name, measure in MEASURES.items():
            if name in figures:
                yield _family(measure, figures)

    def describe(self) -> Iterator[Metric]:
        """Yield the names without asking for anything, so that a scraper may pick some."""
        return (_family(measure, {}) for measure in MEASURES.values())


def registry_of(read: Callable[[], Figures]) -> CollectorRegistry:
    """Return a registry with nothing but our own metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FiguresCollector(read))
    return registry


def as_text(figures: Figures) -> bytes:
    """Return figures in Prometheus' text format."""
    return generate_latest(registry_of(lambda: figures))


def _family(measure: Measure, figures: Figures) -> Metric:
    found = figures.get(measure.name, {})
    if measure.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(measure.name, measure.help, labels=measure.labels)
        for labels, value in found.items():
            assert isinstance(value, Distribution)
            histogram.add_metric(labels, buckets=_cumulated(measure, value), sum_value=value.sum)
        return histogram
    kind = CounterMetricFamily if measure.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(measure.name, measure.help, labels=measure.labels)
    for labels, value in found.items():
        assert not isinstance(value, Distribution)
        family.add_metric(labels, value)
    return family


def _cumulated(measure: Measure, value: Distribution) -> list[tuple[str, float]]:
    """How many figures are at most each bound."""
    bounds = [*map(bound_text, measure.bounds), LAST]
    return list(zip(bounds, accumulate(value.buckets.get(bound, 0) for bound in bounds), strict=True))
