"""What a store costs in memory while it fills."""

from __future__ import annotations

import random

from arena_tui.events import LogEvent
from arena_tui.store.database import Database
from tests.envelopes import envelope
from tests.store_fixture import store

CACHE_MAX = 24_000_000
"""16 MB, and what a few commits add before the next eviction."""


def cached(database: Database) -> int:
    """Bytes that DuckDB holds."""
    query = "SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()"
    return int(database.read_now(lambda c: c.execute(query).fetchall())[0][0])


def limit(database: Database) -> object:
    query = "SELECT current_setting('memory_limit')"
    return database.read_now(lambda c: c.execute(query).fetchall())


async def fill(database: Database, batches: int) -> None:
    """Commit batches of 1,000 events whose texts do not compress well, 60 MB per hundred."""
    noise = random.Random(7)
    for batch in range(batches):
        await store(database, [
            envelope("a", 1, seq, LogEvent(text=noise.randbytes(300).hex()))
            for seq in range(batch * 1_000 + 1, batch * 1_000 + 1_001)
        ])  # fmt: skip


def row_groups(database: Database) -> int:
    """In which the events on disk lie."""
    query = "SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('events')"
    return int(database.read_now(lambda c: c.execute(query).fetchall())[0][0])


async def test_row_groups_are_merged_only_when_the_store_is_closed(path: str) -> None:
    database = Database(path)
    for seq in range(1, 5):
        await store(database, [envelope("a", 1, seq, LogEvent())])
        database.read_now(lambda c: c.execute("CHECKPOINT"))
    while_open = row_groups(database)
    await store(database, [envelope("a", 1, 5, LogEvent())])
    database.close()

    database = Database(path)
    reopened = row_groups(database)
    database.close()

    assert while_open == 4
    assert reopened == 1


async def test_what_is_stored_and_read_does_not_stay_in_memory(database: Database) -> None:
    before = limit(database)
    await fill(database, 160)

    await database.read(lambda c: c.execute("SELECT sum(length(payload)) FROM events").fetchall())
    read = cached(database)
    for seq in range(1, 17):
        await store(database, [envelope("b", 1, seq, LogEvent())])

    assert read > CACHE_MAX
    assert cached(database) < CACHE_MAX
    assert limit(database) == before
