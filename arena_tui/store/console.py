"""Answers what a person asks in SQL: one SELECT, its first rows. Writes nothing.

The answer is the same whether the store is open here or in another process.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import duckdb
from msgspec import Struct

from arena_tui.errors import StoreError, UsageError
from arena_tui.store.database import Connection
from arena_tui.store.guarded import only_select, reading_only
from arena_tui.store.reading import Reader

ROWS_MAX: Final = 10_000
BYTES_MAX: Final = 16 * 1024 * 1024
"""Of one answer, about: longer texts are counted as they are."""

SQL_MAX: Final = 64 * 1024
"""Characters of a query."""

_ROWS_AT_ONCE: Final = 500
_VALUE_BYTES: Final = 16
_NUMBERS: Final = re.compile(r"^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*)$")
_FILE: Final = "__duckdb_reader"
"""In what is said of a file that is a database."""

_PLACE: Final = re.compile(r"^LINE (\d+): (.*)\n( *)\^", re.MULTILINE)


class Result(Struct, frozen=True, kw_only=True):
    """The first rows of an answer.

    Attributes:
        columns: Their names, each once, and types of DuckDB.
        rows: Values as JSON has them, and besides `datetime` (UTC), `Decimal` and long integers.
        cut: Why there are no more rows than these: "" if these are all.
    """

    columns: list[tuple[str, str]]
    rows: list[list[Any]]
    cut: str = ""

    def is_number(self, column: int) -> bool:
        """Whether a column has numbers, to be aligned right."""
        return _NUMBERS.match(self.columns[column][1]) is not None


class SqlError(UsageError):
    """A query that is not understood, or that cannot be answered; where in it, if that is known.

    Attributes:
        line, column: Of the place, from 1; 0: it is not known.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"line {line}, column {column}: {message}" if line else message)
        self.line = line
        self.column = column


def run_sql(reader: Reader, sql: str, limit: int = ROWS_MAX) -> Result:
    """What one SELECT gives: at most so many rows, and `BYTES_MAX`.

    Raises:
        UsageError: It is something else, does more than read the store, or is not understood.
    """
    ask = getattr(reader, "ask_console", None)
    if ask is not None:
        found: Result = ask(sql, limit)
        return found
    if not isinstance(reader, duckdb.DuckDBPyConnection):
        raise StoreError("the store cannot be asked in SQL here")
    return answer_sql(reader, sql, limit)


def answer_sql(connection: Connection, sql: str, limit: int) -> Result:
    """See `run_sql`; of a store that is open here."""
    if len(sql) > SQL_MAX:
        raise UsageError(
            f"a query has at most {SQL_MAX:,} characters: this one has {len(sql):,}, shorten it"
        )
    try:
        with reading_only(connection):
            statement = only_select(connection, sql)
            result = connection.execute(statement)
            columns = _columns(result.description)
            return _first_rows(result, columns, limit)
    except (duckdb.InterruptException, duckdb.FatalException):
        raise  # it was cancelled, or the store is at fault
    except duckdb.Error as error:
        raise _in_words(error, sql) from None


def read_words(reader: Reader) -> tuple[list[str], list[str]]:
    """The tables of the store, and their columns, each name once, in order."""
    rows = reader.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal "
        "AND schema_name = 'main' ORDER BY table_name, column_index"
    ).fetchall()
    tables = dict.fromkeys(table for table, _ in rows)
    return list(tables), list(dict.fromkeys(column for _, column in rows))


def _first_rows(result: Connection, columns: list[tuple[str, str]], limit: int) -> Result:
    rows: list[list[Any]] = []
    size, at_once = 0, 1
    while found := result.fetchmany(min(at_once, limit + 1 - len(rows))):
        for row in found:
            if len(rows) == limit:
                return Result(columns=columns, rows=rows, cut=f"first {limit:,} rows of more")
            kept = [_kept(value) for value in row]
            size += sum(map(_size, kept))
            if size > BYTES_MAX:
                return _cut_short(columns, rows)
            rows.append(kept)
        at_once = min(_ROWS_AT_ONCE, 2 * at_once)
    return Result(columns=columns, rows=rows)


def _cut_short(columns: list[tuple[str, str]], rows: list[list[Any]]) -> Result:
    most = f"{BYTES_MAX // 1024**2} MB"
    if not rows:
        raise UsageError(f"one row has more than {most}: select less of it")
    return Result(columns=columns, rows=rows, cut=f"first {len(rows):,} rows of more: {most}")


def _columns(description: Sequence[Any] | None) -> list[tuple[str, str]]:
    columns: dict[str, str] = {}
    for name, kind, *_ in description or ():
        unique, number = str(name), 1
        while unique in columns:
            unique, number = f"{name}_{number}", number + 1
        columns[unique] = str(kind)
    return list(columns.items())


def _kept(value: Any) -> Any:
    """The value, as something that both MessagePack and JSON have."""
    match value:
        case None | bool() | int() | str() | Decimal():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        case list() | tuple():
            return [_kept(each) for each in value]
        case dict():
            return {str(name): _kept(each) for name, each in value.items()}
        case bytes():
            return "".join(_shown_byte(each) for each in value)
        case date() | time() | timedelta() | UUID():
            return str(value)
    return str(value)


def _shown_byte(byte: int) -> str:
    """As DuckDB writes it."""
    return chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\x{byte:02X}"


def _size(value: Any) -> int:
    if isinstance(value, str):
        return _VALUE_BYTES + len(value)
    if isinstance(value, list):
        return _VALUE_BYTES + sum(map(_size, value))
    if isinstance(value, dict):
        return _VALUE_BYTES + sum(len(name) + _size(each) for name, each in value.items())
    return _VALUE_BYTES


def _in_words(error: duckdb.Error, sql: str) -> SqlError:
    """What is wrong, in one line, and where."""
    text = str(error)
    if isinstance(error, duckdb.PermissionException) or _FILE in text:
        return SqlError("a query cannot read files: only the tables of the store")
    message = "; ".join(_told(text.partition("\nLINE ")[0]))
    found = _PLACE.search(text)
    if found is None:
        return SqlError(message)
    number, shown = int(found[1]), found[2]
    caret = len(found[3]) - len(f"LINE {number}: ")
    lines = sql.split("\n")
    line = lines[number - 1] if number <= len(lines) else ""
    if shown.startswith("..."):
        shown, caret = shown[3:], caret - 3
    at = line.find(shown.removesuffix("...").strip("\r")) if shown else 0
    return SqlError(message, number, max(0, at) + max(0, caret) + 1)


def _told(text: str) -> Iterator[str]:
    """The first line, and what DuckDB would have meant instead."""
    for number, line in enumerate(text.strip().splitlines()):
        harmless = "".join(char if char.isprintable() else "\ufffd" for char in line.strip())
        if number == 0 or line.startswith(("Did you mean", "Candidate bindings")):
            yield harmless[:300].rstrip(".!?")
