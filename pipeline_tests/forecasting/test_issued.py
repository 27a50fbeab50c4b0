"""What was issued is kept: a file an origin, and nothing changed about days that are over."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import DataError
from pipeline.forecasting.issued import issued_about, keep_issued, origins_of
from pipeline_tests.forecasting.foretold import frame, row

ORIGIN = pd.Timestamp("2024-07-18")


def made(on: int, *products: str) -> pd.DataFrame:
    """Three days of some products from ORIGIN, made so many days after it; `y_hat` says when."""
    moment = ORIGIN + pd.Timedelta(days=on, hours=4)
    return frame([row(product, ORIGIN, ahead, float(on), moment) for product in products for ahead in (1, 2, 3)])


def kept(folder: Path) -> dict[tuple[str, str], float]:
    """When each product's day was forecast that is kept."""
    found = issued_about(folder, dt.date(2024, 7, 1), dt.date(2024, 7, 31))
    assert not found.duplicated(["product_id", "date"]).any()
    return {(str(one.product_id), f"{one.date:%d}"): float(one.y_hat) for one in found.itertuples()}


def test_what_was_said_of_days_that_are_over_stands(tmp_path: Path) -> None:
    """Forecast again from the same origin, today and later days are new; of earlier ones only what was not said is."""
    keep_issued(tmp_path, ORIGIN.date(), made(1, "bun", "pie"), dt.date(2024, 7, 19))
    assert set(kept(tmp_path).values()) == {1.0}
    keep_issued(tmp_path, ORIGIN.date(), made(2, "bun", "tart"), dt.date(2024, 7, 20))
    assert kept(tmp_path) == {
        ("bun", "19"): 1, ("pie", "19"): 1, ("bun", "20"): 2, ("bun", "21"): 2,
        ("tart", "19"): 2, ("tart", "20"): 2, ("tart", "21"): 2,
    }  # fmt: skip
    assert origins_of(tmp_path) == ["2024-07-18"]


def test_the_same_day_the_last_one_stands(tmp_path: Path) -> None:
    """A forecast that is made anew on the day itself takes the first one's place."""
    for y_hat in (1, 2):
        keep_issued(tmp_path, ORIGIN.date(), made(1, "bun").assign(y_hat=float(y_hat)), dt.date(2024, 7, 19))
    assert set(kept(tmp_path).values()) == {2.0}


def test_a_torn_file_stops_no_forecast(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be read is told of, and what is new takes its place."""
    (tmp_path / "2024-07-18.parquet").write_bytes(b"torn")
    keep_issued(tmp_path, ORIGIN.date(), made(2, "bun"), dt.date(2024, 7, 20))
    assert set(kept(tmp_path).values()) == {2.0}
    assert "what was issued before from the same origin is lost" in caplog.text


def test_only_the_days_asked_for_are_read(tmp_path: Path) -> None:
    """Rows of other days are left out, files that cannot speak of the days are not opened, and types are fixed."""
    keep_issued(tmp_path, ORIGIN.date(), made(1, "bun"), dt.date(2024, 7, 19))
    for origin in ("2024-07-20", "2023-07-19"):
        (tmp_path / f"{origin}.parquet").write_bytes(b"torn")
    found = issued_about(tmp_path, dt.date(2024, 7, 19), dt.date(2024, 7, 20))
    assert [f"{day:%m-%d}" for day in found["date"]] == ["07-19", "07-20"]
    with pytest.raises(DataError, match=r"the issued forecasts: .*2024-07-20.parquet cannot be read"):
        issued_about(tmp_path, dt.date(2024, 7, 19), dt.date(2024, 7, 21))
    nothing = issued_about(tmp_path / "none", dt.date(2024, 7, 19), dt.date(2024, 7, 20))
    assert nothing.empty
    types = ["date", "origin", "issued_at"]
    assert list(nothing.dtypes[types]) == list(found.dtypes[types])


def test_what_lies_before_the_days_is_not_even_read(tmp_path: Path) -> None:
    """Of an origin that speaks of earlier days only, no row is read: damage to its rows is not met."""
    keep_issued(tmp_path, ORIGIN.date(), made(1, "bun"), dt.date(2024, 7, 19))
    path = tmp_path / "2024-07-18.parquet"
    content = path.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little") + 8
    path.write_bytes(content[:4] + b"\xff" * (len(content) - 4 - footer) + content[-footer:])
    assert issued_about(tmp_path, dt.date(2024, 7, 22), dt.date(2024, 7, 23)).empty
    with pytest.raises(DataError, match=r"2024-07-18.parquet cannot be read"):
        issued_about(tmp_path, dt.date(2024, 7, 21), dt.date(2024, 7, 23))
