"""The tenant's own SELECT, or a table's name, as one statement that only reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Engine, TextClause

SINCE = "since"
_TABLE = re.compile(r"[^\W\d][\w$]*(\.[^\W\d][\w$]*){0,2}")
_HIDDEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|(\$\w*\$).*?\1|--[^\n]*|/\*.*?\*/",
    re.DOTALL,
)
_SHOWN = 60


def statement(query: str, date_column: str, engine: Engine) -> tuple[TextClause, bool]:
    """Return the SELECT of a query or a table's name, and whether it asks for the days from `:since` on.

    Of a table whose date column is a date or a moment the last days are asked for; of another, everything.

    Raises:
        ConfigurationError: it is no SELECT, several statements, or asks for more than `:since`.
    """
    from sqlalchemy import Date, bindparam, text

    words = query.strip()
    if _TABLE.fullmatch(words):
        words = _of_table(words, date_column, engine)
    words = _HIDDEN.sub(_still, words).strip().rstrip(";")
    bare = _HIDDEN.sub(" ", words)
    if ";" in bare:
        raise ConfigurationError(f"the query {_short(query)} holds several statements; give one SELECT")
    if not re.match(r"[(\s]*(select|with)\b", bare, re.IGNORECASE):
        raise ConfigurationError(f"the query {_short(query)} is no SELECT, nor the name of a table")
    made = text(words)
    names = set(made.compile().params)
    if names - {SINCE}:
        other = ", ".join(f":{name}" for name in sorted(names - {SINCE}))
        raise ConfigurationError(f"the query {_short(query)} asks for {other}; only :{SINCE}, a date, is given")
    if SINCE not in names:
        return made, False
    return made.bindparams(bindparam(SINCE, type_=Date())), True


def _of_table(name: str, date_column: str, engine: Engine) -> str:
    from sqlalchemy import Date, DateTime, inspect
    from sqlalchemy.exc import NoSuchTableError

    quote = engine.dialect.identifier_preparer.quote
    *schema, table = name.split(".")
    try:
        kinds = {
            column["name"]: column["type"] for column in inspect(engine).get_columns(table, ".".join(schema) or None)
        }
    except NoSuchTableError:
        kinds = {}  # Reading it says so, in the database's own words.
    every = f"SELECT * FROM {'.'.join(quote(part) for part in name.split('.'))}"  # noqa: S608 (quoted, and a name)
    by_day = isinstance(kinds.get(date_column), Date | DateTime)
    return f"{every} WHERE {quote(date_column)} >= :{SINCE}" if by_day else every


def _still(hidden: re.Match[str]) -> str:
    """A comment leaves nothing behind; a colon in a text or a name asks for nothing."""
    found = hidden[0]
    return " " if found.startswith(("--", "/*")) else found.replace(":", r"\:")


def _short(query: str) -> str:
    line = " ".join(query.split())
    return repr(line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}...")
