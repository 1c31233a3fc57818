"""A store that stands still, and so loses events: told once each time, a gap where it lies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from arena_tui.broker.protocol import STORE, Limits
from arena_tui.codec import sealed
from arena_tui.config import Config
from arena_tui.consumers.feed import Feed
from arena_tui.events import LogEvent
from arena_tui.folds.accounts import Account
from arena_tui.services.runtime import Runtime
from arena_tui.store.database import Database
from arena_tui.store.verify import verify_store
from arena_tui.store.windows import read_gaps
from tests.faults.stage import LIMITS, Producer, Station
from tests.waiting import until


@asynccontextmanager
async def standing_still(runtime: Runtime) -> AsyncIterator[None]:
    """While this is open, its store is busy with something else."""
    database, goes_on, is_busy = runtime.database, threading.Event(), threading.Event()
    assert isinstance(database, Database)

    def wait(_: object) -> None:
        is_busy.set()
        goes_on.wait(60)

    work = asyncio.create_task(database.write(wait))
    await until(is_busy.is_set)
    try:
        yield
    finally:
        goes_on.set()
        await work


def told(runtime: Runtime) -> list[str]:
    """What is said of overflows, in order."""
    codes = ("overflow", "overflow_over")
    return [str(each) for each in runtime.broker.warnings.newest() if each.code in codes]


async def check(runtime: Runtime, published: int) -> list[tuple[int, int]]:
    """Assert that all is accounted for, and the store whole but for its gaps; returns these."""
    database, store = runtime.database, runtime.running(STORE)
    assert database is not None
    account = store.info().account(published)
    (verdict,) = await database.read(verify_store)
    gaps = await database.read(lambda reader: read_gaps(reader, "a"))
    lost = sum(gap.count for gap in gaps)
    assert account == Account(published=published, stored=published - lost, lost=lost)
    assert (verdict.ok, verdict.gaps, verdict.lost) == (True, len(gaps), lost)
    assert {gap.reason for gap in gaps} == {"trimmed"}
    return [(gap.from_seq, gap.to_seq) for gap in gaps]


async def test_each_overflow_is_told_once_and_is_a_gap_where_it_lies(tmp_path: Path) -> None:
    runtime = Runtime(Config(db=str(tmp_path / "a.db")), Limits(capacity=100, retain=10))
    await runtime.open()
    published = 0

    async def publish(count: int) -> None:
        nonlocal published
        published += count
        batch = [("a", *sealed(LogEvent())) for _ in range(count)]
        await runtime.broker.publish_all(batch)

    await publish(10)
    await runtime.broker.settled(["a"])
    for _ in range(2):
        async with standing_still(runtime):
            for _ in range(30):
                await publish(10)
        await runtime.broker.settled(["a"])
    gaps = await check(runtime, published)
    await runtime.aclose()

    first, second = (end - begin + 1 for begin, end in gaps)
    begun = "run a: overflow, persister is losing events"
    over = "run a: persister keeps up again, {} events were lost"
    assert told(runtime) == [begun, over.format(first), begun, over.format(second)]
    assert 10 <= gaps[0][0] <= 300 < gaps[1][0]


async def test_each_overflow_of_a_server_is_told_once_and_is_a_gap_where_it_lies(
    redis_url: str, tmp_path: Path
) -> None:
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        await producer.publish("a", 100)
        await station.has("a", 100)
        for _ in range(2):
            async with standing_still(station.runtime):
                await producer.publish("a", 1_000)  # a whole batch, which is handed over
                await until(lambda: station.runtime.running(STORE).info().in_hand >= 1_000)
                await producer.publish("a", LIMITS.capacity + 900)
            await station.accounts_for("a", producer.published["a"])
        await station.runtime.broker.settled(["a"])
        gaps = await check(station.runtime, producer.published["a"])

        begun = "run a: overflow, persister is losing events"
        over = "run a: persister keeps up again, {:,} events were lost"
        first, second = (end - begin + 1 for begin, end in gaps)
        assert told(station.runtime) == [begun, over.format(first), begun, over.format(second)]
        assert 100 < gaps[0][0] <= 4_000 < gaps[1][0]


async def test_a_pane_knows_what_was_lost_of_a_run_that_the_broker_has_let_go() -> None:
    runtime = Runtime(Config(db=":memory:"), Limits(capacity=100, retain=10))
    feed = (await runtime.consume(Feed)).consumer
    await runtime.open()

    async with standing_still(runtime):
        for _ in range(30):
            await runtime.broker.publish_all([("a", *sealed(LogEvent())) for _ in range(10)])
            await runtime.catch_up()
    await runtime.broker.close_run("a")
    await runtime.broker.settled(["a"])
    await runtime.catch_up()
    (held,) = (await feed.frame()).panes
    await runtime.broker.reap("a")
    (let_go,) = (await feed.frame()).panes
    await runtime.aclose()

    assert held.lost > 0
    assert (let_go.held, let_go.lost) == (0, held.lost)


async def test_producers_are_held_back_for_a_store_that_waits_before_each_commit(
    tmp_path: Path,
) -> None:
    limits = Limits(capacity=100, retain=10)
    runtime = Runtime(Config(db=str(tmp_path / "a.db")), limits, store_delay_s=0.1)
    await runtime.open()

    for _ in range(200):
        await runtime.sink.room()
        runtime.sink.emit("a", LogEvent(), owned=False)
    await runtime.sink.flush()
    await runtime.broker.settled(["a"])
    account = runtime.running(STORE).info().account(200)
    await runtime.aclose()

    assert account == Account(published=200, stored=200)
    assert told(runtime) == []
