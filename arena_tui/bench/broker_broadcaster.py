"""encode/broadcaster's `memory://` backend as a peer in `bench.broker`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Protocol

from broadcaster import Broadcast

from arena_tui.bench.load import BURST, RUNS, run_ids
from arena_tui.events import Event


class _Subscriber(Protocol):
    async def get(self) -> object: ...


async def publish(events: Sequence[Event], consumers: int) -> float:
    """Publish to one channel per run, all read by every consumer; returns seconds."""
    ids = run_ids()
    counts = [len(events[number::RUNS]) for number in range(RUNS)]
    async with Broadcast("memory://") as broadcast, AsyncExitStack() as stack:
        readers = [
            asyncio.create_task(
                _read(await stack.enter_async_context(broadcast.subscribe(run_id)), count)
            )
            for _ in range(consumers)
            for run_id, count in zip(ids, counts, strict=True)
        ]
        await asyncio.sleep(0)
        started = time.perf_counter()
        for start in range(0, len(events), BURST):
            for number, event in enumerate(events[start : start + BURST], start):
                await broadcast.publish(ids[number % RUNS], event)
            await asyncio.sleep(0)
        await asyncio.gather(*readers)
        return time.perf_counter() - started


async def _read(subscriber: _Subscriber, count: int) -> None:
    for _ in range(count):
        await subscriber.get()
