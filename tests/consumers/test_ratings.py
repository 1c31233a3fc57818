"""Live ratings are those of the store, and say who has moved since the session began."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import Limits, RunMeta
from arena_tui.codec import sealed
from arena_tui.config import Config
from arena_tui.consumers.protocol import Context
from arena_tui.consumers.ratings import LiveRatings, RatingsConsumer
from arena_tui.events import Event
from arena_tui.folds.ratings import rate
from arena_tui.services.consumption import Consumption
from arena_tui.services.runtime import Runtime
from tests.rated_runs import run_of, some_runs


class Stage:
    """A runtime with a store and live ratings."""

    def __init__(self, path: str | None, limits: Limits | None = None) -> None:
        self.runtime = Runtime(Config(db=path), limits=limits)

    async def open(self) -> None:
        await self.runtime.open()
        self.ratings = (await self.runtime.consume(RatingsConsumer)).consumer

    async def play(self, run_id: str, events: list[Event]) -> None:
        await self.runtime.broker.publish_all([(run_id, *sealed(each)) for each in events])

    async def at_rest(self) -> LiveRatings:
        """The ratings once all is folded and stored."""
        runs = [info.meta.run_id for info in await self.runtime.broker.runs()]
        await self.runtime.broker.settled(runs)
        await self.runtime.catch_up()
        return await self.ratings.current()

    async def recomputed(self) -> bytes:
        assert self.runtime.history is not None
        return msgspec.json.encode(rate(await self.runtime.history.matches()))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(str(tmp_path / "arena.duckdb"))
    await stage.open()
    yield stage
    await stage.runtime.aclose()


async def test_live_ratings_are_to_the_byte_those_of_the_store(stage: Stage) -> None:
    for first in (0, 6, 12):
        for each in some_runs(first, 6):
            await stage.play(*each)
        live = await stage.at_rest()

        assert live.now.overall.matches > first / 2
        assert msgspec.json.encode(live.now) == await stage.recomputed()


async def test_what_was_stored_before_counts_and_is_where_movement_begins(tmp_path: Path) -> None:
    path = str(tmp_path / "arena.duckdb")
    before = Stage(path)
    await before.open()
    for each in some_runs(0, 6):
        await before.play(*each)
    was = await before.at_rest()
    await before.runtime.aclose()
    after = Stage(path)
    await after.open()

    unmoved = await after.at_rest()
    for number in range(20, 26):
        await after.play(f"new-{number}", run_of(number, {"ada": 1, "bob": 0}))
    await after.play("newcomer", run_of(30, {"ada": 0, "dot": 1}))
    moved = await after.at_rest()
    recomputed = await after.recomputed()
    await after.runtime.aclose()

    assert unmoved.now == unmoved.before == moved.before == was.now
    assert set(unmoved.movements("").values()) == {0}
    chess = moved.movements("chess")
    assert chess["ada"] > 0
    assert chess["ada"] == -chess["bob"]
    assert "dot" not in chess
    assert set(moved.movements("hearts").values()) == {0}
    assert msgspec.json.encode(moved.now) == recomputed


async def test_without_a_store_what_ends_here_is_rated() -> None:
    stage = Stage(None)
    await stage.open()
    for each in some_runs(0, 6):
        await stage.play(*each)

    live = await stage.at_rest()
    await stage.runtime.aclose()

    assert live.now.overall.matches == 6
    assert live.movements("") == {}


async def test_events_it_missed_are_read_from_the_store(tmp_path: Path) -> None:
    stage = Stage(str(tmp_path / "arena.duckdb"), Limits(capacity=100, retain=1, decoded=10))
    await stage.open()
    for number in range(2):
        *events, end = run_of(number, {"ada": 1, "bob": 0})
        for some in [events, *[events[1:]] * 9, [end]]:
            await stage.play(f"run-{number}", some)
            await stage.runtime.broker.settled([f"run-{number}"])

    live = await stage.at_rest()
    recomputed = await stage.recomputed()
    info = {each.name: each for each in stage.runtime.consumers()}["ratings"]
    await stage.runtime.aclose()

    assert info.in_gaps > 100
    assert live.now.overall.rows[0].actions == 2 * 10
    assert msgspec.json.encode(live.now) == recomputed


async def test_a_deleted_run_counts_no_longer(stage: Stage) -> None:
    for each in some_runs(0, 6):
        await stage.play(*each)
    await stage.at_rest()

    await stage.runtime.delete("run-1")
    stage.ratings.forget("run-1")
    live = await stage.at_rest()

    assert live.now.overall.matches == 5
    assert msgspec.json.encode(live.now) == await stage.recomputed()


async def test_it_rates_again_only_when_something_ended() -> None:
    broker = InProcessBroker()
    consumer = RatingsConsumer(Context(broker, Config(db=None)))
    reading = Consumption(consumer, broker)
    await reading.start()
    await broker.open_run(RunMeta(run_id="a"))
    *begun, end = run_of(0, {"ada": 1, "bob": 0})
    first = await consumer.current()
    for event in begun:
        await broker.publish("a", event)
    await reading.catch_up()
    meanwhile = await consumer.current()
    await broker.publish("a", end)
    await reading.catch_up()

    assert not consumer.is_current
    assert meanwhile is first
    assert (await consumer.current()).now.overall.matches == 1
    assert consumer.is_current
    await reading.stop()
