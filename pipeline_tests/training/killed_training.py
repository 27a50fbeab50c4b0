"""Trains the shop in the given folder with a worker process, and prints each product as it is done with."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline_tests.training.shop import Shop


def main() -> None:
    """Train until the end, or until somebody ends this process."""
    shop = Shop(Path(sys.argv[1]))
    with shop.job() as job:
        job.trainer.workers = 1
        for done in job.train():
            print(done.ledger.product_id, done.ledger.outcome, flush=True)


if __name__ == "__main__":
    main()
