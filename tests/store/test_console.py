"""What can be asked of the store in SQL, and what cannot, wherever it is open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from arena_tui.errors import StoreError, UsageError
from arena_tui.events import LogEvent, RunStart
from arena_tui.store.console import BYTES_MAX, Result, SqlError, read_words, run_sql
from arena_tui.store.database import Connection, Database
from arena_tui.store.wire import (
    answer_console,
    answer_queries,
    decode_result,
    decode_rows,
    encode_console,
    encode_queries,
)
from tests.envelopes import envelope
from tests.store_fixture import store
from tests.waiting import until

EPOCH = 1
AT = datetime(2026, 3, 14, 12, tzinfo=UTC)
ASKED = "SELECT count(*) FROM events"


def _fill(database: Database) -> Database:
    events = [
        envelope("run", 1, EPOCH, RunStart(ts=AT, game="chess")),
        *(envelope("run", seq, EPOCH, LogEvent(ts=AT, text=f"line {seq}")) for seq in range(2, 6)),
    ]
    asyncio.run(store(database, events))
    return database


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A store that no query may change, so that one serves for all of them."""
    opened = Database(str(tmp_path_factory.mktemp("console") / "arena.duckdb"))
    yield _fill(opened)
    opened.close()


@pytest.fixture
def own(database: Database) -> Database:
    """One to be written."""
    return _fill(database)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A file that no query may see, and a folder that stays as it is."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.csv").write_text("a,b\n1,2\n")
    yield folder
    assert [each.name for each in folder.iterdir()] == ["secret.csv"]
    assert (folder / "secret.csv").read_text() == "a,b\n1,2\n"


def here(database: Database, sql: str) -> Result:
    return database.read_now(lambda reader: run_sql(reader, sql))


def over_the_socket(database: Database, sql: str) -> Result:
    body = encode_console(sql, 10_000)
    pieces = database.read_now(lambda connection: answer_console(connection, body))
    return decode_result(b"".join(pieces))


def as_a_query_of_ours(database: Database, sql: str) -> Result:
    body = encode_queries([(sql, ())])
    pieces = database.read_now(lambda connection: answer_queries(connection, body))
    (rows,) = decode_rows(b"".join(pieces))
    return Result(columns=[], rows=[list(row) for row in rows])


WAYS = [here, over_the_socket, as_a_query_of_ours]

