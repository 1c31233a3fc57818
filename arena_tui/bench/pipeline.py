"""CPU of an event's whole way, from `emit` in a thread to the disk and the screen's fold."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

import duckdb
import msgspec

from arena_tui.bench.load import RUNS, run_ids, sample_events
from arena_tui.bench.measure import OWN, BenchError, Figure, Plan, at_most, race, remove
from arena_tui.bench.store import Timed, storing
from arena_tui.bench.store_peers import EVENTS
from arena_tui.broker.memory import InProcessBroker
from arena_tui.config import Config
from arena_tui.consumers.feed import Feed
from arena_tui.consumers.protocol import Context
from arena_tui.events import Event
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.consumption import Consumption

_BATCH = 1_000
_FRAME_S = 0.1

APPENDER = "floor: encode, DuckDB Appender, commit"


def measure_pipeline(plan: Plan) -> Iterator[Figure]:
    """CPU of the whole process, all threads, an event; every one of them published, stored and
    folded at the end."""
    count = plan.sizes.pipeline
    figure = f"{count:,} events of {RUNS} runs, thread → store and screen"
    events = sample_events(count)
    contenders: dict[str, Callable[[], float]] = {
        OWN: lambda: asyncio.run(_own(plan, events)),
        APPENDER: partial(append_us, plan, events),
    }
    yield from race("pipeline", figure, "µs", contenders, plan, {APPENDER: at_most(1.35, "ratio")})


async def _own(plan: Plan, events: Sequence[Event]) -> float:
    """Microseconds of CPU an event, from the first emit until the last is stored and folded."""
    broker = InProcessBroker()
    sink = MultiRunBrokerSink(broker)
    feed = Feed(Context(broker, Config(db=str(plan.folder))))
    watching = Consumption(feed, broker)
    ids = run_ids()

    def emit() -> None:
        for number, event in enumerate(events):
            sink.emit(ids[number % RUNS], event)

    async with storing(plan, broker) as consumption:
        await watching.start()
        screen = asyncio.create_task(_draw(feed, watching, consumption, sink))
        started = time.process_time()
        await asyncio.to_thread(emit)
        await sink.flush()
        await broker.settled(ids)
        await watching.catch_up(len(events))
        seconds = time.process_time() - started
        screen.cancel()
        with suppress(asyncio.CancelledError):
            await screen
        folded = sum(view.totals.events for each in ids if (view := feed.view(each)))
        _check("published", (await broker.stats()).published, events)
        _check("folded", folded, events)
        _check("stored", consumption.consumer.stats().stored, events)
        await watching.stop()
        await sink.aclose()
        await broker.aclose()
    return seconds / len(events) * 1e6


async def _draw(
    feed: Feed, watching: Consumption[Feed], storing: Consumption[Timed], sink: MultiRunBrokerSink
) -> None:
    """What the dashboard does but for painting, ten times a second."""
    while True:
        await asyncio.sleep(_FRAME_S)
        await watching.catch_up()
        await feed.frame([watching.info(), storing.info()], sink.stats().queued)


def _check(what: str, count: int, events: Sequence[Event]) -> None:
    """Nothing is left out, or the figure would be of less work than it says."""
    if count != len(events):
        raise BenchError(f"{count:,} of {len(events):,} events were {what}")


def append_us(plan: Plan, events: Sequence[Event]) -> float:
    """The same where each event is encoded, and appended in batches, by one thread: microseconds of
    CPU an event."""
    path = plan.folder / "peer"
    encode = msgspec.json.Encoder().encode
    ids = run_ids()
    connection = duckdb.connect(path)
    connection.execute(EVENTS)
    started = time.process_time()
    for start in range(0, len(events), _BATCH):
        connection.begin()
        with connection.appender("events") as appender:
            appender.append_rows(
                (ids[number % RUNS], 1, number // RUNS + 1, event.turn, event.kind, event.agent_id,
                 event.ts.replace(tzinfo=None), encode(event).decode())
                for number, event in enumerate(events[start : start + _BATCH], start)
            )  # fmt: skip
        connection.commit()
    seconds = time.process_time() - started
    connection.close()
    remove(path)
    return seconds / len(events) * 1e6
