"""A tenant with models and issued forecasts, made up without training anything."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from contracts import FileSource, Tenant
from pipeline.engine.observe import lay_out
from pipeline.engine.panel import Floats
from pipeline.monitoring.live import BACKTEST, KEPT, Live
from pipeline.registry.records import ModelRecord
from pipeline.tenant_data import TenantData
from pipeline_tests.engine.builders import MONDAY, outlook_of, sold_daily
from pipeline_tests.forecasting.foretold import frame, row

DAY = pd.Timedelta(days=1)
VERSION = "20240101_030000"
TENANT = Tenant(
    id="sol", name="Sol", country="ES", timezone="Europe/Madrid", source=FileSource(path="/nowhere/sales.csv")
)


def model(product: str, origin: pd.Timestamp, version: str = VERSION) -> ModelRecord:
    """A registered model that has seen the days up to its origin."""
    made = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return ModelRecord(
        id=1, tenant_id="sol", product_id=product, version=version, type="forecast", algorithm="linear",
        origin=origin.date(), demand_class="medium", data_fingerprint="0" * 64, config_fingerprint="0" * 64,
        code_version="1", data_points=100, seconds=1.0, job_id="job", created_at=made, deployed=True,
        deployed_since=made, previous_version=None, manifest_sha256="0" * 64, terms=None,
    )  # fmt: skip


def data_of(units: Floats, names: Sequence[str], masked: Sequence[tuple[int, int]] = ()) -> TenantData:
    """Sales of n products over t days, as of the last; some (row, column) were sold out."""
    daily = sold_daily(units, names, drop_zeros=False)
    number = {name: place for place, name in enumerate(names)}
    cells = {(number[one.product_id], (one.date - MONDAY).days): at for at, one in enumerate(daily.itertuples())}
    out = np.zeros(len(daily), bool)
    out[[cells[cell] for cell in masked]] = True
    sales = lay_out(daily.assign(sold_out=out))
    return TenantData(TENANT, sales, outlook_of(units.shape[1] + 30), sales.dates[-1])


def live_of(
    data: TenantData,
    origin: int,
    said: Mapping[str, Floats],
    promised: float = 0.2,
    backtest: pd.DataFrame | None = None,
    origins: Mapping[str, pd.Timestamp] | None = None,
) -> Live:
    """A tenant whose models have seen the days up to one, and said this of the days after, from each day's evening.

    Args:
        data: sales.
        origin: number of the last day that the models have seen.
        said: forecasts of the days after it, by product; each day was forecast three days ahead at most.
        promised: WAPE of each champion.
        backtest: rows as the evaluation has them; none when unset.
        origins: of models that have seen other days.
    """
    dates, rows = data.panel.dates, []
    for product, units in said.items():
        for day, y_hat in enumerate(units, start=1):
            for ahead in range(1, min(day, 3) + 1):
                made = dates[0] + (origin + day - ahead) * DAY
                rows.append({**row(product, made, ahead, float(y_hat)), "model_version": VERSION})
    models = {name: model(name, (origins or {}).get(name, dates[origin])) for name in data.panel.products}
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in BACKTEST}).astype(
        {"date": "datetime64[ns]", "origin": "datetime64[ns]", "actual": float, "y_hat": float, "horizon": int}
    )
    before = empty if backtest is None else backtest
    known = {(name, one.version): one.origin for name, one in models.items()}
    return Live(data, frame(rows)[KEPT], before, models, models, dict.fromkeys(models, promised), known)


def backtest_of(data: TenantData, origin: int, blocks: int, error: float, seed: int = 3) -> pd.DataFrame:
    """Forecasts of 14 days from each of some origins before one, off by a share with a spread of `error`."""
    rng, rows = np.random.default_rng(seed), []
    for block in range(1, blocks + 1):
        start = origin - 14 * block
        for place, product in enumerate(data.panel.products):
            for ahead in range(1, 15):
                actual = data.panel.quantity[place, start + ahead]
                made = data.panel.dates[start]
                y_hat = actual * (1 + rng.normal(0, error))
                rows.append((product, made, made + ahead * DAY, ahead, actual, y_hat))
    return pd.DataFrame(rows, columns=BACKTEST)
