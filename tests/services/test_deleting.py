"""Which runs can be deleted, and what that takes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

import pytest

from arena_tui.events import LogEvent
from arena_tui.services.deleting import choose
from arena_tui.store.database import Connection, Database
from arena_tui.store.history import read_runs
from arena_tui.store.sizes import read_sizes
from tests.envelopes import envelope
from tests.store_fixture import store

T = TypeVar("T")


class Noting(Database):
    """Notes what is read."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.works: list[Any] = []

    def read_now(self, work: Callable[[Connection], T]) -> T:
        self.works.append(work)
        return super().read_now(work)


@pytest.mark.parametrize("measured", [True, False])
async def test_all_events_are_read_only_to_tell_what_runs_take(path: str, measured: bool) -> None:
    with closing(Database(path)) as database:
        logs = [envelope("a", 7, seq, LogEvent(text="x" * 500)) for seq in range(1, 1_000)]
        await store(database, logs)

    with closing(Noting(path)) as noting:
        choice = choose(noting, noting.read_now(read_runs), measured=measured)

        assert [each.run_id for each in choice.runs] == ["a"]
        assert (choice.size_bytes > 0) == measured
        assert (read_sizes in noting.works) == measured
