"""Sample sales of three businesses, made from a known truth.

`write_sample` writes the files that tills of three kinds would: a bakery's tickets (Madrid), a café's
daily rows in yearly Parquet files (Las Palmas) and a boulangerie's daily CSV (Lyon). The same arguments
give the same bytes. What the sales were made from, and what is wrong with the files on purpose, is
returned as `Truth`, so that one can ask whether the pipeline finds both.

The dirt, by kind: `return` (a negative line), `duplicate` (an exact copy of the line before),
`mojibake` (a name read in the wrong encoding), `outlier` (a price typed as a quantity), `stock_out`
(sold out: fewer sold than demanded, and marked so), `lost_day` (no row at all), `partial_last_day`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from contracts import ClosingDays, ColumnMapping, CovariateKind, CovariateSource, FileSource, Tenant
from pipeline.errors import ConfigurationError
from pipeline.sample import dirt, files
from pipeline.sample.catalogue import BAKERY, BOULANGERIE, BUSINESSES, CAFE, KINDS, Business, Item, stock
from pipeline.sample.demand import (
    Days,
    Effects,
    Floats,
    draw_days,
    draw_demand,
    draw_effects,
    mean_demand,
    prices,
)

__all__ = ["Effects", "Sample", "Truth", "write_sample", "write_scale_sample"]

END = dt.date(2026, 9, 30)
LAST_LINE = 10 * 3600 + 1800
"""Second of the partial last day at which the till's export was made."""
STOCK_OUTS = 0.015
"""Share of product days that sell out, at 0.7 of the demand."""
FORESEEN = {
    "temperature": CovariateKind.FORECAST,
    "rain": CovariateKind.FORECAST,
    "promotion": CovariateKind.KNOWN,
}


@dataclass(frozen=True)
class Truth:
    """What a tenant's files were made from.

    `mean`: expected demand in units, `product_id, date, mean`, a row for each product and day on sale in an
    open shop, 28 days past the end of sales included. `effects` by product id. `dirt`: `kind, file, row,
    product_id, date, quantity`; `row` counts from 1 in the file, the header not counted, and is 0 with
    no file and product for what concerns a whole day.
    """

    mean: pd.DataFrame
    effects: dict[str, Effects]
    dirt: pd.DataFrame

    def counts(self) -> dict[str, int]:
        """Return how often each kind of dirt was put in."""
        return {str(kind): int(count) for kind, count in self.dirt["kind"].value_counts().items()}


@dataclass(frozen=True)
class Sample:
    """The sample tenants, and the truth by tenant id."""

    tenants: tuple[Tenant, ...]
    truth: dict[str, Truth]


@dataclass(frozen=True)
class _Drawn:
    """One business's drawn history: (n, t) `demand` in whole units over the days of history."""

    business: Business
    items: tuple[Item, ...]
    days: Days
    effects: tuple[Effects, ...]
    mean: Floats
    demand: Floats
    price: Floats
    rng: np.random.Generator


def write_sample(folder: Path, *, seed: int = 7, end: dt.date = END, products_per_tenant: int | None = None) -> Sample:
    """Write the three businesses' files under `folder` and return their tenants and the truth.

    Args:
        folder: made when missing; each tenant's files lie in a folder of its id.
        seed: of everything random.
        end: last day of the sales.
        products_per_tenant: the first so many of each catalogue, repeated where it is shorter; all 62 when None.

    Raises:
        ConfigurationError: `products_per_tenant` is below 1.
    """
    if products_per_tenant is not None and products_per_tenant < 1:
        raise ConfigurationError(f"products_per_tenant is {products_per_tenant}; at least 1 is needed")
    tenants, truth = [], {}
    for number, business in enumerate(BUSINESSES):
        drawn = _draw(business, stock(business, products_per_tenant), end, np.random.default_rng([seed, number]))
        tenant, dirty = _WRITERS[business.id](drawn, folder / business.id)
        tenants.append(tenant)
        truth[business.id] = _truth(drawn, dirty)
    return Sample(tuple(tenants), truth)


