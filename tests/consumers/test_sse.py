"""Frames and their event ids, and what a stream keeps when it fails."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.sse import EVERY_OTHER, EventStream, Frames, Position
from arena_tui.errors import StoreError
from arena_tui.events import Delivery, Envelope, Gap, LogEvent
from arena_tui.store.database import Database
from arena_tui.store.history import History
from arena_tui.store.replay import RunReplay
from tests.waiting import pause


def test_an_event_id_that_would_be_too_long_repeats_runs_and_leaves_none_out() -> None:
    cursors = {f"{'r' * 100}-{number}": Cursor(1_000 + number, 7) for number in range(1_000)}
    frames = Frames(cursors, every_run=True, known_until=5_000)

    event_id = frames.begin(1).partition(b"id: ")[2].strip().decode()
    position = Position.of_runs(event_id)
    named = position.cursors.keys() - {EVERY_OTHER}

    assert len(event_id) < 33_000
    assert 0 < len(named) < 1_000
    assert position.known_until < min(cursors[each].epoch for each in cursors.keys() - named)
    assert all(position.cursors[each] == cursors[each] for each in named)


async def test_what_is_new_in_a_batch_that_fails_is_sent_by_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Delivery] = []

    async def send(deliveries: Sequence[Delivery]) -> None:
        sent.extend(deliveries)

    async def fail(_: str) -> dict[int, int]:
        raise StoreError("the disk cannot be read")

    batch = [Envelope("r", 9, 1, LogEvent(), b"{}"), Gap("r", 9, 2, 3, "trimmed"),
             Envelope("r", 9, 4, LogEvent(), b"{}")]  # fmt: skip
    database = Database(str(tmp_path / "a.duckdb"))
    history = History(database)
    replays = {"r": RunReplay(history, "r")}
    stream = EventStream("x", replays, send, partial(pause, 0), history=history)
    with monkeypatch.context() as patch:
        patch.setattr(history, "lengths", fail)
        with pytest.raises(StoreError):
            await stream.handle(batch)
    await stream.handle(batch)
    await database.aclose()

    assert sent == batch
