"""Benchmarks the persister against other ways of doing the same work on the same disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Protocol

from arena_tui.bench.load import RUNS, EmittingThread, batches_of, run_ids
from arena_tui.bench.measure import OWN, Figure, Plan, at_least, at_most, percentile, race, remove
from arena_tui.bench.store_peers import DuckdbRows, JsonLines, SqliteRows
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.persister import Persister
from arena_tui.events import Delivery, Envelope
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.consumption import Consumption
from arena_tui.store.database import Database

_BATCH = 1_000
_STALL_RATE_PER_S = 10_000
_TICK_S = 0.001

_FLOOR = "floor: JSON lines, fsync"
_EXECUTEMANY = "duckdb executemany"
_SQLITE = "sqlite3 WAL executemany"
_PYARROW = "duckdb from a pyarrow table"
_NO_STORE = "floor: the same without a store"


class _Rows(Protocol):
    """Commits batches: event rows and every run's totals and cursor, in one transaction."""

    def store(self, batch: Sequence[Envelope]) -> None: ...

    def close(self) -> None: ...


def measure_store(plan: Plan) -> Iterator[Figure]:
    """Commits of 1,000 events, and the loop's lateness meanwhile."""
    yield from _commits(plan)
    figure = f"lateness of the loop, p99, at {_STALL_RATE_PER_S:,} ev/s"
    late_ms: dict[str, Callable[[], float]] = {
        OWN: lambda: asyncio.run(_late_with_persister(plan)),
        _NO_STORE: lambda: asyncio.run(_late_under_load(plan, InProcessBroker())),
    }
    yield from race("store", figure, "ms", late_ms, plan, {_NO_STORE: at_most(5)})


def _commits(plan: Plan) -> Iterator[Figure]:
    many = batches_of(plan.sizes.batches + 1, _BATCH)
    contenders: dict[str, Callable[[], float]] = {
        OWN: lambda: asyncio.run(_commit_s(plan, many)),
        _FLOOR: partial(_store_s, plan, JsonLines, many),
        _SQLITE: partial(_store_s, plan, SqliteRows, many),
        # Two thirds of a second per commit: one a round, after a short one that creates the runs.
        _EXECUTEMANY: partial(_store_s, plan, DuckdbRows, [many[0][:RUNS], many[1]]),
    }
    if find_spec("pyarrow") is None:
        plan.tell(f'{_PYARROW} is left out: pip install "arena-tui[bench]"')
    else:
        rows = import_module("arena_tui.bench.store_pyarrow").PyarrowRows
        contenders[_PYARROW] = partial(_store_s, plan, rows, many)
    figure = f"commit of {_BATCH:,} events of {RUNS} runs"
    goals = {_EXECUTEMANY: at_least(100), _SQLITE: at_least(1.0), _PYARROW: at_least(0.6)}
    yield from race("store", figure, "ev/s", contenders, plan, goals)


def _store_s(
    plan: Plan, make: Callable[[Path], _Rows], batches: Sequence[Sequence[Envelope]]
) -> float:
    """Events a second of the median commit; the first, which creates the runs, is not counted."""
    path = plan.folder / "peer"
    rows = make(path)
    seconds = []
    for batch in batches:
        started = time.perf_counter()
        rows.store(batch)
        seconds.append(time.perf_counter() - started)
    rows.close()
    remove(path)
    return _BATCH / median(seconds[1:])


class Timed(Persister):
    """Notes how long each commit takes, in seconds."""

    batch_events = _BATCH

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.commit_s: list[float] = []

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        started = time.perf_counter()
        cursors = await super().handle(batch)
        self.commit_s.append(time.perf_counter() - started)
        return cursors


async def _commit_s(plan: Plan, batches: Sequence[Sequence[Envelope]]) -> float:
    broker = InProcessBroker()
    async with storing(plan, broker) as consumption:
        for batch in batches:
            await broker.publish_all([(each.run_id, each.event, each.raw) for each in batch])
            await broker.settled(run_ids())
        await broker.aclose()
    return _BATCH / median(consumption.consumer.commit_s[1:])


async def _late_with_persister(plan: Plan) -> float:
    broker = InProcessBroker()
    async with storing(plan, broker):
        return await _late_under_load(plan, broker)


async def _late_under_load(plan: Plan, broker: InProcessBroker) -> float:
    """The p99 lateness (ms) of a 1 ms timer while a thread emits; closes the broker."""
    sink = MultiRunBrokerSink(broker)
    thread = EmittingThread(sink.emit, _STALL_RATE_PER_S, dict.fromkeys(run_ids(RUNS), "bench"))
    late_ms = []
    ends = time.perf_counter() + plan.sizes.stall_s
    while (began := time.perf_counter()) < ends:
        await asyncio.sleep(_TICK_S)
        late_ms.append((time.perf_counter() - began - _TICK_S) * 1_000)
    await asyncio.to_thread(thread.stop)
    await sink.aclose()
    await broker.aclose()
    return percentile(late_ms, 99)


@asynccontextmanager
async def storing(plan: Plan, broker: InProcessBroker) -> AsyncIterator[Consumption[Timed]]:
    """Stores what the broker gets, in a file that is deleted at the end."""
    path = plan.folder / "own"
    database = Database(str(path))
    consumption = Consumption(Timed(database), broker)
    await consumption.start()
    yield consumption
    await consumption.stop()
    await database.aclose()
    remove(path)
