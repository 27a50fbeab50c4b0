"""Sales that shift after a training, and forecasts that turn wrong: found, named, trained, and quiet again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from pipeline.tables import read_table, write_table
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import World

TENANT = "shifting"
FIRST = pd.Timestamp("2024-01-01")
BEFORE, AFTER = 240, 9
PRODUCTS = ("bun", "cake", "pie", "roll", "rye", "tart")
SHIFTED = "pie"


def sales_of(days: int, factors: Mapping[str, float], since: int = BEFORE) -> pd.DataFrame:
    """Daily sales of six products; from day `since` on some sell so many times as much. Earlier days stay the same."""
    frames = []
    for number, product in enumerate(PRODUCTS):
        level = 40 + 10 * number
        week = 1 + 0.2 * np.sin(2 * np.pi * np.arange(days) / 7)
        units = np.random.default_rng([3, number]).poisson(level * week).astype(float)
        units[since:] = np.round(units[since:] * factors.get(product, 1.0))
        frames.append(
            pd.DataFrame({"product_id": product, "date": pd.date_range(FIRST, periods=days), "quantity": units})
        )
    return pd.concat(frames, ignore_index=True)


def as_if_made_in_time(world: World) -> None:
    """Say of every issued forecast that it was made in the night after its origin, as in a shop that runs daily."""
    for path in world.home.issued(TENANT).glob("*.parquet"):
        frame = pd.read_parquet(path)
        made = pd.to_datetime(frame["origin"]) + pd.Timedelta(hours=27)
        write_table(path, frame.assign(issued_at=made.dt.tz_localize("UTC")))


def causes(world: World, name: str) -> dict[str, str]:
    """The causes of what a stored plan or ledger trained, by product."""
    table = read_table(world.home.table(TENANT, name), name)
    return dict(table.loc[table["cause"].notna(), ["product_id", "cause"]].itertuples(index=False))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A tenant that was trained on 240 stable days."""
    world = World(tmp_path_factory.mktemp("drift"))
    world.add(TENANT, tills.write(sales_of(BEFORE, {}), world.root / "exports" / "sales.csv"))
    assert world.run(TENANT).success
    as_if_made_in_time(world)
    return world


def sell(world: World, days: int, factors: Mapping[str, float]) -> None:
    """Let the till's file grow."""
    tills.write(sales_of(days, factors), world.root / "exports" / "sales.csv")
    world.add(TENANT, world.root / "exports" / "sales.csv")
