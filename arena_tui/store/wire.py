"""Queries and rows as bytes, for who reads the store through its owner. Sends nothing."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

import duckdb
import msgspec
from msgspec.msgpack import Ext

from arena_tui.errors import UsageError
from arena_tui.store.database import Connection

Query: TypeAlias = tuple[str, Sequence[Any] | dict[str, Any]]
"""SQL and its parameters, by place or by name."""

Row: TypeAlias = tuple[Any, ...]

_TIME, _INTEGER, _DECIMAL = 1, 2, 3
"""What MessagePack has no type for: a time without a zone, a long integer, a decimal number."""

_EPOCH: Final = datetime(1970, 1, 1)
_INT64: Final = 2**63


def encode_queries(queries: Sequence[Query]) -> bytes:
    return _encoder.encode([(sql, _plain_parameters(given)) for sql, given in queries])


def answer_queries(connection: Connection, asked: bytes) -> bytes:
    """The rows of each query, all from one snapshot of the store.

    Raises:
        UsageError: It cannot be decoded, or one of them does more than read.
    """
    try:
        queries = _query_decoder.decode(asked)
    except msgspec.MsgspecError as error:
        raise UsageError(f"not a list of queries: {error}") from None
    connection.begin()
    try:
        return _encoder.encode([_rows(connection, *each) for each in queries])
    finally:
        connection.rollback()


def decode_rows(answer: bytes) -> list[list[Row]]:
    """The rows of each query."""
    return _row_decoder.decode(answer)


def _rows(connection: Connection, sql: str, parameters: Any) -> list[list[Any]]:
    statements = connection.extract_statements(sql)
    if [each.type for each in statements] != [duckdb.StatementType.SELECT]:
        raise UsageError("only one SELECT a query is answered")
    found = connection.execute(statements[0], parameters).fetchall()
    return [[_plain(value) for value in row] for row in found]


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
_query_decoder = msgspec.msgpack.Decoder(
    list[tuple[str, list[Any] | dict[str, Any]]], ext_hook=_of_ext
)
_row_decoder = msgspec.msgpack.Decoder(list[list[tuple[Any, ...]]], ext_hook=_of_ext)
