"""CSV bytes to a table of text: encoding and delimiter are found by looking, torn and ragged rows are caught."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from pipeline.errors import ConfigurationError, UnreadableFileError
from pipeline.sources.base import MalformedRow, RawTable
from pipeline.sources.frames import to_frame

DELIMITERS = (",", ";", "\t", "|")
_OTHER_FORMATS = {b"PAR1": "Parquet", b"PK\x03\x04": "an Excel or zip file", b"\xd0\xcf\x11\xe0": "an old Excel file"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BLOCK_BYTES = 8 << 20
_HEADER_CHARACTERS = 1 << 20


def read_csv(
    content: bytes, name: str, wanted: Sequence[str], delimiter: str | None = None, encoding: str | None = None
) -> RawTable:
    """Return the rows of a CSV file (or a gzipped one) as text.

    `wanted` are the column names hoped for; they decide between delimiters that would all split the
    header. Short rows are filled with blanks, rows with fields too many come back as malformed.

    Raises:
        UnreadableFileError: empty, torn, another format, undecodable, one column only, or mostly ragged.
        ConfigurationError: no such encoding, or a delimiter that is not one ASCII character.
    """
    if delimiter is not None and (len(delimiter) != 1 or not delimiter.isascii()):
        raise ConfigurationError(
            f"delimiter {delimiter!r} is not one ASCII character; use one such as ',' ';' or a tab"
        )
    text = _decoded(_unzipped(content, name), name, encoding)
    if not text.strip():
        raise UnreadableFileError(f"file {name!r} is empty: a header and rows of sales are needed")
    text, stated = _without_separator_line(text)
    sign = delimiter or stated or max(DELIMITERS, key=lambda sign: _score(_header(text, sign, name), wanted))
    header = _header(text, sign, name)
    if len(header) == 1:
        _refuse_one_column(name, header[0], sign if delimiter else None)
    return _parsed(text, name, _unique_names(header, name), sign)


def _unzipped(content: bytes, name: str) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise UnreadableFileError(f"file {name!r} is a gzip file that is torn or half-written: {error}") from error


def _decoded(content: bytes, name: str, encoding: str | None) -> str:
    for magic, format_name in _OTHER_FORMATS.items():
        if content.startswith(magic):
            raise UnreadableFileError(f"file {name!r} is {format_name}, not CSV; rename or export it")
    if encoding is None and content.startswith(_UTF16):
        encoding = "utf-16"
    text = _decode_as(content, name, encoding) if encoding else _decode_by_looking(content, name)
    if "\0" in text:
        at = text.index("\0")
        raise UnreadableFileError(
            f"file {name!r} is not text, or was only half written: a zero byte at character {at + 1}"
        )
    return text.removeprefix("\ufeff")


def _decode_as(content: bytes, name: str, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except LookupError as error:
        raise ConfigurationError(f"encoding {encoding!r} is not known; use one such as utf-8 or cp1252") from error
    except UnicodeError as error:
        raise UnreadableFileError(
            f"file {name!r} is not in the encoding {encoding!r} that was given: {error}; "
            "leave the encoding unset to have it found"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"encoding {encoding!r} is no name of an encoding: {error}") from error


def _decode_by_looking(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass  # Not UTF-8: what tills and spreadsheets write otherwise is Windows-1252.
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            f"file {name!r} is neither UTF-8 nor Windows-1252 ({error}); give its encoding"
        ) from error


def _without_separator_line(text: str) -> tuple[str, str | None]:
    """Spreadsheets may write `sep=;` above the header."""
    stated = re.match(r"sep=([\t -~])\r?\n", text)
    return (text[stated.end() :], stated[1]) if stated else (text, None)


def _header(text: str, sign: str, name: str) -> list[str]:
    return [column.strip() for column in _first_row(text[:_HEADER_CHARACTERS], sign, name)]


def _first_row(text: str, sign: str, name: str) -> list[str]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=sign)
    try:
        return next((row for row in rows if row), [])
    except csv.Error as error:
        raise UnreadableFileError(f"file {name!r} has a line that is no CSV, {text[:80]!r}: {error}") from error


def _score(header: list[str], wanted: Sequence[str]) -> tuple[int, int]:
    return len(set(header) & set(wanted)), len(header)


def _refuse_one_column(name: str, line: str, delimiter: str | None) -> None:
    shown = line[:80]
    if delimiter is None:
        raise UnreadableFileError(
            f"file {name!r} has one column only, {shown!r}; looked for the delimiters , ; tab and |. "
            "Set the delimiter if it is another"
        )
    better = max(DELIMITERS, key=line.count)
    hint = f"; it looks like {better!r}" if line.count(better) else ""
    raise UnreadableFileError(f"file {name!r} has one column only with the delimiter {delimiter!r}: {shown!r}{hint}")


def _unique_names(header: list[str], name: str) -> list[str]:
    """Blank headers (a trailing delimiter, an index column) get a name; two equal names are a fault."""
    names = [column or f"column {number}" for number, column in enumerate(header, start=1)]
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise UnreadableFileError(f"file {name!r} has two columns of one name: {', '.join(map(repr, twice))}")
    return names


def _parsed(text: str, name: str, columns: list[str], sign: str) -> RawTable:
    ragged: list[tuple[int, str]] = []
    header = _first_row(text[:_HEADER_CHARACTERS], sign, name)

    def keep_aside(row: arrow_csv.InvalidRow) -> str:
        ragged.append((row.number - 1, row.text))
        return "skip"

    try:
        table = arrow_csv.read_csv(
            pa.BufferReader((text + "\n").encode("utf-8")),
            # Row numbers of ragged rows are known to a single thread only.
            arrow_csv.ReadOptions(use_threads=False, block_size=max(_BLOCK_BYTES, len(text) // 50)),
            arrow_csv.ParseOptions(delimiter=sign, newlines_in_values=True, invalid_row_handler=keep_aside),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
        )
    except pa.ArrowInvalid as error:
        raise UnreadableFileError(f"file {name!r} is torn, or a quote is not closed: {error}") from error
    return _with_ragged(table.rename_columns(columns), ragged, name, sign)


def _with_ragged(table: pa.Table, ragged: list[tuple[int, str]], name: str, sign: str) -> RawTable:
    rows = table.num_rows + len(ragged)
    width = table.num_columns
    filled: list[tuple[int, list[str]]] = []
    malformed: list[MalformedRow] = []
    for number, line in ragged:
        fields = _fields(line, name, number, sign)
        if any(field.strip() for field in fields[width:]):
            malformed.append(MalformedRow(number, line))
        else:
            filled.append((number, (fields + [""] * width)[:width]))
    if 2 * len(malformed) > rows:
        raise UnreadableFileError(
            f"file {name!r} has {width} columns, but most rows have more, such as {malformed[0].text[:80]!r}: "
            "is the decimal sign a comma, or a comma part of the names? Quote such values or use the delimiter ';'"
        )
    numbers = np.setdiff1d(np.arange(1, rows + 1), [number for number, _ in ragged], assume_unique=True)
    if filled:
        columns = list(zip(*(fields for _, fields in filled), strict=True))
        extra = pa.table([pa.array(column, pa.string()) for column in columns], names=table.column_names)
        table = pa.concat_tables([table, extra])
        numbers = np.concatenate([numbers, [number for number, _ in filled]])
    return RawTable(to_frame(table, numbers), tuple(malformed), sign)


def _fields(line: str, name: str, number: int, sign: str) -> list[str]:
    if line.count('"') % 2:
        raise UnreadableFileError(f"file {name!r}: a quote that opens in row {number} is not closed")
    return _first_row(line, sign, name)
