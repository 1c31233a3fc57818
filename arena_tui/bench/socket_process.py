"""The processes of `bench.socket`: one that stores, one that publishes. Compares nothing.

Started as `python -m arena_tui.bench.socket_process TASK`. Each prints `ready`, then answers every
line of its input with a `Report`, and closes at the end of its input.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from arena_tui.bench.load import RUNS, EmittingThread, run_ids, sample_events
from arena_tui.broker.protocol import STORE
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.events import RunStart
from arena_tui.services.runtime import Runtime
from arena_tui.services.sharing import open_runtime

_LOOK_EVERY_S: Final = 0.005


class Place(Struct, frozen=True, kw_only=True):
    """Where the runs are: a store's file, and the broker in front of it."""

    broker: str
    db: str

    @property
    def config(self) -> Config:
        return Config(broker=BrokerUrl(self.broker), db=self.db)


class Store(Struct, frozen=True, kw_only=True, tag=True):
    """Store everything; a line is a number of events, answered once as many are stored."""

    place: Place


class Publish(Struct, frozen=True, kw_only=True, tag=True):
    """Publish so many events at each line, as fast as it goes; or, where a rate is given, from the
    start until the end, at so many a second."""

    place: Place
    events: int = 0
    rate_per_s: float = 0.0


class Report(Struct, frozen=True, kw_only=True):
    """What was done for a line.

    Attributes:
        began, ended: On the machine's monotonic clock.
        cpu_s: CPU time of the process since the report before.
    """

    began: float
    ended: float
    cpu_s: float


Task: TypeAlias = Store | Publish
_Work: TypeAlias = Callable[[bytes], Awaitable[None]]


async def main(task: Task) -> None:
    """Do as the task says until the input ends."""
    logging.getLogger("arena_tui").addHandler(logging.NullHandler())
    if isinstance(task, Store):
        runtime = await open_runtime(task.place.config)
        await _answer(partial(_until_stored, runtime))
    elif task.rate_per_s:
        runtime = await open_runtime(task.place.config, producer=True)
        games = EmittingThread(
            runtime.sink.emit, task.rate_per_s, dict.fromkeys(run_ids(RUNS), "bench")
        )
        await _answer(_nothing)
        await asyncio.to_thread(games.stop)
    else:
        runtime = await open_runtime(task.place.config, producer=True)
        await asyncio.to_thread(_open_runs, runtime)
        await _answer(partial(_publish, runtime, task.events))
    await runtime.aclose()


async def _answer(work: _Work) -> None:
    _say(b"ready")
    cpu_s = time.process_time()
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        began = time.monotonic()
        await work(line)
        ended, before, cpu_s = time.monotonic(), cpu_s, time.process_time()
        _say(msgspec.json.encode(Report(began=began, ended=ended, cpu_s=cpu_s - before)))


async def _until_stored(runtime: Runtime, line: bytes) -> None:
    store = runtime.running(STORE)
    while True:
        if store.consumer.stats().stored >= int(line):
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def _publish(runtime: Runtime, count: int, _: bytes) -> None:
    ids = run_ids()
    emit = runtime.sink.emit
    events = sample_events(count)

    def emit_all() -> None:
        for number, event in enumerate(events):
            emit(ids[number % RUNS], event)

    await asyncio.to_thread(emit_all)
    await runtime.sink.flush()


def _open_runs(runtime: Runtime) -> None:
    for run_id in run_ids():
        runtime.sink.emit(run_id, RunStart(game="bench"))


async def _nothing(_: bytes) -> None:
    pass


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Task)))
