"""Delivery latency from a producer process to a consumer here."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from arena_tui.bench.measure import (
    OWN,
    BenchError,
    Figure,
    Plan,
    alternate,
    at_most,
    compare,
    percentile,
)
from arena_tui.bench.redis_producer import ProducerLoad, Way
from arena_tui.broker.protocol import RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.scripts import events_key
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import decode_event
from arena_tui.events import Envelope, Event, LogEvent
from arena_tui.services.servers import RedisServer

_FLOOR: Final = "floor: one stream for all runs"
_PLAIN: Final = "redis-py, a stream a run"
_WAYS: Final[dict[str, Way]] = {OWN: "own", _FLOOR: "one stream", _PLAIN: "a stream a run"}

_BLOCK_MS: Final = 1_000
_COUNT: Final = 100
_READY_S: Final = 20.0
_SETTLE_S: Final = 0.2
_CANCEL_AGAIN_S: Final = 0.1

_RATE_PER_S: Final = 10_000
_RUNS: Final = 500


class _Sample(Struct, frozen=True, kw_only=True):
    """One reader's figures; `latency_*_ms`: from an event's timestamp to its delivery."""

    latency_p50_ms: float
    latency_p99_ms: float
    connections: float


_FIGURES: Final = (
    ("latency_p50_ms", "late by, p50", "ms", at_most(3)),
    ("latency_p99_ms", "late by, p99", "ms", at_most(15)),
    ("connections", "kept open", "connections", at_most(4)),
)


def measure_latency(plan: Plan, server: RedisServer) -> Iterator[Figure]:
    """Delivery latency, and connections of the reader."""
    figure = f"{_RATE_PER_S:,} ev/s over {_RUNS} runs"
    ways = {name: partial(_sample, plan, server, way) for name, way in _WAYS.items()}
    samples = alternate(ways, plan, figure)
    for field, title, unit, goal in _FIGURES:
        values = {
            name: [float(getattr(sample, field)) for sample in each]
            for name, each in samples.items()
        }
        yield from compare("redis", f"{figure}: {title}", unit, values, {_FLOOR: goal})


def _sample(plan: Plan, server: RedisServer, way: Way) -> _Sample:
    load = ProducerLoad(way=way, url=server.url, rate_per_s=_RATE_PER_S, runs=_RUNS)
    return asyncio.run(_watch(load, plan.sizes.redis_watch_s))


async def _watch(load: ProducerLoad, watch_s: float) -> _Sample:
    read = _read if load.way == "own" else _read_streams
    received: list[tuple[float, Sequence[Event]]] = []
    async with Redis.from_url(load.url, protocol=2) as inspector:
        await inspector.flushall()
        attached = asyncio.Event()
        reading = asyncio.create_task(read(load, received, attached))
        await _wait_while_reading(reading, attached.wait())
        connections = len(await inspector.client_list()) - 1
    async with _producer(load):
        await asyncio.sleep(_SETTLE_S)
        received.clear()
        await _wait_while_reading(reading, asyncio.sleep(watch_s))
        latency_ms = [
            (at - event.ts.timestamp()) * 1_000 for at, events in received for event in events
        ]
    while not reading.done():  # before 3.12 redis-py may swallow it (cpython 86296)
        reading.cancel()
        await asyncio.wait([reading], timeout=_CANCEL_AGAIN_S)
    if not latency_ms:
        raise BenchError(f"no event came in {watch_s} s")
    return _Sample(
        latency_p50_ms=percentile(latency_ms, 50),
        latency_p99_ms=percentile(latency_ms, 99),
        connections=connections,
    )


async def _wait_while_reading(reading: asyncio.Task[None], other: Any) -> None:
    """Wait for `other`; if reading fails first, raise its exception."""
    waiting = asyncio.ensure_future(other)
    await asyncio.wait([reading, waiting], return_when=asyncio.FIRST_COMPLETED)
    if reading.done():
        waiting.cancel()
        reading.result()


@asynccontextmanager
async def _producer(load: ProducerLoad) -> AsyncIterator[None]:
    """A publishing subprocess: entered once its runs are open, killed on exit."""
    command = sys.executable, "-m", "arena_tui.bench.redis_producer", msgspec.json.encode(load)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    try:
        ready = await asyncio.wait_for(process.stdout.readline(), _READY_S)
        if not ready:
            _, stderr = await process.communicate()
            raise BenchError(
                f"the producer ended: {stderr.decode(errors='replace').strip()[-200:]}"
            )
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _read(
    load: ProducerLoad, received: list[tuple[float, Sequence[Event]]], attached: asyncio.Event
) -> None:
    """Read from the broker; publishes as well, so that all its connections are open."""
    broker = RedisBroker(BrokerUrl(load.url))
    try:
        await broker.start()
        subscription = broker.subscribe("bench")
        await broker.open_run(RunMeta(run_id="bench-reader"))
        await broker.publish("bench-reader", LogEvent(text="begun"))
        attached.set()
        async for batch in subscription:
            events = [each.event for each in batch if isinstance(each, Envelope)]
            received.append((time.time(), events))
    finally:
        await broker.aclose()


async def _read_streams(
    load: ProducerLoad, received: list[tuple[float, Sequence[Event]]], attached: asyncio.Event
) -> None:
    """Read all streams by repeated blocking XREADs."""
    after: dict[Any, Any] = {events_key(run_id).encode(): "0" for run_id in load.streams}
    async with Redis.from_url(load.url, protocol=2, single_connection_client=True) as client:
        attached.set()
        while True:
            streams: Any = await client.xread(after, count=_COUNT, block=_BLOCK_MS)
            for key, entries in streams:
                after[key] = entries[-1][0]
                events = [decode_event(fields[b"e"]) for _, fields in entries]
                received.append((time.time(), events))
