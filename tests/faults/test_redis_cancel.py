"""Cancelled at any await, a call leaves the broker on Redis and its connections usable."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import pytest

from arena_tui.broker.protocol import Limits, RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.errors import BrokerError, RunExistsError
from arena_tui.events import LogEvent
from tests.faults.accounts import FULL, clients, entries, reached
from tests.faults.proxy import Proxy
from tests.redis_fixture import MakeRedis
from tests.waiting import until

ROUNDS = 2_000 if FULL else 150
READERS = 500
CONNECTIONS_MAX = 4
SMALL = Limits(capacity=10_000, retain=5)
"""This process holds the newest ten events of a run: for older ones a reader asks the server."""


@pytest.fixture
async def proxy(make_redis: MakeRedis) -> AsyncIterator[Proxy]:
    async with Proxy(make_redis().port) as proxy:
        yield proxy


Start: TypeAlias = Callable[..., Awaitable[RedisBroker]]


@pytest.fixture
async def started() -> AsyncIterator[Start]:
    """Starts brokers; closes them after the test."""
    brokers: list[RedisBroker] = []

    async def start(url: str, limits: Limits | None = None) -> RedisBroker:
        brokers.append(RedisBroker(BrokerUrl(url), limits))
        await brokers[-1].start()
        return brokers[-1]

    yield start
    for broker in brokers:
        await broker.aclose()


async def works(broker: RedisBroker, run_id: str) -> None:
    """Assert that a run can be opened, written and read from first to last event."""
    async with asyncio.timeout(60):
        await broker.open_run(RunMeta(run_id=run_id))
        seqs = [await broker.publish(run_id, LogEvent(text=str(count))) for count in range(100)]
        await broker.close_run(run_id)
        read = [each async for each in broker.stream(run_id)]
    assert seqs == list(range(1, 101))
    assert [each.seq for each in read] == list(range(1, 102))  # type: ignore[union-attr]


async def test_calls_cancelled_at_any_moment_leave_everything_usable(
    make_redis: MakeRedis, started: Start
) -> None:
    server = make_redis()
    broker = await started(server.url, SMALL)
    await broker.open_run(RunMeta(run_id="busy"))
    chance = random.Random(3)
    most = 0
    cancelled = 0

    async def publish() -> None:
        await broker.publish("busy", LogEvent(text="x"))

    async def read() -> None:
        subscription = broker.subscribe("cancelled")
        try:
            await anext(subscription)
        finally:
            subscription.close()

    async def stream() -> None:
        async for _ in broker.stream("busy"):
            pass

    async def open_run() -> None:
        with suppress(RunExistsError):
            await broker.open_run(RunMeta(run_id=f"r{chance.randint(0, 9)}"))

    calls: list[Callable[[], Awaitable[None]]] = [publish, publish, read, stream, open_run]
    for _ in range(ROUNDS):
        tasks = [asyncio.ensure_future(chance.choice(calls)()) for _ in range(5)]
        for _ in range(chance.randint(0, 40)):
            await asyncio.sleep(0)
        for task in tasks:
            cancelled += task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError)
        most = max(most, clients(server.url))
    await works(broker, "after")

    in_server = list(entries(server.url, "busy"))
    link = (await broker.stats()).link
    await broker.aclose()
    await until(lambda: clients(server.url) == 0)
    print(f"{cancelled:,} calls cancelled, at most {most} connections, events {len(in_server):,}")
    assert [each.seq for each in in_server] == list(range(1, len(in_server) + 1))
    assert cancelled > ROUNDS
    assert most <= CONNECTIONS_MAX
    assert link is None


async def test_calls_cancelled_while_nobody_answers_leave_everything_usable(
    proxy: Proxy, started: Start
) -> None:
    broker = await started(proxy.url, SMALL)
    await broker.open_run(RunMeta(run_id="a"))
    for count in range(50):
        await broker.publish("a", LogEvent(text=str(count)))
    proxy.drop_replies()
    tasks = [
        asyncio.ensure_future(broker.publish("a", LogEvent(text="50"))),
        asyncio.ensure_future(broker.open_run(RunMeta(run_id="b"))),
        asyncio.ensure_future(anext(broker.stream("a"))),
        asyncio.ensure_future(broker.reap("a")),
    ]
    await until(lambda: proxy.replies_dropped >= 2)

    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    proxy.pass_through()
    proxy.reset()

    await works(broker, "after")
    seq = await broker.publish("a", LogEvent(text="51"))
    assert [type(each) for each in results[:3]] == [asyncio.CancelledError] * 3
    assert seq in (51, 52)
    await until(lambda: reached(broker))


async def test_500_cancelled_readers_cost_no_connection(
    make_redis: MakeRedis, started: Start
) -> None:
    server = make_redis()
    broker = await started(server.url)
    for number in range(20):
        await broker.open_run(RunMeta(run_id=f"r{number}"))
    subscriptions = [broker.subscribe(f"s{number}") for number in range(READERS // 2)]
    streams = [broker.stream(f"r{number % 20}") for number in range(READERS // 2)]

    tasks = [asyncio.ensure_future(anext(each)) for each in (*subscriptions, *streams)]
    for _ in range(3):
        await asyncio.sleep(0)
    waiting = sum(not task.done() for task in tasks)
    async with asyncio.timeout(20):
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await works(broker, "after")
        got = [len(await anext(each)) for each in subscriptions]

    connections = clients(server.url)
    print(f"{waiting} readers cancelled, {connections} connections")
    assert waiting == READERS
    assert got == [101] * len(subscriptions)
    assert connections <= CONNECTIONS_MAX


@pytest.mark.parametrize("server_is", ["well", "stopped", "gone"])
async def test_closing_ends_every_iterator_and_connection(
    make_redis: MakeRedis, started: Start, server_is: str
) -> None:
    server = make_redis()
    broker = await started(server.url)
    await broker.open_run(RunMeta(run_id="a"))

    names = (f"consumer {number}" for number in range(50))

    async def consume() -> int:
        return sum([len(batch) async for batch in broker.subscribe(next(names), durable=True)])

    async def follow() -> int:
        return len([each async for each in broker.stream("a")])

    readers = [asyncio.ensure_future(each()) for each in (consume, follow) * 50]
    await broker.publish("a", LogEvent(text="x"))
    await broker.flush()
    if server_is == "stopped":
        server.pause()
    elif server_is == "gone":
        server.kill()
    publishing = asyncio.ensure_future(broker.publish("a", LogEvent(text="y")))
    await asyncio.sleep(0)

    async with asyncio.timeout(20):
        await broker.aclose()
        ended = await asyncio.gather(*readers)
        with pytest.raises(BrokerError, match="the broker is closed"):
            await publishing

    assert ended == [1] * 100
    if server_is == "well":
        await until(lambda: clients(server.url) == 0)
    with pytest.raises(BrokerError, match="the broker is closed"):
        await broker.publish("a", LogEvent(text="z"))


async def test_one_process_needs_few_connections_for_many_runs(
    make_redis: MakeRedis, started: Start
) -> None:
    server = make_redis()
    broker = await started(server.url)

    await asyncio.gather(*(broker.open_run(RunMeta(run_id=f"r{n}")) for n in range(100)))
    await asyncio.gather(*(broker.publish(f"r{n}", LogEvent(text="x")) for n in range(100)))
    await broker.flush()

    assert clients(server.url) <= CONNECTIONS_MAX
