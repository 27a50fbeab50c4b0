"""The sample's files: three tills that write sales in three ways, and what is known of the days ahead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sample.catalogue import Item
from pipeline.sample.demand import Days, Floats

OPENS, OPEN_HOURS = 7 * 3600, 13.5
"""Second of the day at which tills start, and the hours they run."""
UNITS_A_LINE = 2.6
"""Mean units on a ticket line."""


def daily_lines(quantity: Floats, price: Floats, items: Sequence[Item]) -> pd.DataFrame:
    """Return one clean line for each product and day with sales, by day and product.

    Args:
        quantity: (n, t) whole units.
        price: (n, t) euros.
        items: the n products.
    """
    day, item = np.nonzero(quantity.T > 0)
    units = np.array([i.unit for i in items])
    return pd.DataFrame(
        {
            "item": item,
            "day": day,
            "second": 0,
            "quantity": quantity[item, day] * units[item],
            "price": price[item, day],
            "name": np.array([i.name for i in items], dtype=object)[item],
            "dirt": "",
        }
    )


def ticket_lines(quantity: Floats, price: Floats, items: Sequence[Item], rng: np.random.Generator) -> pd.DataFrame:
    """Return clean lines of a few units each, at times of the day; their sum is the day's quantity."""
    daily = daily_lines(quantity, price, items)
    units = quantity[daily["item"], daily["day"]].astype(np.int64)
    owner = np.repeat(np.arange(len(daily)), units)
    opens = rng.random(len(owner)) < 1 / UNITS_A_LINE
    opens[np.cumsum(units) - units] = True
    line = np.cumsum(opens) - 1
    lines = daily.iloc[owner[opens]].reset_index(drop=True)
    unit = np.array([i.unit for i in items])[lines["item"]]
    hour = rng.beta(1.7, 2.3, len(lines)) * OPEN_HOURS
    return lines.assign(quantity=np.bincount(line) * unit, second=(OPENS + hour * 3600).astype(np.int64))


def numbered(lines: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Sort by time and give ticket numbers; two neighbouring lines of different products may share one."""
    ordered = lines.sort_values(["day", "second", "item"], kind="stable").reset_index(drop=True)
    neighbours = (ordered[["day"]].diff().eq(0) & ordered[["item"]].diff().ne(0).to_numpy())["day"].to_numpy()
    coin = neighbours & (rng.random(len(ordered)) < 0.35)
    joins = coin & ~np.roll(coin, 1)
    joins[:1] = False
    first = np.flatnonzero(~joins)
    ticket = np.cumsum(~joins)
    return ordered.assign(ticket=ticket, second=ordered["second"].to_numpy()[first][ticket - 1])


def write_tickets(path: Path, lines: pd.DataFrame, dates: pd.DatetimeIndex) -> None:
    """Write a till's export: semicolons, decimal commas, Spanish headings, local times."""
    days = [f"{d:%d/%m/%Y}" for d in dates]
    columns = (lines[c].tolist() for c in ("ticket", "day", "second", "name", "quantity", "price"))
    rows = (
        f"{ticket};{days[day]} {_clock(second)};{name};{_comma(f'{quantity:g}')};{_comma(f'{price:.2f}')}"
        for ticket, day, second, name, quantity, price in zip(*columns, strict=True)
    )
    _write_text(path, ["Ticket;Fecha;Artículo;Cantidad;Precio", *rows])


def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def _comma(number: str) -> str:
    return number.replace(".", ",")


def _write_text(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + "\n").encode("utf-8"))


def write_years(folder: Path, lines: pd.DataFrame, items: Sequence[Item], dates: pd.DatetimeIndex) -> list[str]:
    """Write daily rows to one Parquet file a year; return the name of each line's file."""
    folder.mkdir(parents=True, exist_ok=True)
    years = dates.year.to_numpy()[lines["day"]]
    for year in np.unique(years):
        rows = lines[years == year]
        table = pa.table(
            {
                "dia": pa.array(dates[rows["day"]].date, pa.date32()),
                "producto": pa.array([items[i].id for i in rows["item"]], pa.string()),
                "unidades": pa.array(rows["quantity"].to_numpy(), pa.float64()),
                "precio": pa.array(rows["price"].to_numpy(), pa.float64()),
            }
        )
        pq.write_table(table, folder / f"{year}.parquet")
    return [f"{year}.parquet" for year in years]


def write_single(path: Path, lines: pd.DataFrame, items: Sequence[Item], dates: pd.DatetimeIndex) -> None:
    """Write daily rows to one Parquet file under the pipeline's own names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = pa.array([i.id for i in items], pa.string())
    columns = {
        "date": pa.array(dates.to_numpy().astype("datetime64[D]")[lines["day"]], pa.date32()),
        "product_id": ids.take(pa.array(lines["item"].to_numpy())),
        "quantity": pa.array(lines["quantity"].to_numpy()),
        "unit_price": pa.array(lines["price"].to_numpy()),
    }
    pq.write_table(pa.table(columns), path)


def write_plain(path: Path, lines: pd.DataFrame, items: Sequence[Item], dates: pd.DatetimeIndex) -> None:
    """Write daily rows as a CSV under the pipeline's own names, `sold_out`, category and location included."""
    days = [f"{d:%Y-%m-%d}" for d in dates]
    fields = [(i.id, i.kind, i.location) for i in items]
    rows = []
    columns = (lines[c].tolist() for c in ("item", "day", "name", "quantity", "price", "sold_out"))
    for item, day, name, quantity, price, sold_out in zip(*columns, strict=True):
        code, kind, location = fields[item]
        quoted = f'"{name}"' if "," in name else name
        flag = "true" if sold_out else "false"
        rows.append(f"{days[day]},{code},{quoted},{kind},{location},{quantity:g},{price:.2f},{flag}")
    heading = "date,product_id,product_name,category,location_id,quantity,unit_price,sold_out"
    _write_text(path, [heading, *rows])


def write_foreseen(path: Path, days: Days) -> None:
    """Write weather and promotions by date, through AHEAD_DAYS past the end of sales, as a CSV."""
    rows = zip(days.dates, days.temperature, days.rain, days.promotion[0], strict=True)
    lines = (f"{day:%Y-%m-%d},{warm:.1f},{rain:.1f},{promoted:d}" for day, warm, rain, promoted in rows)
    _write_text(path, ["date,temperature,rain,promotion", *lines])


def write_foreseen_by_product(path: Path, days: Days, items: Sequence[Item]) -> None:
    """Write weather and promotions by product and date as Parquet; a row a product and day."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n, t = days.promotion.shape
    table = pa.table(
        {
            "date": pa.array(np.tile(days.dates.to_numpy().astype("datetime64[D]"), n), pa.date32()),
            "product_id": pa.array(np.repeat([i.id for i in items], t), pa.string()),
            "promotion": pa.array(days.promotion.astype(np.int8).ravel()),
            "temperature": pa.array(np.tile(days.temperature, n)),
            "rain": pa.array(np.tile(days.rain, n)),
        }
    )
    pq.write_table(table, path)
