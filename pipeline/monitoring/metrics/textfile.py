"""The figures in a file, for installations that no scraper reaches while nothing runs."""

from __future__ import annotations

from pipeline.home import write_atomically
from pipeline.installation import Installation
from pipeline.monitoring.metrics.collector import as_text
from pipeline.monitoring.metrics.read import Queue, read_figures


def write_metrics(opened: Installation, queue: Queue) -> None:
    """Write the figures of now, whole or not at all, for node_exporter's textfile collector.

    Raises:
        StorageError: the file cannot be written.
    """
    write_atomically(opened.home.metrics_file, as_text(read_figures(opened, queue)), shared=True)
