"""Benchmarks the persister against other ways of doing the same work on the same disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from threading import Thread
from typing import Protocol

from arena_tui.bench.load import (
    RUNS,
    EmittingThread,
    batches_of,
    run_ids,
    sample_events,
)
from arena_tui.bench.measure import (
    OWN,
    Figure,
    Plan,
    alternate,
    at_least,
    at_most,
    compare,
    percentile,
    remove,
)
from arena_tui.bench.store_peers import DuckdbRows, JsonLines, SqliteRows
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import Cursor, Subscription
from arena_tui.consumers.persister import Persister
from arena_tui.events import Delivery, Envelope, Event
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
_SQLITE_THREAD = "sqlite3 WAL in a thread"


class _Rows(Protocol):
    """Commits batches: event rows and every run's totals and cursor, in one transaction."""

    def store(self, batch: Sequence[Envelope]) -> None: ...

    def close(self) -> None: ...


def measure_store(plan: Plan) -> Iterator[Figure]:
    """Commits of 1,000 events, events from a thread to the disk, and the loop's lateness."""
    yield from _commits(plan)
    yield from _sustained(plan)
    yield from _stall(plan)


def _commits(plan: Plan) -> Iterator[Figure]:
    figure = f"commit of {_BATCH:,} events of {RUNS} runs"
    many = batches_of(plan.sizes.batches + 1, _BATCH)
    contenders: dict[str, Callable[[], float]] = {
        OWN: lambda: asyncio.run(_commit_s(plan, many)),
        _FLOOR: partial(_store_s, plan, JsonLines, many),
        _SQLITE: partial(_store_s, plan, SqliteRows, many),
        # Two thirds of a second per commit: one a round, after a short one that creates the runs.
        _EXECUTEMANY: partial(_store_s, plan, DuckdbRows, [many[0][:RUNS], many[1]]),
    }
    if find_spec("pyarrow") is None:
        plan.warn(f'{_PYARROW} is left out: pip install "arena-tui[bench]"')
    else:
        rows = import_module("arena_tui.bench.store_pyarrow").PyarrowRows
        contenders[_PYARROW] = partial(_store_s, plan, rows, many)
    rates = alternate(contenders, plan, figure)
    goals = {_EXECUTEMANY: at_least(100), _SQLITE: at_least(1.0), _PYARROW: at_least(0.6)}
    yield from compare("store", figure, "ev/s", rates, goals)


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


class _Timed(Persister):
    """Notes how long each commit takes, in seconds."""

    def __init__(self, database: Database, batch_events: int) -> None:
        super().__init__(database, batch_events=batch_events)
        self.commit_s: list[float] = []

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        started = time.perf_counter()
        cursors = await super().handle(batch)
        self.commit_s.append(time.perf_counter() - started)
        return cursors


async def _commit_s(plan: Plan, batches: Sequence[Sequence[Envelope]]) -> float:
    path = plan.folder / "own"
    broker, database = InProcessBroker(), Database(str(path))
    persister = _Timed(database, batch_events=_BATCH)
    storing = Consumption(persister, broker)
    await storing.start()
    for batch in batches:
        await broker.publish_all([(each.run_id, each.event, each.raw) for each in batch])
        await broker.settled(run_ids())
    await broker.aclose()
    await storing.stop()
    await database.aclose()
    remove(path)
    return _BATCH / median(persister.commit_s[1:])


def _sustained(plan: Plan) -> Iterator[Figure]:
    figure = f"{plan.sizes.sustained:,} events, thread → disk"
    events = sample_events(plan.sizes.sustained)
    contenders: dict[str, Callable[[], float]] = {
        OWN: lambda: asyncio.run(_emit_and_store(plan, events)),
        _NO_STORE: lambda: asyncio.run(_emit_and_store(plan, events, store=False)),
        _SQLITE_THREAD: partial(_queue_and_store, plan, events),
    }
    rates = alternate(contenders, plan, figure)
    yield from compare("store", figure, "ev/s", rates)


