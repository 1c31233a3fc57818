"""Queries answered through the store's owner give what they give on the file itself."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from arena_tui.errors import StoreError, UsageError
from arena_tui.store.database import Database
from arena_tui.store.wire import answer_queries, decode_rows, encode_queries

AT = datetime(2026, 11, 28, 12, 3, 14, 123456)


def asked(database: Database, sql: str, parameters: Any = ()) -> Any:
    body = encode_queries([(sql, parameters)])
    (rows,) = decode_rows(b"".join(database.read_now(lambda each: answer_queries(each, body))))
    return rows


@pytest.fixture
def database(path: str) -> Any:
    opened = Database(path)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1, 2**63, -(2**63), 2**100, 1.5, "", "é\0\n", b"\0\xff", AT,
     Decimal("1.50"), ["a", None], [[1], [2]], {"a": AT}],
)  # fmt: skip
def test_a_value_comes_as_duckdb_gives_it(database: Database, value: Any) -> None:
    kind = "TIMESTAMP" if value == AT else ""
    sql = f"SELECT ?::{kind}" if kind else "SELECT ?"

    (there,) = asked(database, sql, [value])[0]
    (here,) = database.read_now(lambda each: each.execute(sql, [value]).fetchone())

    assert there == here
    assert type(there) is type(here)


def test_floats_that_are_no_numbers_come_through(database: Database) -> None:
    ((nan, least),) = asked(database, "SELECT 'nan'::DOUBLE, '-inf'::DOUBLE")

    assert nan != nan
    assert least == -float("inf")


def test_a_time_with_a_zone_is_the_same_moment(database: Database) -> None:
    given = datetime(2026, 11, 28, 12, tzinfo=UTC)

    assert asked(database, "SELECT ?::TIMESTAMP", [given]) == [(given.replace(tzinfo=None),)]


def test_parameters_may_be_named(database: Database) -> None:
    assert asked(database, "SELECT $b, $a", {"a": 1, "b": "two"}) == [("two", 1)]


def test_all_queries_of_one_request_see_one_moment(database: Database) -> None:
    body = encode_queries([("SELECT transaction_timestamp()", ()), ("SELECT now()", ())])

    rows = decode_rows(b"".join(database.read_now(lambda each: answer_queries(each, body))))

    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM runs", "SELECT 1; SELECT 2", "CREATE TABLE a (b INT)", "COPY runs TO '/tmp/a'",
     "ATTACH ':memory:'", "PRAGMA database_list", "SET threads = 1", ""],
)  # fmt: skip
def test_only_one_select_is_answered(database: Database, sql: str) -> None:
    with pytest.raises(UsageError, match="only one SELECT"):
        asked(database, sql)


def test_what_is_no_sql_is_refused_in_one_line(database: Database) -> None:
    with pytest.raises(StoreError) as refused:
        asked(database, "SELEKT\n1")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x91\x01", b"\x00" * 100])
def test_garbage_is_refused(database: Database, body: bytes) -> None:
    with pytest.raises(UsageError, match="not a list of queries"):
        database.read_now(lambda each: answer_queries(each, body))
