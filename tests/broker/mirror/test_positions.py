"""How far runs have been read from the server, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import redis

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.mirror.findings import (
    EndLeft,
    EndLost,
    Finding,
    GivenUp,
    Renewed,
    Skipped,
)
from arena_tui.broker.mirror.positions import RunPositions
from arena_tui.broker.protocol import Cursor, Limits, RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.scripts import INDEX, events_key, meta_key
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.events import Gap, LogEvent
from tests.waiting import until

_AT_MOST_S = 10


async def stored_run(redis_url: str, timing: Timing) -> RedisBroker:
    """A broker with an open run `a`, whose one event is stored."""
    broker = RedisBroker(BrokerUrl(redis_url), timing=timing)
    await broker.start()
    store = broker.subscribe("store", durable=True)
    epoch = (await broker.open_run(RunMeta(run_id="a"))).epoch
    await broker.publish("a", LogEvent())
    await anext(store)
    store.ack({"a": Cursor(epoch, 1)})
    return broker


@pytest.mark.parametrize(
    ("gone_s", "said"), [(60.0, "stream is gone"), (0.0, "does not come back")]
)
async def test_a_run_that_is_gone_is_waited_for_no_longer_than_it_has_events_to_come(
    redis_url: str, gone_s: float, said: str
) -> None:
    broker = await stored_run(redis_url, Timing(look_s=0.02, gone_s=gone_s))

    async def is_said() -> bool:
        return any(said in str(each) for each in (await broker.stats()).warnings)

    with redis.Redis.from_url(redis_url) as client:
        client.delete(meta_key("a"), events_key("a"))
    await until(is_said)
    async with asyncio.timeout(_AT_MOST_S):
        await broker.settled(["a"])
    await broker.aclose()


def test_a_run_opened_again_has_not_been_read_because_it_once_was() -> None:
    ledger = Ledger(Limits(), lambda: 0.0, held=Limits())
    positions = RunPositions(ledger)
    positions.follow(ledger.attach(RunMeta(run_id="a"), 7, 1), Cursor(7, 3))
    positions.end(positions.read["a"])

    assert positions.has_read("a", Cursor(7, 3))
    assert not positions.has_read("a", Cursor(8, 1))


def test_a_run_that_ended_too_long_ago_to_be_remembered_has_been_read() -> None:
    ledger = Ledger(Limits(), lambda: 0.0, held=Limits())
    positions = RunPositions(ledger)
    for epoch in range(1, 10_002):
        run_id = f"r{epoch}"
        positions.follow(ledger.attach(RunMeta(run_id=run_id), epoch, 1), Cursor(epoch, 3))
        positions.end(positions.read[run_id])

    assert "r1" not in positions.ended
    assert positions.has_read("r1", Cursor(1, 3))
    assert not positions.has_read("new", Cursor(10_002, 1))


def test_a_run_found_again_by_reader_and_watcher_is_restored_once() -> None:
    ledger = Ledger(Limits(), lambda: 0.0, held=Limits())
    positions = RunPositions(ledger)
    positions.follow(ledger.attach(RunMeta(run_id="a"), 7, 1), Cursor(7, 3))
    positions.mark_gone(positions.read["a"], 0.0)

    positions.restore("a")
    positions.restore("a")

    assert positions.has_read("a", Cursor(7, 3))
    assert list(positions.read) == ["a"]
    assert not positions.gone


def test_a_missing_run_is_overdue_after_its_time_until_its_readers_are_notified() -> None:
    ledger = Ledger(Limits(), lambda: 0.0, held=Limits())
    positions = RunPositions(ledger)
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    positions.follow(stream, Cursor(7, 0))
    position = positions.read["a"]
    positions.mark_gone(position, 100.0)

    overdue = [position.is_overdue(now, 10.0) for now in (100.0, 109.0, 110.0)]
    positions.apply(position, GivenUp(Gap("a", 7, 1, 3, "reset")))

    assert overdue == [False, False, True]
    assert not position.is_overdue(999.0, 10.0)
    assert (position.at, stream.log.last) == (Cursor(7, 3), 3)


@pytest.mark.parametrize(
    ("finding", "at", "read"),
    [
        (Skipped(5), Cursor(7, 5), ["a"]),
        (Renewed(8, ()), Cursor(8, 0), ["a"]),
        (EndLost(), Cursor(7, 2), []),
        (EndLeft(), Cursor(7, 2), []),
    ],
)
def test_what_was_found_of_a_run_is_applied_to_its_position(
    finding: Finding, at: Cursor, read: list[str]
) -> None:
    ledger = Ledger(Limits(), lambda: 0.0, held=Limits())
    positions = RunPositions(ledger)
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    for _ in range(2):
        ledger.append(stream, *sealed(LogEvent()))
    positions.follow(stream, Cursor(7, 2))
    position = positions.read["a"]

    positions.apply(position, finding)

    assert (position.at, list(positions.read)) == (at, read)


def test_nothing_has_been_read_of_a_run_that_was_never_seen() -> None:
    positions = RunPositions(Ledger(Limits(), lambda: 0.0, held=Limits()))

    assert not positions.has_read("new", Cursor(1, 1))


async def test_nothing_is_held_of_a_run_that_its_producer_left(redis_url: str) -> None:
    broker = await stored_run(redis_url, Timing(look_s=0.02, ack_s=0.01, sweep_s=0.01))

    with redis.Redis.from_url(redis_url) as client:
        client.hset(meta_key("a"), "alive", 1)

    async def held() -> list[int]:
        return [each.held for each in (await broker.stats()).runs]

    before = await held()
    await until(lambda: is_empty(held), at_most_s=_AT_MOST_S)
    await broker.aclose()

    assert before == [1]


async def is_empty(held: Callable[[], Awaitable[list[int]]]) -> bool:
    return await held() == [0]


async def test_closing_releases_who_waits_for_a_run_that_is_never_found(redis_url: str) -> None:
    broker = RedisBroker(BrokerUrl(redis_url))
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(INDEX, {"run": "nobody"}, id="9999999999999-0")
        await broker.start()
        await broker.publish_all([("a", *sealed(LogEvent()))])
        await broker.flush()
        client.delete(INDEX)  # new entries have smaller ids than the newest one read
    await broker.publish_all([("b", *sealed(LogEvent()))])
    waiting = asyncio.create_task(broker.flush())
    await asyncio.sleep(0)
    assert not waiting.done()

    await broker.aclose()
    async with asyncio.timeout(_AT_MOST_S):
        await waiting


def test_a_run_whose_end_was_lost_is_read_no_more_and_closed() -> None:
    ledger = Ledger(Limits(), lambda: 0.0, held=Limits())
    positions = RunPositions(ledger)
    positions.follow(ledger.attach(RunMeta(run_id="a"), 7, 1), Cursor(7, 0))

    positions.apply(positions.read["a"], EndLost())

    assert (list(positions.read), positions.ended["a"]) == ([], Cursor(7, 0))
    assert ledger.streams["a"].closed


async def test_a_stream_that_something_else_has_taken_the_place_of_is_gone_once(
    redis_url: str,
) -> None:
    broker = RedisBroker(BrokerUrl(redis_url), timing=Timing(look_s=0.02, gone_s=0.5))
    await broker.start()
    await broker.open_run(RunMeta(run_id="a"))
    await broker.publish("a", LogEvent())
    await broker.flush()

    with redis.Redis.from_url(redis_url) as client:
        client.delete(events_key("a"))
        client.set(events_key("a"), "somebody else's")
        await broker.open_run(RunMeta(run_id="b"))
        await broker.publish("b", LogEvent())

    async def said() -> list[str]:
        warnings = map(str, (await broker.stats()).warnings)
        return [each for each in warnings if each.startswith("run a: ")]

    await until(lambda: any_is_given_up(said))
    told = await said()
    await broker.aclose()

    assert [each for each in told if "stream is gone" in each] == [
        "run a: its stream is gone from Redis"
    ]


async def any_is_given_up(said: Callable[[], Awaitable[list[str]]]) -> bool:
    return any("does not come back" in each for each in await said())
