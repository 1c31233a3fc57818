"""A store takes no more space than what is left in it."""

from __future__ import annotations

import asyncio
import os
import resource
from contextlib import closing
from pathlib import Path

import pytest

from arena_tui.errors import StoreError
from arena_tui.events import LogEvent
from arena_tui.store.changes import Delete
from arena_tui.store.database import Database
from arena_tui.store.shrinking import shrink
from tests.envelopes import envelope
from tests.programs import holding
from tests.store_fixture import problems, store


def test_a_store_is_as_small_as_what_is_left_in_it(path: str) -> None:
    database = Database(path)
    batches = [
        [
            envelope(f"r{run}", 7, seq, LogEvent(text=os.urandom(60).hex()))
            for seq in range(1, 8_001)
        ]
        for run in range(10)
    ]
    asyncio.run(store(database, *batches))
    database.close()
    full = os.path.getsize(path)
    os.chmod(path, 0o600)
    database = Database(path)
    for run in range(0, 10, 2):
        asyncio.run(database.change(Delete(f"r{run}")))
    database.close()
    deleted = os.path.getsize(path)

    shrink(path)

    assert os.path.getsize(path) < 0.7 * full < 1.4 * deleted
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert [each.name for each in Path(path).parent.iterdir()] == [Path(path).name]
    with closing(Database(path)) as database:
        assert problems(database) == []
        runs_left = database.read_now(
            lambda c: c.execute("SELECT run_id, events FROM runs ORDER BY 1").fetchall()
        )
        assert runs_left == [(f"r{run}", 8_000) for run in range(1, 10, 2)]
        asyncio.run(
            store(database, [envelope("new", 7, 1, LogEvent())])
        )  # keys and views are there


def test_a_store_that_is_being_written_stays_as_it_is(path: str) -> None:
    Database(path).close()
    with holding(path), pytest.raises(StoreError, match="not given back"):
        shrink(path)

    assert sorted(each.name for each in Path(path).parent.iterdir()) == ["arena.duckdb"]


def test_a_copy_that_cannot_be_finished_leaves_nothing(path: str) -> None:
    database = Database(path)
    asyncio.run(store(database, [envelope("a", 7, seq, LogEvent()) for seq in range(1, 100)]))
    database.close()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StoreError, match="not given back"):
            shrink(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert [each.name for each in Path(path).parent.iterdir()] == [Path(path).name]
    with closing(Database(path)) as database:
        assert problems(database) == []
