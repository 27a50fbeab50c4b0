"""`python -m pipeline_tests.registry.holding HOME URL COUNTER TIMES`: take a lock again and again, in a process.

Each time it adds one to the number in a file, in a way that would lose counts if two did so at once. With TIMES 0 it
takes the lock once, says so, and keeps it until it is ended.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pipeline.registry.locks import hold
from pipeline.settings import Settings

NAME = "training bakery"


def main() -> None:
    """Do what the arguments say."""
    home, url, counter, times = Path(sys.argv[1]), sys.argv[2] or None, Path(sys.argv[3]), int(sys.argv[4])
    settings = Settings(pipeline_home=home, database_url=url)
    for _ in range(times):
        with hold(settings, NAME, 60, lambda: None):
            seen = int(counter.read_text())
            time.sleep(0.01)
            counter.write_text(str(seen + 1))
    if not times:
        with hold(settings, NAME, 60, lambda: None):
            print("held", flush=True)
            time.sleep(600)


if __name__ == "__main__":
    main()
