"""CPU of an event's whole way, from `emit` in a thread to the disk and the screen's fold."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

import duckdb
import msgspec

from arena_tui.bench.load import RUNS, run_ids, sample_events
from arena_tui.bench.measure import (
    OWN,
    BenchError,
    Figure,
    Plan,
    alternate,
    at_most,
    compare,
    remove,
)
from arena_tui.bench.store_peers import EVENTS, INSERT_EVENT, EventRow
from arena_tui.broker.memory import InProcessBroker
from arena_tui.config import Config
from arena_tui.consumers.feed import Feed
from arena_tui.consumers.persister import Persister
from arena_tui.consumers.protocol import Context
from arena_tui.events import Event
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.consumption import Consumption
from arena_tui.store.database import Database

_BATCH = 1_000
_FRAME_S = 0.1

_FLOOR = "floor: encode, DuckDB Appender, commit"
_SQLITE = "sqlite3 WAL: encode, executemany, commit"
_LOG = "of it: sink and log"
_STORE = "of it: sink, log and store"


def measure_pipeline(plan: Plan) -> Iterator[Figure]:
    """CPU of the whole process, all threads, an event; every one of them published, stored and
    folded at the end."""
    count = plan.sizes.pipeline
    figure = f"{count:,} events of {RUNS} runs, thread → store and screen"
    events = sample_events(count)
    contenders: dict[str, Callable[[], float]] = {
        OWN: lambda: asyncio.run(_own(plan, events, store=True, fold=True)),
        _FLOOR: partial(_append, plan, events),
        _SQLITE: partial(_executemany, plan, events),
        _LOG: lambda: asyncio.run(_own(plan, events, store=False, fold=False)),
        _STORE: lambda: asyncio.run(_own(plan, events, store=True, fold=False)),
    }
    costs = alternate(contenders, plan, figure)
    yield from compare("pipeline", figure, "µs", costs, {_FLOOR: at_most(1.35, on="ratio")})


async def _own(plan: Plan, events: Sequence[Event], *, store: bool, fold: bool) -> float:
    """Microseconds of CPU an event, from the first emit until the last is stored and folded."""
    path = plan.folder / "own"
    broker = InProcessBroker()
    sink = MultiRunBrokerSink(broker)
    database = Database(str(path)) if store else None
    storing = Consumption(Persister(database), broker) if database else None
    feed = Feed(Context(broker, Config(db=str(path) if store else None)))
    watching = Consumption(feed, broker)
    screen = asyncio.create_task(_draw(feed, watching, storing, sink) if fold else asyncio.sleep(0))
    if storing:
        await storing.start()
    if fold:
        await watching.start()
    ids = run_ids()

    def emit() -> None:
        for number, event in enumerate(events):
            sink.emit(ids[number % RUNS], event)

    started = time.process_time()
    await asyncio.to_thread(emit)
    await sink.flush()
    await broker.settled(ids)
    await watching.catch_up(len(events))
    seconds = time.process_time() - started
    screen.cancel()
    with suppress(asyncio.CancelledError):
        await screen
    _check("published", (await broker.stats()).published, events)
    if fold:
        _check(
            "folded", sum(view.totals.events for each in ids if (view := feed.view(each))), events
        )
    if storing:
        _check("stored", storing.consumer.stats().stored, events)
    await watching.stop()
    await sink.aclose()
    if storing and database:
        await storing.stop()
        await database.aclose()
        remove(path)
    await broker.aclose()
    return seconds / len(events) * 1e6


async def _draw(
    feed: Feed,
    watching: Consumption[Feed],
    storing: Consumption[Persister] | None,
    sink: MultiRunBrokerSink,
) -> None:
    """What the dashboard does but for painting, ten times a second."""
    while True:
        await asyncio.sleep(_FRAME_S)
        await watching.catch_up()
        running = [each.info() for each in (watching, storing) if each is not None]
        await feed.frame(running, sink.stats().queued)


def _check(what: str, count: int, events: Sequence[Event]) -> None:
    """Nothing is left out, or the figure would be of less work than it says."""
    if count != len(events):
        raise BenchError(f"{count:,} of {len(events):,} events were {what}")


def _append(plan: Plan, events: Sequence[Event]) -> float:
    path = plan.folder / "peer"
    connection = duckdb.connect(path)
    connection.execute(EVENTS)
    started = time.process_time()
    for rows in _batches(events, as_text=False):
        connection.begin()
        with connection.appender("events") as appender:
            appender.append_rows(rows)
        connection.commit()
    seconds = time.process_time() - started
    connection.close()
    remove(path)
    return seconds / len(events) * 1e6


def _executemany(plan: Plan, events: Sequence[Event]) -> float:
    path = plan.folder / "peer"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(EVENTS)
    started = time.process_time()
    for rows in _batches(events, as_text=True):
        connection.execute("BEGIN")
        connection.executemany(INSERT_EVENT, rows)
        connection.execute("COMMIT")
    seconds = time.process_time() - started
    connection.close()
    remove(path)
    return seconds / len(events) * 1e6


def _batches(events: Sequence[Event], as_text: bool) -> Iterator[Iterator[EventRow]]:
    """Rows of `EVENTS`, each event encoded as it comes: the least that a producer's thread does."""
    encode = msgspec.json.Encoder().encode
    ids = run_ids()
    for start in range(0, len(events), _BATCH):
        yield (
            (
                ids[number % RUNS], 1, number // RUNS + 1, event.turn, event.kind, event.agent_id,
                event.ts.isoformat() if as_text else event.ts.replace(tzinfo=None),
                encode(event).decode(),
            )
            for number, event in enumerate(events[start : start + _BATCH], start)
        )  # fmt: skip
