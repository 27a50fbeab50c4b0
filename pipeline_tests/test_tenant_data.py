"""A tenant's data with a calendar that reaches further than the stored one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from contracts import SignalKind, SignalSource
from pipeline.tables import read_table, write_table
from pipeline.tenant_data import load_further
from pipeline.tenants import load_tenant, save_tenant
from pipeline_tests.training.shop import Shop, sales_of


def test_a_further_calendar_keeps_the_signals_that_are_stored(tmp_path: Path) -> None:
    """Weather is taken from the stored calendar, without a call to its service; the days beyond have no value."""
    shop = Shop(tmp_path)
    origin = shop.sell(sales_of()).origin
    home = shop.installation.home
    weather = SignalSource(kind=SignalKind.WEATHER, url="http://127.0.0.1:9/none", columns={"warmth": "temperature"})
    tenant = load_tenant(home, "bakery").model_copy(update={"signals": (weather,)})
    save_tenant(home, tenant, replace=True)
    place = home.table("bakery", "calendar")
    stored = read_table(place, "the calendar")
    write_table(place, stored.assign(warmth=np.arange(len(stored), dtype=float)))

    outlook = load_further(home, tenant, 60).outlook
    warmth = pd.Series(outlook.covariates["warmth"], index=outlook.dates)
    days = pd.DatetimeIndex(stored["date"])
    assert warmth[days].tolist() == list(range(len(stored)))
    assert warmth[warmth.index > days.max()].isna().all()
    assert outlook.dates.max() >= origin + pd.Timedelta(days=60)
    shop.close()