def _draw(business: Business, items: tuple[Item, ...], end: dt.date, rng: np.random.Generator) -> _Drawn:
    days = draw_days(business, items, pd.Timestamp(end), rng)
    driven = business.covariates != "none"
    effects = draw_effects(items, days.dates[: days.past], rng, driven=driven)
    mean = mean_demand(effects, days)
    units = np.array([i.unit for i in items])[:, None]
    demand = draw_demand(mean[:, : days.past] / units, rng)
    return _Drawn(business, items, days, effects, mean, demand, prices(items, days)[:, : days.past], rng)


def _truth(drawn: _Drawn, dirty: pd.DataFrame) -> Truth:
    item, day = np.nonzero(drawn.mean > 0)
    ids = np.array([i.id for i in drawn.items], dtype=object)
    mean = pd.DataFrame({"product_id": ids[item], "date": drawn.days.dates[day], "mean": drawn.mean[item, day]})
    return Truth(mean, {e.product_id: e for e in drawn.effects}, dirty)


def _write_bakery(drawn: _Drawn, folder: Path) -> tuple[Tenant, pd.DataFrame]:
    """Ticket lines in one CSV: returns, duplicates, mojibake, outliers and a partial last day."""
    rng, items, dates = drawn.rng, drawn.items, drawn.days.dates
    lines = files.ticket_lines(drawn.demand, drawn.price, items, rng)
    last = int(lines["day"].max())
    lines = lines[(lines["day"] < last) | (lines["second"] <= LAST_LINE)]
    lines = dirt.add_returns(lines, rng, 150, np.array([i.unit for i in items]))
    lines = dirt.mistype(files.numbered(lines, rng), rng, 3, items)
    lines = dirt.repeat(dirt.garble(lines, rng, 200), rng, 120)
    path = folder / "tickets.csv"
    files.write_tickets(path, lines, dates)
    dirty = dirt.found_in(lines, items, dates, [path.name] * len(lines))
    source = FileSource(
        path=str(path),
        mapping=ColumnMapping(date="Fecha", product_id="Artículo", quantity="Cantidad", unit_price="Precio"),
        delimiter=";",
        encoding="utf-8",
        decimal=",",
        date_format="%d/%m/%Y %H:%M:%S",
    )
    return _tenant(drawn, source), pd.concat([dirty, dirt.whole_day("partial_last_day", dates[last])])


def _write_cafe(drawn: _Drawn, folder: Path) -> tuple[Tenant, pd.DataFrame]:
    """Daily rows in Parquet files by year: outliers and a lost day; weather and promotions by date."""
    items, days = drawn.items, drawn.days
    lost = _ordinary_day(days, days.past - 100)
    lines = files.daily_lines(drawn.demand, drawn.price, items)
    lines = dirt.mistype(lines[lines["day"] != lost], drawn.rng, 2, items)
    names = files.write_years(folder / "sales", lines, items, days.dates)
    files.write_foreseen(folder / "weather.csv", days)
    dirty = dirt.found_in(lines, items, days.dates, names)
    mapping = ColumnMapping(date="dia", product_id="producto", quantity="unidades", unit_price="precio")
    source = FileSource(path=str(folder / "sales"), mapping=mapping)
    covariates = CovariateSource(path=str(folder / "weather.csv"), kinds=FORESEEN)
    tenant = _tenant(drawn, source, covariates)
    return tenant, pd.concat([dirty, dirt.whole_day("lost_day", days.dates[lost])])


