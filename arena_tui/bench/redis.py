"""Benchmarks the Redis Streams broker against plain redis-py, on its own server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeAlias

from redis.asyncio import Redis

from arena_tui.bench.load import BURST, RUNS, run_ids, sample_events
from arena_tui.bench.measure import OWN, BenchError, Figure, Plan, at_least, race
from arena_tui.bench.redis_latency import measure_latency
from arena_tui.bench.redis_peers import RawClient, add_each, add_piped, read_all
from arena_tui.broker.protocol import Limits, Outgoing
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.events import Envelope
from arena_tui.services.servers import RedisServer, find_server

_FLOOR_ADD: Final = "floor: XADD by hiredis, a plain socket"
_PIPED: Final = "XADD, redis-py pipeline"
_EACH: Final = "XADD, redis-py, one by one"
_FLOOR_READ: Final = "floor: XREAD by hiredis, a plain socket"
_READ: Final = "XREAD, redis-py"

_FILL: Final = 2_000

_EACH_SHARE: Final = 10
"""Awaiting every reply is so much slower that a tenth of the events is enough."""

_Batches: TypeAlias = Sequence[Sequence[Outgoing]]
_Done: TypeAlias = Awaitable[object]


def measure_redis(plan: Plan) -> Iterator[Figure]:
    """Events a second published and read, then the delivery latency."""
    if find_server() is None:
        plan.tell('redis is left out: no server here: pip install "arena-tui[server]"')
        return
    # Keeps the broker's warning about a server without persistence off the terminal.
    logging.getLogger("arena_tui").addHandler(logging.NullHandler())
    with RedisServer(plan.folder / "redis", aof=False) as server:
        yield from _publish(plan, server)
        yield from _read(plan, server)
        yield from measure_latency(plan, server)


def _publish(plan: Plan, server: RedisServer) -> Iterator[Figure]:
    figure = f"publish in batches of {BURST}, {RUNS} runs"
    batches = _batches(plan.sizes.redis_events)
    few = batches[: max(2, len(batches) // _EACH_SHARE)]
    contenders: dict[str, Callable[[], float]] = {
        OWN: lambda: asyncio.run(_publish_all(server, batches)),
        _FLOOR_ADD: lambda: asyncio.run(_add_raw(server, batches)),
        _PIPED: lambda: asyncio.run(_add(server, batches, add_piped)),
        _EACH: lambda: asyncio.run(_add(server, few, add_each)),
    }
    goals = {_PIPED: at_least(2), _EACH: at_least(20)}
    yield from race("redis", figure, "ev/s", contenders, plan, goals)


def _batches(count: int, size: int = BURST) -> _Batches:
    """Batches as the sink publishes them: sealed, the runs interleaved."""
    ids = run_ids()
    outgoing: list[Outgoing] = [
        (ids[number % RUNS], *sealed(event)) for number, event in enumerate(sample_events(count))
    ]
    return [outgoing[start : start + size] for start in range(0, count, size)]


async def _publish_all(server: RedisServer, batches: _Batches) -> float:
    await _flush_server(server)
    broker = RedisBroker(BrokerUrl(server.url), reading=False)
    await broker.start()
    rate = await _rate(broker.publish_all, batches)
    await broker.aclose()
    return rate


async def _add(
    server: RedisServer, batches: _Batches, add: Callable[[Redis, Sequence[Outgoing]], _Done]
) -> float:
    await _flush_server(server)
    async with _client(server) as client:
        return await _rate(partial(add, client), batches)


async def _add_raw(server: RedisServer, batches: _Batches) -> float:
    await _flush_server(server)
    client = RawClient(server.port)
    rate = await _rate(client.add, batches)
    client.close()
    return rate


async def _rate(publish: Callable[[Sequence[Outgoing]], _Done], batches: _Batches) -> float:
    """Events a second, each batch awaited; the first one, which opens the runs, is not timed."""
    await publish(batches[0])
    started = time.perf_counter()
    for batch in batches[1:]:
        await publish(batch)
    return sum(map(len, batches[1:])) / (time.perf_counter() - started)


def _read(plan: Plan, server: RedisServer) -> Iterator[Figure]:
    count = plan.sizes.redis_stored
    figure = f"{count:,} events of {RUNS} runs → ledger, decoded"
    plan.note(f"publishing {count:,} events")
    asyncio.run(_publish_all(server, _batches(count, _FILL)))
    contenders: dict[str, Callable[[], float]] = {
        OWN: lambda: asyncio.run(_read_all(server, count)),
        _FLOOR_READ: partial(_read_raw, server),
        _READ: lambda: asyncio.run(_read_plain(server)),
    }
    goals = {_FLOOR_READ: at_least(250_000, "value"), _READ: at_least(0.6)}
    yield from race("redis", figure, "ev/s", contenders, plan, goals)


async def _read_all(server: RedisServer, count: int) -> float:
    """Events a second until a consumer has read them all, including startup and attaching.

    A reader starts `retain` events before a run's end: here, at its beginning.
    """
    broker = RedisBroker(BrokerUrl(server.url), Limits(capacity=count, retain=count))
    subscription = broker.subscribe("bench")
    started = time.perf_counter()
    try:
        await broker.start()
        seen = 0
        async for batch in subscription:
            events = sum(isinstance(each, Envelope) for each in batch)
            seen += events
            if events < len(batch):
                raise BenchError(f"events are missing behind the first {seen:,} of {count:,}")
            if seen >= count:
                break
        return count / (time.perf_counter() - started)
    finally:
        await broker.aclose()


async def _read_plain(server: RedisServer) -> float:
    started = time.perf_counter()
    async with _client(server) as client:
        count = await read_all(client, run_ids())
    return count / (time.perf_counter() - started)


def _read_raw(server: RedisServer) -> float:
    started = time.perf_counter()
    client = RawClient(server.port)
    count = client.read(run_ids())
    client.close()
    return count / (time.perf_counter() - started)


async def _flush_server(server: RedisServer) -> None:
    async with _client(server) as client:
        await client.flushall()


def _client(server: RedisServer) -> Redis:
    client: Redis = Redis.from_url(server.url, protocol=2, single_connection_client=True)
    return client