async def _emit_and_store(plan: Plan, events: Sequence[Event], store: bool = True) -> float:
    """Events a second from the first emit until the last commit."""
    path = plan.folder / "own"
    broker = InProcessBroker()
    sink = MultiRunBrokerSink(broker)
    database = Database(str(path)) if store else None
    storing = Consumption(Persister(database), broker) if database else None
    if storing:
        await storing.start()
    ids = run_ids()

    def work() -> None:
        for number, event in enumerate(events):
            sink.emit(ids[number % RUNS], event)

    started = time.perf_counter()
    await asyncio.to_thread(work)
    await sink.aclose()
    seconds = time.perf_counter() - started
    await broker.aclose()
    if storing and database:
        await storing.stop()
        await database.aclose()
        remove(path)
    return len(events) / seconds


def _queue_and_store(plan: Plan, events: Sequence[Event]) -> float:
    """A producer thread, a queue, and a thread that stores up to 1,000 queued events at a time."""
    path = plan.folder / "peer"
    queue: SimpleQueue[Envelope] = SimpleQueue()
    rows = SqliteRows(path)
    ids = run_ids()

    def work() -> None:
        for number, event in enumerate(events):
            queue.put(Envelope(ids[number % RUNS], 1, number // RUNS + 1, event, b""))

    def store() -> None:
        stored = 0
        while stored < len(events):
            batch = [queue.get()]
            while len(batch) < _BATCH and not queue.empty():
                batch.append(queue.get())
            rows.store(batch)
            stored += len(batch)

    threads = [Thread(target=work), Thread(target=store)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    rows.close()
    remove(path)
    return len(events) / seconds


def _stall(plan: Plan) -> Iterator[Figure]:
    figure = f"lateness of the loop, p99, at {_STALL_RATE_PER_S:,} ev/s"
    late_ms = alternate(
        {
            OWN: lambda: asyncio.run(_late_with_persister(plan)),
            _NO_STORE: lambda: asyncio.run(_late_without(plan)),
            _SQLITE_THREAD: lambda: asyncio.run(_late_with_sqlite(plan)),
        },
        plan,
        figure,
    )
    yield from compare("store", figure, "ms", late_ms, {_NO_STORE: at_most(5)})


async def _late_with_persister(plan: Plan) -> float:
    path = plan.folder / "own"
    broker, database = InProcessBroker(), Database(str(path))
    storing = Consumption(Persister(database), broker)
    await storing.start()
    late_ms = await _late_under_load(plan, broker, asyncio.sleep(0))
    await storing.stop()
    await database.aclose()
    remove(path)
    return late_ms


async def _late_without(plan: Plan) -> float:
    return await _late_under_load(plan, InProcessBroker(), asyncio.sleep(0))


async def _late_with_sqlite(plan: Plan) -> float:
    path = plan.folder / "peer"
    broker, rows = InProcessBroker(), SqliteRows(path)
    late_ms = await _late_under_load(plan, broker, _store_in_thread(broker.subscribe("peer"), rows))
    rows.close()
    remove(path)
    return late_ms


async def _store_in_thread(subscription: Subscription, rows: _Rows) -> None:
    waiting: list[Envelope] = []
    async for batch in subscription:
        waiting += [each for each in batch if isinstance(each, Envelope)]
        if len(waiting) >= _BATCH:
            await asyncio.to_thread(rows.store, waiting)
            waiting = []


async def _late_under_load(plan: Plan, broker: InProcessBroker, storing: Awaitable[None]) -> float:
    """The p99 lateness (ms) of a 1 ms timer while a thread emits and `storing` stores."""
    task = asyncio.ensure_future(storing)
    sink = MultiRunBrokerSink(broker)
    thread = EmittingThread(sink.emit, _STALL_RATE_PER_S, ["bench"] * RUNS)
    late_ms = []
    ends = time.perf_counter() + plan.sizes.stall_s
    while (began := time.perf_counter()) < ends:
        await asyncio.sleep(_TICK_S)
        late_ms.append((time.perf_counter() - began - _TICK_S) * 1_000)
    await asyncio.to_thread(thread.stop)
    await sink.aclose()
    await _end(broker, task)
    return percentile(late_ms, 99)


async def _end(broker: InProcessBroker, storing: asyncio.Future[None]) -> None:
    await broker.aclose()
    with suppress(asyncio.CancelledError):
        await storing