def _write_boulangerie(drawn: _Drawn, folder: Path) -> tuple[Tenant, pd.DataFrame]:
    """Daily rows in a plain CSV: returns, duplicates, mojibake and stock-outs; promotions by product."""
    rng, items, days = drawn.rng, drawn.items, drawn.days
    lines = files.daily_lines(drawn.demand, drawn.price, items)
    at = dirt.choose(lines, rng, int(STOCK_OUTS * len(lines)), (lines["quantity"] >= 5).to_numpy())
    quantity, kind = lines["quantity"].to_numpy().copy(), lines["dirt"].to_numpy().copy()
    quantity[at], kind[at] = np.floor(quantity[at] * 0.7), "stock_out"
    lines = lines.assign(quantity=quantity, dirt=kind, sold_out=kind == "stock_out")
    lines = dirt.add_returns(lines, rng, 90, np.ones(len(items)))
    lines = lines.sort_values(["day", "item"], kind="stable").reset_index(drop=True)
    lines = dirt.repeat(dirt.garble(lines, rng, 150), rng, 60)
    path = folder / "sales.csv"
    files.write_plain(path, lines, items, days.dates)
    files.write_foreseen_by_product(folder / "foreseen.parquet", days, items)
    covariates = CovariateSource(path=str(folder / "foreseen.parquet"), kinds=FORESEEN)
    dirty = dirt.found_in(lines, items, days.dates, [path.name] * len(lines))
    return _tenant(drawn, FileSource(path=str(path)), covariates), dirty


_WRITERS: dict[str, Callable[[_Drawn, Path], tuple[Tenant, pd.DataFrame]]] = {
    BAKERY.id: _write_bakery,
    CAFE.id: _write_cafe,
    BOULANGERIE.id: _write_boulangerie,
}


def write_scale_sample(folder: Path, products: int, days: int = 1096, seed: int = 7, *, end: dt.date = END) -> Tenant:
    """Write one tenant with many products as a single Parquet file of daily rows, for benchmarks.

    Volumes are log-normal, from several hundred units a day to less than one a month; seasons, trends and
    holidays are drawn as for the sample businesses. There is no dirt and there are no covariates.

    Args:
        folder: made when missing.
        products: number of products, at least 1.
        days: length of the history, at least 1.
        seed: of everything random.
        end: last day of the sales.

    Raises:
        ConfigurationError: `products` or `days` is below 1.
    """
    if products < 1 or days < 1:
        raise ConfigurationError(f"a scale sample needs at least 1 product and 1 day, got {products} and {days}")
    rng = np.random.default_rng([seed, products, days])
    kinds = rng.choice(sorted(KINDS), products)
    volumes = np.exp(rng.normal(2.0, 1.7, products)).clip(0.02, 400)
    items = tuple(
        Item(f"Product {n:05d}", kind, float(volume), 2.5, id=f"P{n:05d}")
        for n, (kind, volume) in enumerate(zip(kinds, volumes, strict=True), start=1)
    )
    business = replace(CAFE, id=f"scale_{products}", name=f"Scale {products}", days=days, covariates="none")
    drawn = _draw(business, items, end, rng)
    path = folder / business.id / "sales.parquet"
    files.write_single(path, files.daily_lines(drawn.demand, drawn.price, items), items, drawn.days.dates)
    return _tenant(drawn, FileSource(path=str(path)))


def _ordinary_day(days: Days, near: int) -> int:
    """Return the first day from `near` on that is no public holiday, so that nothing explains its silence."""
    return near + int((~days.holiday[near:]).argmax())


def _tenant(drawn: _Drawn, source: FileSource, covariates: CovariateSource | None = None) -> Tenant:
    business, dates = drawn.business, drawn.days.dates
    christmas = tuple(dt.date(year, 12, 25) for year in range(dates[0].year, dates[-1].year + 1))
    return Tenant(
        id=business.id,
        name=business.name,
        country=business.country,
        region=business.region,
        timezone=business.timezone,
        source=source,
        covariates=covariates,
        closing=ClosingDays(
            weekdays=business.closed_weekdays,
            dates=christmas if business.closed_christmas else (),
            public_holidays=business.closed_holidays,
        ),
    )
