"""Every accepted event becomes a row; a batch the store cannot hold is rejected whole."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pytest

from arena_tui.events import Envelope, Event, LogEvent, OtherEvent
from arena_tui.store.arrow import append_events, event_columns
from arena_tui.store.schema import migrate
from tests.envelopes import envelope

AT = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    migrate(connection)
    return connection


def stored(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    return connection.execute("FROM events ORDER BY seq").fetchall()


@pytest.mark.parametrize(
    ("event", "columns"),
    [
        (LogEvent(ts=AT), (None, "log", None, AT)),
        (LogEvent(ts=AT, turn=0, agent_id=""), (0, "log", "", AT)),
        (LogEvent(ts=AT, turn=-(2**31), agent_id="a\0b"), (-(2**31), "log", "a\0b", AT)),
        (LogEvent(ts=AT, turn=2**31 - 1, agent_id="é😀"), (2**31 - 1, "log", "é😀", AT)),
        (OtherEvent(ts=AT, name="日本\0"), (None, "日本\0", None, AT)),
        *(
            (LogEvent(ts=at), (None, "log", None, at))
            for at in (
                datetime.min.replace(tzinfo=UTC),
                datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
                datetime(2262, 4, 11, 23, 47, 16, 854776, tzinfo=UTC),
                datetime.max.replace(tzinfo=UTC),
            )
        ),
    ],
)
def test_all_that_the_codec_takes_comes_back_as_it_was(
    connection: duckdb.DuckDBPyConnection, event: Event, columns: tuple[object, ...]
) -> None:
    plain = envelope("run", 2**62, 1, LogEvent(ts=AT, turn=7, agent_id="x"))
    row = envelope("r" * 128, 1, 2, event)

    append_events(connection, [plain, row], "events")

    turn, kind, agent_id, ts = columns
    assert isinstance(ts, datetime)
    assert stored(connection) == [
        ("run", 2**62, 1, 7, "log", "x", AT.replace(tzinfo=None), plain.raw.decode()),
        ("r" * 128, 1, 2, turn, kind, agent_id, ts.replace(tzinfo=None), row.raw.decode()),
    ]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 64, 2_048, 5_000])
def test_rows_of_any_number_with_nulls_anywhere(
    connection: duckdb.DuckDBPyConnection, count: int
) -> None:
    rows = [
        envelope(f"run-{seq % 3}", 1, seq, LogEvent(
            ts=AT, turn=seq if seq % 5 else None, agent_id=f"a{seq}" if seq % 7 else None
        ))
        for seq in range(count)
    ]  # fmt: skip

    append_events(connection, rows, "events")

    assert [(row[0], row[2], row[3], row[5]) for row in stored(connection)] == [
        (each.run_id, each.seq, each.event.turn, each.event.agent_id) for each in rows
    ]


@pytest.mark.parametrize("raw", [b'{"text":"\xff"}', b'{"text":"\xc3', b'{"text":"\xed\xa0\x80"}'])
def test_a_payload_that_is_no_utf_8_is_refused_with_its_batch(
    connection: duckdb.DuckDBPyConnection, raw: bytes
) -> None:
    good = envelope("run", 1, 1, LogEvent())
    bad = Envelope("run", 1, 2, LogEvent(), raw)

    with pytest.raises(duckdb.ProgrammingError, match="unicode"):
        append_events(connection, [good, bad, good], "events")

    assert stored(connection) == []


def test_a_lone_surrogate_in_a_name_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        event_columns([Envelope("run", 1, 1, LogEvent(agent_id="\ud800"), b"{}")])
