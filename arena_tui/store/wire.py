"""Queries and rows as bytes, for who reads the store through its owner. Sends nothing."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta
from msgspec.msgpack import Ext

from arena_tui.errors import UsageError
from arena_tui.store.console import ROWS_MAX, SQL_MAX, Result, answer_sql
from arena_tui.store.database import Connection
from arena_tui.store.guarded import only_select, reading_only

Query: TypeAlias = tuple[str, Sequence[Any] | dict[str, Any]]
"""SQL and its parameters, by place or by name."""

Row: TypeAlias = tuple[Any, ...]

_TIME, _INTEGER, _DECIMAL = 1, 2, 3
"""What MessagePack has no type for: a time without a zone, a long integer, a decimal number."""

ANSWER_MAX_BYTES: Final = 256 * 1024 * 1024
"""Of one answer: a thousand of the largest events that a run has as a rule."""

_ROWS_AT_ONCE: Final = 1_000
_PIECE_BYTES: Final = 256 * 1024
_EPOCH: Final = datetime(1970, 1, 1)
_INT64: Final = 2**63


def encode_queries(queries: Sequence[Query]) -> bytes:
    return _encoder.encode([(sql, _plain_parameters(given)) for sql, given in queries])


def answer_queries(connection: Connection, asked: bytes) -> list[bytes]:
    """The rows of each query, all from one snapshot of the store; in pieces, to be joined.

    Raises:
        UsageError: It cannot be decoded, is too long, or one of them does more than read, or has
            too many rows.
    """
    queries = _decoded(asked)
    with reading_only(connection):
        answer = _Answer(len(queries))
        for sql, parameters in queries:
            _add_rows(answer, connection.execute(only_select(connection, sql), parameters))
        return answer.pieces


def encode_console(sql: str, limit: int) -> bytes:
    return _encoder.encode((sql, limit))


def answer_console(connection: Connection, asked: bytes) -> list[bytes]:
    """See `console.answer_sql`; the result as bytes, for `decode_result`.

    Raises:
        UsageError: It cannot be decoded, or see there.
    """
    try:
        sql, limit = _console_decoder.decode(asked)
    except msgspec.MsgspecError as error:
        raise UsageError(f"not a query: {error}") from None
    found = answer_sql(connection, sql, limit)
    rows = [_plain(row) for row in found.rows]
    return [_encoder.encode((found.columns, rows, found.cut))]


def decode_result(answer: bytes) -> Result:
    columns, rows, cut = _result_decoder.decode(answer)
    return Result(columns=columns, rows=rows, cut=cut)


def decode_rows(answer: bytes) -> list[list[Row]]:
    """The rows of each query."""
    return _row_decoder.decode(answer)


class _Answer:
    """An array of arrays of rows, as it is encoded."""

    def __init__(self, count: int) -> None:
        self.pieces = [_head(count)]
        self._size = 0

    def begin(self) -> int:
        """Leave room for the head of the next array of rows; returns where."""
        self.pieces.append(b"")
        return len(self.pieces) - 1

    def add(self, rows: Sequence[Row]) -> int:
        """Add rows to it; returns how many bytes they are."""
        piece = bytearray()
        try:
            for row in rows:
                _encoder.encode_into([_plain(value) for value in row], piece, -1)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise UsageError(f"a value cannot be sent: {error}") from None
        self._size += len(piece)
        if self._size > ANSWER_MAX_BYTES:
            raise UsageError(f"more than {ANSWER_MAX_BYTES:,} bytes at once: ask for fewer rows")
        self.pieces.append(bytes(piece))
        return len(piece)

    def end(self, begun: int, count: int) -> None:
        self.pieces[begun] = _head(count)


def _head(count: int) -> bytes:
    """The head of an array of so many values (MessagePack's `array 32`)."""
    return struct.pack(">BI", 0xDD, count)


def _add_rows(answer: _Answer, result: Connection) -> None:
    """Add all rows, a few at a time: while many are made at once, nothing else can run."""
    begun, count, at_once = answer.begin(), 0, 1
    while rows := result.fetchmany(at_once):
        count += len(rows)
        size = answer.add(rows)
        at_once = min(_ROWS_AT_ONCE, 2 * at_once) if size < _PIECE_BYTES else max(1, at_once // 2)
    answer.end(begun, count)


def _decoded(asked: bytes) -> list[tuple[str, Any]]:
    try:
        queries: list[tuple[str, Any]] = _query_decoder.decode(asked)
    except (msgspec.MsgspecError, ArithmeticError, ValueError, TypeError, struct.error) as error:
        raise UsageError(f"not a list of queries: {error}") from None
    return queries


def _plain_parameters(given: Sequence[Any] | dict[str, Any]) -> Any:
    if isinstance(given, dict):
        return {name: _plain(value) for name, value in given.items()}
    return [_plain(value) for value in given]


def _plain(value: Any) -> Any:
    """The value, as something that MessagePack has a type for."""
    kind = type(value)
    if kind is str or value is None:
        return value
    if kind is int:
        if -_INT64 <= value < _INT64:
            return value
        return Ext(_INTEGER, str(value).encode())
    if kind is datetime:
        at = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return Ext(_TIME, struct.pack("q", (at - _EPOCH) // timedelta(microseconds=1)))
    if kind is Decimal:
        return Ext(_DECIMAL, str(value).encode())
    if kind in (list, tuple):
        return [_plain(each) for each in value]
    if kind is dict:
        return {name: _plain(each) for name, each in value.items()}
    return value


def _of_ext(code: int, data: memoryview) -> Any:
    match code:
        case 1:
            return _EPOCH + timedelta(microseconds=struct.unpack("q", data)[0])
        case 2:
            return int(bytes(data))
        case 3:
            return Decimal(bytes(data).decode())
    raise ValueError(f"unknown type {code}")


_encoder = msgspec.msgpack.Encoder()
_Sql: TypeAlias = Annotated[str, Meta(max_length=64 * 1024)]
_ByPlace: TypeAlias = Annotated[list[Any], Meta(max_length=1_000)]
_ByName: TypeAlias = Annotated[dict[str, Any], Meta(max_length=1_000)]
_query_decoder: Final = msgspec.msgpack.Decoder(
    Annotated[list[tuple[_Sql, _ByPlace | _ByName]], Meta(max_length=100)], ext_hook=_of_ext
)
_console_decoder: Final = msgspec.msgpack.Decoder(
    tuple[Annotated[str, Meta(max_length=SQL_MAX)], Annotated[int, Meta(ge=0, le=ROWS_MAX)]]
)
_result_decoder = msgspec.msgpack.Decoder(
    tuple[list[tuple[str, str]], list[list[Any]], str], ext_hook=_of_ext
)
_row_decoder = msgspec.msgpack.Decoder(list[list[tuple[Any, ...]]], ext_hook=_of_ext)
