"""Benchmarks the in-process broker and the sink against queues, tasks and encode/broadcaster."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TypeAlias

from arena_tui.bench.load import BURST, RUNS, run_ids, sample_events
from arena_tui.bench.measure import OWN, Figure, Plan, alternate, at_least, compare
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import Outgoing, RunMeta, Subscription
from arena_tui.codec import sealed
from arena_tui.events import Event
from arena_tui.producers.sink import MultiRunBrokerSink

_FLOOR_LIST = "floor: a list and a slice a consumer"
_QUEUES = "a task and a queue an event"
_BROADCASTER = "encode/broadcaster memory://"
_FLOOR_THREAD = "floor: a list filled by the thread"
_CALLS = "call_soon_threadsafe(create_task) an event"

Measure: TypeAlias = Callable[[Sequence[Event], int], Awaitable[float]]
"""Delivers the events to that many consumers, or from that many threads; returns seconds."""


def measure_broker(plan: Plan) -> Iterator[Figure]:
    """Events a second from a publisher on the loop, and from threads, to all consumers."""
    peers: dict[str, Measure] = {_FLOOR_LIST: _append_and_slice, _QUEUES: _task_per_event}
    if find_spec("broadcaster") is None:
        plan.warn(f'{_BROADCASTER} is left out: pip install "arena-tui[bench]"')
    else:
        peers[_BROADCASTER] = import_module("arena_tui.bench.broker_broadcaster").publish
    for consumers in (3, 1, 10):
        figure = f"publish → {consumers} consumer{'s' if consumers > 1 else ''}"
        own = {OWN: _publish, "publish_all": _publish_all} if consumers == 3 else {OWN: _publish}
        yield from _in_loop(plan, figure, {**own, **peers}, consumers)
    for threads in (1, 8):
        yield from _from_threads(plan, threads)


def _in_loop(
    plan: Plan, figure: str, contenders: dict[str, Measure], consumers: int
) -> Iterator[Figure]:
    events = sample_events(plan.sizes.deliveries // consumers)
    rates = alternate(
        {name: partial(_rate, each, events, consumers) for name, each in contenders.items()},
        plan,
        figure,
    )
    in_batches = rates.pop("publish_all", None)
    goals = {_BROADCASTER: at_least(10), _QUEUES: at_least(12)} if consumers == 3 else {}
    yield from compare("broker", figure, "ev/s", rates, goals)
    if in_batches:
        rates[OWN] = in_batches
        yield from compare("broker", f"{figure}, sealed before", "ev/s", rates)


def _rate(measure: Measure, events: Sequence[Event], consumers: int) -> float:
    async def measured() -> float:
        return await measure(events, consumers)

    return len(events) / asyncio.run(measured())


async def _publish(events: Sequence[Event], consumers: int) -> float:
    broker = InProcessBroker()
    ids = run_ids(RUNS)
    for run_id in ids:
        await broker.open_run(RunMeta(run_id=run_id))
    readers = _readers(broker, consumers, len(events))
    await asyncio.sleep(0)
    started = time.perf_counter()
    for start in range(0, len(events), BURST):
        for number, event in enumerate(events[start : start + BURST], start):
            await broker.publish(ids[number % RUNS], event)
        await asyncio.sleep(0)
    await asyncio.gather(*readers)
    return time.perf_counter() - started


async def _publish_all(events: Sequence[Event], consumers: int) -> float:
    """Publish batches as the sink does: sealed beforehand by the emitting threads."""
    broker = InProcessBroker()
    ids = run_ids()
    outgoing: list[Outgoing] = [
        (ids[number % RUNS], *sealed(event)) for number, event in enumerate(events)
    ]
    readers = _readers(broker, consumers, len(events))
    await asyncio.sleep(0)
    started = time.perf_counter()
    for start in range(0, len(events), BURST):
        await broker.publish_all(outgoing[start : start + BURST])
        await asyncio.sleep(0)
    await asyncio.gather(*readers)
    return time.perf_counter() - started


def _readers(broker: InProcessBroker, consumers: int, count: int) -> list[asyncio.Task[None]]:
    return [
        asyncio.create_task(_read(broker.subscribe(f"consumer {number}"), count))
        for number in range(consumers)
    ]


async def _read(subscription: Subscription, count: int) -> None:
    seen = 0
    async for batch in subscription:
        seen += len(batch)
        if seen >= count:
            return


async def _append_and_slice(events: Sequence[Event], consumers: int) -> float:
    log: list[Event] = []
    started = time.perf_counter()
    for start in range(0, len(events), BURST):
        for event in events[start : start + BURST]:
            log.append(event)
        for _ in range(consumers):
            log[start : start + BURST]
        await asyncio.sleep(0)
    return time.perf_counter() - started


async def _task_per_event(events: Sequence[Event], consumers: int) -> float:
    queues, readers = _queues(consumers, len(events))
    started = time.perf_counter()
    tasks: set[asyncio.Task[None]] = set()
    for start in range(0, len(events), BURST):
        for event in events[start : start + BURST]:
            task = asyncio.create_task(_put(queues, event))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(0)
    await asyncio.gather(*readers)
    return time.perf_counter() - started


def _queues(
    consumers: int, count: int
) -> tuple[list[asyncio.Queue[Event]], list[asyncio.Task[None]]]:
    queues = [asyncio.Queue[Event]() for _ in range(consumers)]
    return queues, [asyncio.create_task(_get(queue, count)) for queue in queues]


async def _put(queues: Sequence[asyncio.Queue[Event]], event: Event) -> None:
    for queue in queues:
        await queue.put(event)


async def _get(queue: asyncio.Queue[Event], count: int) -> None:
    for _ in range(count):
        await queue.get()


def _from_threads(plan: Plan, threads: int) -> Iterator[Figure]:
    figure = f"{threads} thread{'s' if threads > 1 else ''} → 3 consumers"
    events = sample_events(plan.sizes.thread_events)
    contenders: dict[str, Callable[[Sequence[Event], int], Awaitable[float]]] = {
        OWN: _emit,
        _FLOOR_THREAD: _fill_a_list,
        _CALLS: _call_per_event,
    }
    rates = alternate(
        {name: partial(_rate, each, events, threads) for name, each in contenders.items()},
        plan,
        figure,
    )
    yield from compare("broker", figure, "ev/s", rates, {_CALLS: at_least(30)})


async def _emit(events: Sequence[Event], threads: int) -> float:
    broker = InProcessBroker()
    sink = MultiRunBrokerSink(broker)
    ids = run_ids(RUNS)
    readers = _readers(broker, 3, len(events))
    await asyncio.sleep(0)

    def work(part: Sequence[Event], first: int) -> None:
        for number, event in enumerate(part, first):
            sink.emit(ids[number % RUNS], event)

    seconds = await _in_threads(work, events, threads, readers)
    await sink.aclose()
    return seconds


async def _fill_a_list(events: Sequence[Event], threads: int) -> float:
    log: list[Event] = []

    def work(part: Sequence[Event], _first: int) -> None:
        for event in part:
            log.append(event)

    async def read() -> None:
        seen = 0
        while seen < len(events):
            seen += len(log[seen:])
            await asyncio.sleep(0)

    readers = [asyncio.create_task(read()) for _ in range(3)]
    return await _in_threads(work, events, threads, readers)


async def _call_per_event(events: Sequence[Event], threads: int) -> float:
    loop = asyncio.get_running_loop()
    queues, readers = _queues(3, len(events))
    tasks: set[asyncio.Task[None]] = set()

    def begin(event: Event) -> None:
        task = loop.create_task(_put(queues, event))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def work(part: Sequence[Event], _first: int) -> None:
        for event in part:
            loop.call_soon_threadsafe(begin, event)

    return await _in_threads(work, events, threads, readers)


async def _in_threads(
    work: Callable[[Sequence[Event], int], None],
    events: Sequence[Event],
    threads: int,
    readers: Sequence[asyncio.Task[None]],
) -> float:
    """Seconds from the threads' start until every reader has read all events."""
    share = len(events) // threads
    parts = [(events[start : start + share], start) for start in range(0, share * threads, share)]
    parts[-1] = (events[parts[-1][1] :], parts[-1][1])
    workers = [threading.Thread(target=work, args=part) for part in parts]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
    await asyncio.gather(*readers)
    seconds = time.perf_counter() - started
    for worker in workers:
        worker.join()
    return seconds
