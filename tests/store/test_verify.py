"""Each kind of damage to a store's rows is found, and a whole store has none."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from arena_tui.events import ErrorEvent, Gap, LlmResponse, LogEvent, OtherEvent, RunEnd
from arena_tui.store.database import Connection, Database
from arena_tui.store.verify import verify_store
from tests.envelopes import envelope
from tests.store_fixture import problems, store

AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
async def filled(database: Database) -> Database:
    """Run a: 1 to 3, a gap of 4 to 6, 7 to 9, ended; run b: a new epoch after a reset."""
    await store(
        database,
        [
            envelope("a", 7, 1, LogEvent(turn=2)),
            envelope("a", 7, 2, LlmResponse(input_tokens=5, output_tokens=1, cost_usd=0.1)),
            envelope("a", 7, 3, ErrorEvent()),
            Gap("a", 7, 4, 6, "trimmed"),
            envelope("a", 7, 7, OtherEvent(name="llm_answer", turn=9, extra={"cost_usd": 5})),
            envelope("a", 7, 8, LlmResponse(cost_usd=0.2)),
            envelope("a", 7, 9, RunEnd(ts=AT, status="crashed")),
            envelope("b", 7, 1, LogEvent()),
            Gap("b", 7, 2, 1, "unknown"),
            envelope("b", 8, 1, LogEvent()),
        ],
    )
    return database


async def test_a_whole_store_has_no_problems(filled: Database) -> None:
    verdicts = filled.read_now(verify_store)

    assert [
        (each.run_id, each.events, each.lost, each.lost_unknown, each.gaps, each.problems)
        for each in verdicts
    ] == [("a", 6, 3, 0, 1, ()), ("b", 2, 0, 1, 0, ())]


class InterferingConnection:
    """A connection that calls `interfere`, which stores another event, before each query."""

    def __init__(self, connection: Connection, interfere: Callable[[], None]) -> None:
        self._connection = connection
        self._interfere = interfere

    def execute(self, query: str) -> Any:
        self._interfere()
        return self._connection.execute(query)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def test_it_sees_one_moment_while_events_are_stored(filled: Database) -> None:
    loop = asyncio.get_running_loop()
    seqs = itertools.count(2)

    def interfere() -> None:
        batch = [envelope("b", 8, next(seqs), LogEvent())]
        asyncio.run_coroutine_threadsafe(store(filled, batch), loop).result()

    verdicts = await filled.read(lambda c: verify_store(InterferingConnection(c, interfere)))  # type: ignore[arg-type]

    assert next(seqs) > 3
    assert [each for each in verdicts if each.problems] == []


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM events WHERE run_id = 'a' AND seq = 2", "1 of 9 seqs neither stored"),
        ("DELETE FROM events WHERE run_id = 'a' AND seq = 1", "1 of 9 seqs neither stored"),
        ("DELETE FROM events WHERE run_id = 'a' AND seq = 9", "cursor is 7-9, counted 7-8"),
        ("INSERT INTO events FROM events WHERE run_id = 'a' AND seq = 3", "1 duplicate events"),
        ("INSERT INTO events SELECT * REPLACE (5 AS seq) FROM events WHERE seq = 3",
         "1 events inside gaps"),
        ("DELETE FROM gaps WHERE run_id = 'a'", "3 of 9 seqs neither stored"),
        ("INSERT INTO gaps FROM gaps WHERE run_id = 'a'", "lost is 3, counted 6"),
        ("UPDATE gaps SET to_seq = 5 WHERE run_id = 'a'", "1 of 9 seqs neither stored"),
        ("UPDATE runs SET seq = 8 WHERE run_id = 'a'", "cursor is 7-8, counted 7-9"),
        ("UPDATE runs SET epoch = 7 WHERE run_id = 'b'", "cursor is 7-1, counted 8-1"),
        ("UPDATE runs SET events = 7 WHERE run_id = 'a'", "events is 7, counted 6"),
        ("UPDATE runs SET turns = 2 WHERE run_id = 'a'", "turns is 2, counted 9"),
        ("UPDATE runs SET errors = 0 WHERE run_id = 'a'", "errors is 0, counted 1"),
        ("UPDATE runs SET lost = 0 WHERE run_id = 'a'", "lost is 0, counted 3"),
        ("UPDATE runs SET lost_unknown = 0 WHERE run_id = 'b'", "lost_unknown is 0, counted 1"),
        ("DELETE FROM gaps WHERE run_id = 'b'", "lost_unknown is 1, counted 0"),
        ("UPDATE runs SET input_tokens = 6 WHERE run_id = 'a'", "input_tokens is 6, counted 5"),
        ("UPDATE runs SET output_tokens = NULL", "output_tokens is None, counted 1"),
        ("UPDATE runs SET cost_usd = 0.31 WHERE run_id = 'a'", "cost_usd is 0.31, counted 0.3"),
        ("UPDATE runs SET cost_usd = 0 WHERE run_id = 'b'", "cost_usd is 0.0, counted None"),
        ("UPDATE runs SET status = 'finished' WHERE run_id = 'a'", "status is finished, counted c"),
        ("UPDATE runs SET status = 'stopped' WHERE run_id = 'b'", "status is stopped, counted r"),
        ("DELETE FROM runs WHERE run_id = 'a'", "events without a run"),
        ("DELETE FROM events WHERE run_id = 'b'", "events is 2, counted 0"),
    ],
)  # fmt: skip
async def test_damage_is_found(filled: Database, damage: str, found: str) -> None:
    await filled.write(lambda connection: connection.execute(damage).fetchall())

    assert any(found in problem for problem in problems(filled))


async def test_one_token_in_two_billion_is_not_overlooked(database: Database) -> None:
    await store(database, [envelope("a", 7, 1, LlmResponse(input_tokens=2_000_000_000))])
    await database.write(
        lambda c: c.execute("UPDATE runs SET input_tokens = input_tokens - 1").fetchall()
    )

    assert problems(database) == ["a: input_tokens is 1999999999, counted 2000000000"]


async def test_sums_that_leave_their_range_are_no_problem(database: Database) -> None:
    huge = [LlmResponse(input_tokens=2**53, cost_usd=1e308) for _ in range(1_025)]
    costs = [LlmResponse(cost_usd=cost) for cost in (1e17, 1.0, -1e17, 0.1)]

    await store(database, [envelope("a", 7, seq, event) for seq, event in enumerate(huge, 1)])
    await store(database, [envelope("b", 7, seq, event) for seq, event in enumerate(costs, 1)])

    assert problems(database) == []


async def test_gaps_of_no_run_are_found(database: Database) -> None:
    await database.write(
        lambda c: c.execute(
            "INSERT INTO gaps VALUES ('ghost', 7, 1, 3, 'trimmed', TIMESTAMP '2026-01-01')"
        ).fetchall()
    )

    assert problems(database) == ["ghost: events without a run"]
