"""Trains the shop in the given folder with a worker process, and prints each product as it is done with."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.training.job import training_job
from pipeline_tests.training.shop import ORDER, Shop


def main() -> None:
    """Train until the end, or until somebody ends this process."""
    shop = Shop(Path(sys.argv[1]))
    with training_job(shop.installation, shop.data(), shop.plan(), ORDER) as job:
        job.trainer.workers = 1
        for done in job.train():
            print(done.ledger.product_id, done.ledger.outcome, flush=True)


if __name__ == "__main__":
    main()
