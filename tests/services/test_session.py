"""What is behind a dashboard works without one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from arena_tui.config import Config
from arena_tui.consumers.lines import recording
from arena_tui.errors import ArenaError, RecordingError, UsageError
from arena_tui.events import LogEvent
from arena_tui.games.specs import GameSpec
from arena_tui.services.connect import PROCESS, connect
from arena_tui.services.session import Session
from tests.waiting import until

_CLOSE_WITHIN_S = 20.0


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def begun(session: Session, clock: Clock | None = None) -> AsyncIterator[Session]:
    await session.begin(clock or Clock())
    try:
        yield session
    finally:
        assert await session.aclose(_CLOSE_WITHIN_S) is None


async def shows(session: Session, games: set[str]) -> bool:
    frame = await session.sample()
    return {pane.game for pane in frame.panes} == games


async def test_what_is_played_followed_and_connected_is_in_the_frames(tmp_path: Path) -> None:
    source = tmp_path / "x.jsonl"
    source.write_text(json.dumps({"run_id": "f", "kind": "run_start", "game": "followed"}) + "\n")
    spec = GameSpec.parse("synth games=1 max_turns=100000 rate=50")
    session = Session(Config(), [spec], follow=[source])

    async with begun(session):
        await session.open()
        arena = connect()
        with arena.run("connected"):
            await until(lambda: shows(session, {"synth", "followed", "connected"}))

        assert session.games.playing == 1


async def test_it_takes_connections_until_it_is_closed() -> None:
    session = Session(Config())

    await session.begin(Clock())
    offered = PROCESS.offered
    await session.aclose(_CLOSE_WITHIN_S)

    assert offered is session.runtime
    assert PROCESS.offered is None


@pytest.mark.parametrize("wrong", ["recording", "game"])
async def test_what_cannot_be_opened_is_an_error_that_says_why(tmp_path: Path, wrong: str) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    session, error = {
        "recording": (Session(Config(), consumers=[recording(notes)]), RecordingError),
        "game": (Session(Config(), [GameSpec.parse("no_such_game")]), UsageError),
    }[wrong]

    async with begun(session):
        with pytest.raises(error, match=r"notes.txt|no_such_game") as raised:
            await session.open()

    assert isinstance(raised.value, ArenaError)


async def test_good_news_is_told_for_ten_seconds() -> None:
    session, clock = Session(Config()), Clock()
    async with begun(session, clock):
        session.runtime.broker.warnings.add("link_restored", place="redis x:1", away_s=3.0)
        told = [session.note]
        for seconds in (10, 1):
            clock.now += seconds
            told.append(session.note)

    news = "redis x:1 works again, after 3.0 s"
    assert told == [news, news, None]


async def test_a_warning_is_told_for_a_minute_unless_it_is_withdrawn() -> None:
    session, clock = Session(Config()), Clock()
    async with begun(session, clock):
        warnings = session.runtime.broker.warnings
        told = [session.note]
        warnings.add("stream_gone", "a")
        told.append(session.note)
        clock.now += 59
        second = warnings.add("stream_gone", "b")
        clock.now += 1
        told.append(session.note)
        warnings.withdraw(second)
        told.append(session.note)
        warnings.add("stream_gone", "c")
        told.append(session.note)
        clock.now += 61
        told.append(session.note)

    gone = [f"run {run_id}: its stream is gone from Redis" for run_id in "abc"]
    assert told == [None, gone[0], gone[1], None, gone[2], None]


async def test_what_is_in_the_store_can_be_played_back(tmp_path: Path) -> None:
    session = Session(Config(db=str(tmp_path / "arena.duckdb")))
    async with begun(session):
        nothing = session.history
        await session.open()
        session.runtime.sink.emit("r", LogEvent(text="hello"))
        await session.runtime.sink.flush()
        player = session.player("r")
        await player.open()
        last = player.position.last
        player.close()

    assert nothing is None
    assert last >= 1


async def test_what_would_be_lost_can_be_asked_from_another_thread() -> None:
    session = Session(Config())
    async with begun(session):
        with ThreadPoolExecutor() as pool:
            session.runtime.sink.emit("r", LogEvent())
            unsaved = pool.submit(session.unsaved).result()

    assert unsaved == "1 events are not published"
