"""CSV as people's programs write it: delimiters, encodings, decimal signs, and broken files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from contracts import Rejection
from pipeline.errors import ConfigurationError, PipelineError, UnreadableFileError
from pipeline.home import Home
from pipeline.sources.csv_format import read_csv
from pipeline_tests.sources.builders import age, days, extract, make_tenant, quantities, write_rows, write_text

WANTED = ["date", "product_id", "quantity"]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_delimiter_and_encoding_are_found(folder: Path, home: Home, sign: str, encoding: str) -> None:
    """Every usual delimiter and encoding is found by looking, quoted delimiters and quotes inside."""
    text = f'date{sign}product_id{sign}quantity\r\n2024-01-05{sign}"crème{sign} ""bio"""{sign}2\r\n'
    found = extract(make_tenant(write_text(folder / "a.csv", text, encoding=encoding)), home)
    assert quantities(found) == {(f'crème{sign} "bio"', "2024-01-05"): 2.0}


@pytest.mark.parametrize(
    ("written", "source", "expected"),
    [
        ("1,5", {}, 1.5),
        ("1.5", {}, 1.5),
        ("1.234,5", {}, 1234.5),
        ("1 234,5", {}, 1234.5),
        ("1,250", {}, 1.25),
        ("1.250", {"decimal": ","}, 1250.0),
        ("1,250", {"decimal": "."}, 1250.0),
    ],
)
def test_decimal_signs(folder: Path, home: Home, written: str, source: dict[str, object], expected: float) -> None:
    """The decimal sign is found by looking, or taken as given; groups of thousands are understood."""
    text = f"date;product_id;quantity\n2024-01-05;bread;{written}\n"
    found = extract(make_tenant(write_text(folder / "a.csv", text), **source), home)
    assert quantities(found) == {("bread", "2024-01-05"): expected}


def test_a_stated_separator_line(folder: Path, home: Home) -> None:
    """The line `sep=;` that spreadsheets write is obeyed and is no data."""
    path = write_text(folder / "a.csv", "sep=;\r\ndate;product_id;quantity\r\n2024-01-05;bread;2\r\n")
    assert quantities(extract(make_tenant(path), home)) == {("bread", "2024-01-05"): 2.0}


def test_ragged_rows(folder: Path, home: Home) -> None:
    """Short rows are filled with blanks, long ones rejected unless the rest is blank; row numbers stay right."""
    text = (
        "date,product_id,quantity\n2024-01-05,bread,2\n2024-01-05,rolls\n\n2024-01-06,bread,3,,\n"
        "2024-01-07,bread,1,5\n2024-01-08,bread,4\n2024-01-09,bread,x\n"
    )
    found = extract(make_tenant(write_text(folder / "a.csv", text)), home)
    assert list(found.daily["quantity"]) == [2.0, 3.0, 4.0]
    examples = [(example.row, example.reason, example.value) for example in found.report.examples]
    assert examples == [
        (2, Rejection.BAD_QUANTITY, ""),
        (4, Rejection.MALFORMED, "too many fields: 2024-01-07,bread,1,5"),
        (6, Rejection.BAD_QUANTITY, "x"),
    ]
    assert found.report.rows_read == 6


