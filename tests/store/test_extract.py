"""Large events are read a few at a time, in order and each once."""

from __future__ import annotations

import asyncio
from functools import partial

from arena_tui.events import Delivery, Gap, LogEvent
from arena_tui.store.database import Database
from arena_tui.store.extract import Wanted, read_events
from arena_tui.store.history import read_runs
from tests.envelopes import envelope
from tests.store_fixture import store

LARGE = "x" * 200_000


def run_of(run_id: str, epoch: int, count: int) -> list[Delivery]:
    """Large events with a gap of three in the middle."""
    half = count // 2
    seqs = [*range(1, half), *range(half + 3, count + 1)]
    return [
        *(envelope(run_id, epoch, seq, LogEvent(text=LARGE)) for seq in seqs if seq < half),
        Gap(run_id, epoch, half, half + 2, "trimmed"),
        *(envelope(run_id, epoch, seq, LogEvent(text=LARGE)) for seq in seqs if seq > half),
    ]


def test_no_batch_has_many_large_events(database: Database) -> None:
    deliveries = [*run_of("a", 7, 150), *run_of("a", 9, 90), *run_of("b", 7, 400)]
    asyncio.run(store(database, deliveries))
    runs = database.read_now(partial(read_runs, sort="run_id", descending=False))

    batches = list(read_events(database.read_now, runs, Wanted()))

    places = [(row.run_id, row.epoch, row.seq) for batch in batches for row in batch]
    assert places == [(each.run_id, each.epoch, each.first_seq) for each in deliveries]
    largest = max(sum(len(row.payload) for row in batch) for batch in batches)
    assert largest <= 28_000_000
