"""The producer process of `bench.redis_latency`: emits at a steady rate, in one of three ways.

Started as `python -m arena_tui.bench.redis_producer LOAD`. Prints `ready` once its runs are open,
and runs until killed.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import cycle
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from arena_tui.bench.load import run_ids
from arena_tui.bench.redis_peers import add_piped
from arena_tui.broker.protocol import Outgoing
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.events import Metric, RunStart
from arena_tui.producers.sink import MultiRunBrokerSink

Way: TypeAlias = Literal["own", "one stream", "a stream a run"]

_SLICE_S: Final = 0.001


class ProducerLoad(Struct, frozen=True, kw_only=True):
    """How and where to publish, events a second over all runs, and the number of runs."""

    way: Way
    url: str
    rate_per_s: float
    runs: int

    @property
    def streams(self) -> list[str]:
        return run_ids(1 if self.way == "one stream" else self.runs)


async def main(load: ProducerLoad) -> None:
    """Publish until killed."""
    logging.getLogger("arena_tui").addHandler(logging.NullHandler())
    if load.way == "own":
        await _publish(load)
    else:
        await _add(load)


async def _publish(load: ProducerLoad) -> None:
    broker = RedisBroker(BrokerUrl(load.url), reading=False)
    await broker.start()
    sink = MultiRunBrokerSink(broker)
    for run_id in load.streams:
        sink.emit(run_id, RunStart(game="bench"))
    await sink.flush()

    async def emit(batch: Sequence[Outgoing]) -> None:
        for run_id, event, _ in batch:
            sink.emit(run_id, event)

    await _pace(load, emit)


async def _add(load: ProducerLoad) -> None:
    async with Redis.from_url(load.url, single_connection_client=True, protocol=2) as client:
        await add_piped(client, [(run_id, RunStart(), b"") for run_id in load.streams])
        await _pace(load, partial(add_piped, client))


async def _pace(load: ProducerLoad, send: Callable[[Sequence[Outgoing]], Awaitable[None]]) -> None:
    """Send the events due, every millisecond, timestamped just before `send`."""
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    runs = cycle(load.streams)
    started, sent = time.perf_counter(), 0
    while True:
        due = int((time.perf_counter() - started) * load.rate_per_s)
        if due > sent:
            await send([
                (next(runs), Metric(name="value", value=number / 7), b"")
                for number in range(sent, due)
            ])  # fmt: skip
            sent = due
        await asyncio.sleep(_SLICE_S)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(msgspec.json.decode(sys.argv[1], type=ProducerLoad)))