TORN_GZIP = gzip.compress(days("2024-01-01", [1.0] * 500).to_csv(index=False).encode())[:-20]
FAULTS: list[tuple[str, bytes, dict[str, object], str]] = [
    ("empty", b"", {}, "is empty"),
    ("blank", b" \n\n", {}, "is empty"),
    ("bom only", b"\xef\xbb\xbf", {}, "is empty"),
    ("one column", b"date:product_id:quantity\n1:2:3\n", {}, "one column only.*looked for the delimiters"),
    ("wrong delimiter", b"date,product_id,quantity\n1,2,3\n", {"delimiter": ";"}, "with the delimiter ';'.*like ','"),
    (
        "wrong encoding",
        "date,product_id,quantity\n2024-01-05,crème,1\n".encode("cp1252"),
        {"encoding": "utf-8"},
        "not in the encoding 'utf-8'.*leave the encoding unset",
    ),
    ("no text", bytes(range(128, 256)), {}, "neither UTF-8 nor Windows-1252"),
    ("zero bytes", b"date,product_id,quantity\n2024-01-05,bread,1\n" + bytes(64), {}, "zero byte"),
    ("excel", b"PK\x03\x04rest", {}, "is an Excel or zip file"),
    ("torn gzip", TORN_GZIP, {}, "gzip file that is torn"),
    ("open quote", b'date,product_id,quantity\n2024-01-05,"bread,1\n2024-01-06,rolls,2\n', {}, "quote.*not closed"),
    (
        "decimal comma",
        b"date,product_id,quantity\n2024-01-05,bread,1,5\n2024-01-06,bread,2,5\n",
        {},
        "most rows have more.*decimal sign a comma",
    ),
    ("same name twice", b"date,product_id,quantity,date\n1,2,3,4\n", {}, "two columns of one name: 'date'"),
]


@pytest.mark.parametrize(("content", "source", "said"), [fault[1:] for fault in FAULTS], ids=[f[0] for f in FAULTS])
def test_broken_files_are_named_and_lose_nothing(
    folder: Path, home: Home, content: bytes, source: dict[str, object], said: str
) -> None:
    """Each broken file is an error that names it and says what is wrong; the table and state stay as they were."""
    write_text(
        folder / "good.csv",
        "date;product_id;quantity\n2024-01-05;bread;2\n".replace(";", str(source.get("delimiter", ","))),
    )
    tenant = make_tenant(folder, **source)
    extract(tenant, home)
    before = {path.name: path.read_bytes() for path in home.tenant("shop").iterdir()}
    (folder / "z bad.csv").write_bytes(content)
    with pytest.raises(UnreadableFileError, match=rf"(?s)'z bad\.csv'.*{said}"):
        extract(tenant, home)
    assert {path.name: path.read_bytes() for path in home.tenant("shop").iterdir()} == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"date,product_id,quantity\n", "no whole Parquet file"),
        (b"PAR1 and no more", "half-written"),
        (b"PAR1" + bytes(100) + b"PAR1", "damaged Parquet file"),
    ],
)
def test_broken_parquet(folder: Path, home: Home, content: bytes, said: str) -> None:
    """Parquet that is empty, torn or no Parquet at all is an error that names the file."""
    (folder / "a.parquet").write_bytes(content)
    with pytest.raises(UnreadableFileError, match=rf"a\.parquet.*{said}"):
        extract(make_tenant(folder), home)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_half_written_parquet(folder: Path, home: Home, share: float) -> None:
    """A Parquet file that was cut off anywhere is refused."""
    path = write_rows(folder / "a.parquet", days("2024-01-01", [1.0] * 300))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnreadableFileError, match=r"a\.parquet"):
        extract(make_tenant(age(path, 5)), home)


@pytest.mark.parametrize("source", [{"encoding": "klingon"}, {"delimiter": "::"}])
def test_impossible_settings(folder: Path, home: Home, source: dict[str, object]) -> None:
    """An unknown encoding and a delimiter of two characters are configuration errors with the value."""
    path = write_text(folder / "a.csv", "date,product_id,quantity\n2024-01-05,bread,2\n")
    with pytest.raises(ConfigurationError, match=str(next(iter(source.values())))):
        extract(make_tenant(path, **source), home)


def test_every_cut_of_a_csv_is_read_or_refused() -> None:
    """A CSV file cut off at any byte is read in part or refused, and never an unexpected error."""
    whole = 'date,product_id,quantity\n2024-01-05,"crème, ""x""",2\n2024-01-06,bread,3\n'.encode()
    for end in range(len(whole)):
        try:
            assert read_csv(whole[:end], "cut.csv", WANTED).rows <= 2
        except PipelineError as error:
            assert "cut.csv" in str(error)  # noqa: PT017