ESCAPES = [
    "COPY events TO '{folder}/out.csv'",
    "COPY events FROM '{folder}/secret.csv'",
    "COPY (SELECT 1) TO '{folder}/out.parquet' (FORMAT parquet)",
    "COPY FROM DATABASE arena TO other",
    "ATTACH '{folder}/other.duckdb'",
    "ATTACH ':memory:' AS other",
    "DETACH arena",
    "EXPORT DATABASE '{folder}/all'",
    "IMPORT DATABASE '{folder}'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "SET threads = 1",
    "SET enable_external_access = true",
    "SET VARIABLE a = 1",
    "RESET threads",
    "USE arena",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
    "COMMIT",
    "CALL enable_logging()",
    "PREPARE a AS SELECT 1",
    "CREATE VIEW a AS SELECT 1",
    "CREATE VIEW a AS FROM '{folder}/secret.csv'",
    "CREATE TABLE a AS FROM events",
    "CREATE TEMP TABLE a AS FROM '{folder}/secret.csv'",
    "CREATE MACRO a() AS TABLE FROM '{folder}/secret.csv'",
    "CREATE SECRET a (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "INSERT INTO events FROM events",
    "UPDATE events SET kind = 'x'",
    "DELETE FROM events",
    "TRUNCATE events",
    "DROP TABLE events",
    "ALTER TABLE events ADD COLUMN a INT",
    "SELECT 1; DELETE FROM events",
    "SELECT 1; SELECT 2",
    "WITH a AS (INSERT INTO bookmarks FROM bookmarks RETURNING seq) FROM a",
    "WITH a AS (DELETE FROM events RETURNING seq) FROM a",
    "WITH a AS (UPDATE events SET kind = 'x' RETURNING seq) FROM a",
    "SELECT * FROM (WITH a AS (DELETE FROM events RETURNING seq) FROM a)",
    "EXPLAIN ANALYZE DELETE FROM events",
    "EXPLAIN ANALYZE SELECT * FROM read_csv('{folder}/secret.csv')",
    "FROM read_csv('{folder}/secret.csv')",
    "FROM read_csv_auto('{folder}/secret.csv')",
    "FROM sniff_csv('{folder}/secret.csv')",
    "FROM read_text('{folder}/secret.csv')",
    "FROM read_blob('{folder}/secret.csv')",
    "FROM read_json('{folder}/secret.csv')",
    "FROM read_ndjson_objects('{folder}/secret.csv')",
    "FROM read_parquet('{folder}/secret.csv')",
    "FROM parquet_metadata('{folder}/secret.csv')",
    "FROM read_duckdb('{folder}/secret.csv')",
    "FROM READ_TEXT('{folder}/secret.csv')",
    "FROM \"read_text\"('{folder}/secret.csv')",
    "FROM main.read_text('{folder}/secret.csv')",
    "FROM glob('{folder}/*')",
    "SELECT (SELECT max(content) FROM read_text('{folder}/secret.csv'))",
    "FROM events, LATERAL (FROM read_text('{folder}/secret.csv'))",
    "SELECT 1 UNION ALL SELECT size FROM read_text('{folder}/secret.csv')",
    "DESCRIBE (FROM read_csv('{folder}/secret.csv'))",
    "SUMMARIZE '{folder}/secret.csv'",
    "FROM '{folder}/secret.csv'",
    'SELECT * FROM "{folder}/secret.csv"',
    "FROM '{folder}/*.csv'",
    "FROM 'https://example.org/a.csv'",
    "FROM read_blob('{store}')",
    "FROM '{store}'",
    "FROM query('FROM read_text(''{folder}/secret.csv'')')",
    "FROM query_table('{folder}/secret.csv')",
    "FROM query('DELETE FROM events')",
    "FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''{folder}/a.csv'')'))",
    "FROM enable_logging(storage = 'file', storage_path = '{folder}/log')",
    "FROM enable_profiling(save_location = '{folder}/profile')",
    "FROM duckdb_logs()",
    "FROM truncate_duckdb_logs()",
    "FROM checkpoint()",
    "FROM duckdb_secrets()",
    "SELECT write_log('a')",
    "SELECT getenv('HOME')",
    "FROM connection",
    "FROM rows",
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("escape", ESCAPES)
def test_what_does_more_than_read_the_store_is_refused_in_one_line_and_without_effect(
    filled: Database, outside: Path, escape: str, way: Callable[[Database, str], Result]
) -> None:
    sql = escape.replace("{folder}", str(outside)).replace("{store}", filled.path)

    with pytest.raises((UsageError, StoreError)) as refused:
        way(filled, sql)

    assert "\n" not in str(refused.value)
    assert 10 < len(str(refused.value)) < 500
    assert here(filled, ASKED).rows == [[5]]
    assert here(filled, "SELECT DISTINCT kind FROM events").rows.count(["x"]) == 0


@pytest.mark.parametrize("escape", [
    "COPY events TO '{folder}/out.csv'", "FROM read_csv('{folder}/secret.csv')",
    "ATTACH '{folder}/other.duckdb'", "SET threads = 1", "SET enable_external_access = true",
    "SET lock_configuration = false", "SET allowed_paths = ['{folder}/secret.csv']",
    "INSTALL httpfs", "EXPORT DATABASE '{folder}/all'", "CALL enable_profiling()",
])  # fmt: skip
def test_no_connection_of_an_open_store_reaches_a_file_or_a_setting(
    filled: Database, outside: Path, escape: str
) -> None:
    sql = escape.replace("{folder}", str(outside))

    with pytest.raises(StoreError, match=r"disabled|locked|not permitted|Cannot"):
        filled.read_now(lambda connection: connection.execute(sql).fetchall())


def test_a_locked_store_is_written_closed_and_opened_as_ever(own: Database, path: str) -> None:
    asyncio.run(store(own, [envelope("run", 6, EPOCH, LogEvent(ts=AT, text="more"))]))
    own.close()

    assert not Path(f"{path}.wal").exists()
    again = Database(path, only_read=True)
    assert here(again, ASKED).rows == [[6]]
    again.close()


@pytest.mark.parametrize("sql", [
    "FROM runs", "TABLE runs", "VALUES (1)", "SHOW TABLES", "DESCRIBE runs", "SUMMARIZE runs",
    "SELECT 1;", "SELECT unnest([1, 2])", "FROM range(3)", "-- a note\nSELECT 1 -- another",
    "SELECT payload->>'$.kind', key FROM events, json_each(payload)",
    "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 5) FROM a",
    "PIVOT events ON kind IN ('log') USING count(*)",
    "SELECT run_id, count(*) FILTER (kind = 'log') FROM events GROUP BY ALL ORDER BY ALL",
    "SELECT column_name FROM duckdb_columns() WHERE NOT internal",
    "FROM information_schema.tables",
])  # fmt: skip
def test_queries_of_all_kinds_are_answered_alike_everywhere(filled: Database, sql: str) -> None:
    found = here(filled, sql)

    told = over_the_socket(filled, sql)
    assert found.rows
    assert (told.columns, told.cut) == (found.columns, found.cut)
    assert sorted(told.rows, key=repr) == sorted(found.rows, key=repr)  # some are in no order


def test_values_keep_their_types(filled: Database) -> None:
    sql = (
        "SELECT 1 AS a, 2.5 AS a, true AS b, NULL AS c, TIMESTAMP '2026-03-14 12:00:00.5' AS d, "
        "TIMESTAMPTZ '2026-03-14 12:00:00+02' AS e, DATE '2026-03-14' AS f, [1, 2] AS g, "
        "{'x': 'y'} AS h, 170141183460469231731687303715884105727::HUGEINT AS i, "
        "'ab\\x00\\x5C'::BLOB AS j, 'inf'::DOUBLE AS k, MAP {1: 2} AS l, INTERVAL 1 DAY AS m"
    )

    for found in (here(filled, sql), over_the_socket(filled, sql)):
        names = [name for name, _ in found.columns]
        assert names == ["a", "a_1", *"bcdefghijklm"]
        assert found.rows == [[
            1, Decimal("2.5"), True, None, datetime(2026, 3, 14, 12, 0, 0, 500_000),
            datetime(2026, 3, 14, 10), "2026-03-14", [1, 2], {"x": "y"}, 2**127 - 1,
            "ab\\x00\\x5C", "inf", {"1": 2}, str(timedelta(days=1)),
        ]]  # fmt: skip
        assert [found.is_number(column) for column in range(4)] == [True, True, False, False]


def test_many_rows_are_cut_and_it_is_said(filled: Database) -> None:
    found = here(filled, "SELECT a FROM range(100000000000) t(a)")

    assert [row[0] for row in found.rows] == list(range(10_000))
    assert found.cut == "first 10,000 rows of more"
    assert here(filled, "FROM range(10000)").cut == ""
    few = filled.read_now(lambda reader: run_sql(reader, "FROM range(10)", 3))
    assert (len(few.rows), few.cut) == (3, "first 3 rows of more")
    none = filled.read_now(lambda reader: run_sql(reader, "FROM range(10)", 0))
    assert (none.rows, none.cut) == ([], "first 0 rows of more")


def test_many_bytes_are_cut_and_it_is_said(filled: Database) -> None:
    found = here(filled, "SELECT repeat('x', 1000000) FROM range(1000)")

    assert len(found.rows) == BYTES_MAX // 1_000_016
    assert found.cut == f"first {len(found.rows)} rows of more: 16 MB"
    with pytest.raises(UsageError, match="one row has more than 16 MB"):
        here(filled, "SELECT repeat('x', 100000000)")


@pytest.mark.parametrize(("sql", "line", "column"), [
    ("SELEC 1", 1, 1),
    ("SELECT frm FROM runs", 1, 8),
    ("SELECT 1,\n  2,\n  nosuch FROM runs", 3, 3),
    ("SELECT * FROM nosuch", 1, 15),
    ("SELECT " + "1 + " * 40 + "nosuch FROM runs", 1, 168),
    ("SELECT 'ä', nosuch FROM runs", 1, 13),
], ids=str)  # fmt: skip
def test_an_error_points_to_its_place(filled: Database, sql: str, line: int, column: int) -> None:
    with pytest.raises(SqlError) as wrong:
        here(filled, sql)

    assert (wrong.value.line, wrong.value.column) == (line, column)
    assert f"line {line}, column {column}" in str(wrong.value)
    with pytest.raises(UsageError, match=f"line {line}, column {column}"):
        over_the_socket(filled, sql)


def test_what_an_error_quotes_is_harmless(filled: Database) -> None:
    with pytest.raises(SqlError) as wrong:
        here(filled, "SELECT (chr(27) || '[31mred' || chr(10) || 'x')::INTEGER")

    assert str(wrong.value).isprintable()
    assert "red" in str(wrong.value)


ENDLESS = [
    "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT 1 FROM a) SELECT count(*) FROM a",
    "SELECT count(*) FROM range(1000000000000) a, range(1000000) b",
    "SELECT a.range FROM range(1000000000000) a WHERE a.range < 0",
]


@pytest.mark.parametrize("sql", ENDLESS)
async def test_an_endless_query_ends_when_it_is_cancelled(filled: Database, sql: str) -> None:
    reading = asyncio.create_task(filled.read(partial(run_sql, sql=sql)))
    await until(lambda: filled.reads)

    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading
    await until(lambda: not filled.reads)
    assert (await filled.read(partial(run_sql, sql=ASKED))).rows == [[5]]


async def test_writing_goes_on_while_an_endless_query_runs(own: Database) -> None:
    begun = threading.Event()

    def endless(connection: Connection) -> object:
        begun.set()
        return run_sql(connection, ENDLESS[0])

    reading = asyncio.create_task(own.read(endless))
    await asyncio.to_thread(begun.wait)

    await store(own, [envelope("run", 6, EPOCH, LogEvent(ts=AT, text="meanwhile"))])

    assert (await own.read(partial(run_sql, sql=ASKED))).rows == [[6]]
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


def test_words_for_completion_are_those_of_the_store(filled: Database) -> None:
    tables, columns = filled.read_now(read_words)

    assert {"runs", "events", "gaps", "bookmarks"} <= set(tables)
    assert {"run_id", "payload", "game"} <= set(columns)
    assert len(set(columns)) == len(columns)


def test_a_refused_function_is_named_with_what_to_do(filled: Database) -> None:
    with pytest.raises(UsageError, match=r"cannot call getenv\(\): leave it out"):
        here(filled, "SELECT getenv('HOME')")


def test_a_very_long_query_is_refused(filled: Database) -> None:
    with pytest.raises(UsageError, match=r"at most 65,536 characters: .* shorten it"):
        here(filled, "SELECT " + "1," * 40_000 + "1")


def test_nesting_that_is_too_deep_is_refused(filled: Database) -> None:
    with pytest.raises(UsageError):
        here(filled, "SELECT " + "(" * 20_000 + "1" + ")" * 20_000)
