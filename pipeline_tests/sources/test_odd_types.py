"""Column types, signs and names that files really have and readers stumble over."""

from __future__ import annotations

import io
from collections.abc import Callable
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigurationError, PipelineError, UnreadableFileError
from pipeline.sources.csv_format import read_csv
from pipeline.sources.moments import as_moments
from pipeline.sources.parquet_format import read_parquet
from pipeline.sources.values import as_numbers, as_text

LARGE = 2**53


def parquet_of(column: pa.Array) -> pd.Series:
    """Return a column as it comes out of a Parquet file."""
    return read_parquet(bytes_of(column), "sales.parquet").frame["a"]


def bytes_of(column: pa.Array) -> bytes:
    """Return a Parquet file of one column."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": column}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([LARGE, LARGE + 1, 1, None]),
        pa.array([Decimal(LARGE), Decimal(LARGE + 1), Decimal(1), None], pa.decimal128(20, 0)),
        pa.array([LARGE, LARGE + 1, 1, None], pa.uint64()),
    ],
)
def test_long_numbers_stay_different_ids(column: pa.Array) -> None:
    """Ids beyond what a float can hold come as they are, also beside a blank; as quantities they are numbers."""
    cells = parquet_of(column)
    assert [None if pd.isna(value) else value for value in as_text(cells)[0]] == [str(LARGE), str(LARGE + 1), "1", None]
    assert as_numbers(cells)[:3].tolist() == [float(LARGE), float(LARGE + 1), 1.0]


def test_fractions_stay_numbers() -> None:
    """Decimals with a fraction are numbers."""
    cells = parquet_of(pa.array([Decimal("1.25"), None], pa.decimal128(9, 2)))
    assert as_numbers(cells)[0] == 1.25


@pytest.mark.parametrize(
    ("read", "kind", "told"),
    [
        (lambda: read_csv(b"date,b\n1,2\n", "x.csv", [], "§"), ConfigurationError, "'§' is not one ASCII character"),
        (lambda: read_csv("sep=§\na§b\n1§2\n".encode(), "x.csv", []), UnreadableFileError, "one column only"),
        (lambda: read_csv(b"a,b\n1,2\n", "x.csv", [], None, "u\0"), ConfigurationError, "no name of an encoding"),
        (
            lambda: as_moments(pd.Series(["20242024"]), "UTC", "%Y%Y"),
            ConfigurationError,
            "'%Y%Y' is no strptime format",
        ),
        (
            lambda: read_parquet(bytes_of(pa.array([1], pa.timestamp("us", "Mars/Base"))), "x.parquet"),
            UnreadableFileError,
            "'x.parquet' has a column of a type that cannot be read",
        ),
        (
            lambda: read_csv(b"date,product_id,quantity," + b"h" * 200_000 + b"\n1,2,3,4\n", "x.csv", []),
            UnreadableFileError,
            "'x.csv' has a line that is no CSV",
        ),
    ],
)
def test_what_cannot_be_read_is_told(read: Callable[[], object], kind: type[PipelineError], told: str) -> None:
    """What a library stumbles over ends as an error of ours that names the file or the setting, shortly."""
    with pytest.raises(kind, match=told) as raised:
        read()
    assert len(str(raised.value)) < 400
