"""Benchmarks the in-process broker and the sink against queues, tasks and encode/broadcaster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from threading import Thread
from typing import TypeAlias

from arena_tui.bench.load import BURST, RUNS, run_ids, sample_events
from arena_tui.bench.measure import OWN, Figure, Plan, at_least, race
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import RunMeta, Subscription
from arena_tui.events import Event
from arena_tui.producers.sink import MultiRunBrokerSink

_CONSUMERS = 3

_FLOOR_LIST = "floor: a list and a slice a consumer"
_QUEUES = "a task and a queue an event"
_BROADCASTER = "encode/broadcaster memory://"
_FLOOR_THREAD = "floor: a list filled by the thread"
_CALLS = "call_soon_threadsafe(create_task) an event"

Measure: TypeAlias = Callable[[Sequence[Event]], Coroutine[None, None, float]]
"""Delivers the events to three consumers; returns seconds."""


def measure_broker(plan: Plan) -> Iterator[Figure]:
    """Events a second to three consumers: from a publisher on the loop, and from a thread."""
    in_loop: dict[str, Measure] = {
        OWN: _publish, _FLOOR_LIST: _append_and_slice, _QUEUES: _task_per_event,
    }  # fmt: skip
    if find_spec("broadcaster") is None:
        plan.tell(f'{_BROADCASTER} is left out: pip install "arena-tui[bench]"')
    else:
        publish = import_module("arena_tui.bench.broker_broadcaster").publish
        in_loop[_BROADCASTER] = partial(publish, consumers=_CONSUMERS)
    goals = {_BROADCASTER: at_least(10), _QUEUES: at_least(12)}
    events = sample_events(plan.sizes.deliveries // _CONSUMERS)
    yield from race("broker", "publish → 3 consumers", "ev/s", _rates(in_loop, events), plan, goals)
    threaded: dict[str, Measure] = {
        OWN: _emit, _FLOOR_THREAD: _fill_a_list, _CALLS: _call_per_event,
    }  # fmt: skip
    goals = {_CALLS: at_least(30)}
    events = sample_events(plan.sizes.thread_events)
    yield from race("broker", "thread → 3 consumers", "ev/s", _rates(threaded, events), plan, goals)


def _rates(
    contenders: dict[str, Measure], events: Sequence[Event]
) -> dict[str, Callable[[], float]]:
    def rate(measure: Measure) -> float:
        return len(events) / asyncio.run(measure(events))

    return {name: partial(rate, measure) for name, measure in contenders.items()}


async def _publish(events: Sequence[Event]) -> float:
    broker = InProcessBroker()
    ids = run_ids()
    for run_id in ids:
        await broker.open_run(RunMeta(run_id=run_id))
    readers = _readers(broker, len(events))
    await asyncio.sleep(0)
    started = time.perf_counter()
    for start in range(0, len(events), BURST):
        for number, event in enumerate(events[start : start + BURST], start):
            await broker.publish(ids[number % RUNS], event)
        await asyncio.sleep(0)
    await asyncio.gather(*readers)
    return time.perf_counter() - started


def _readers(broker: InProcessBroker, count: int) -> list[asyncio.Task[None]]:
    return [
        asyncio.create_task(_read(broker.subscribe(f"consumer {number}"), count))
        for number in range(_CONSUMERS)
    ]


async def _read(subscription: Subscription, count: int) -> None:
    seen = 0
    async for batch in subscription:
        seen += len(batch)
        if seen >= count:
            return


async def _append_and_slice(events: Sequence[Event]) -> float:
    log: list[Event] = []
    started = time.perf_counter()
    for start in range(0, len(events), BURST):
        for event in events[start : start + BURST]:
            log.append(event)
        for _ in range(_CONSUMERS):
            log[start : start + BURST]
        await asyncio.sleep(0)
    return time.perf_counter() - started


async def _task_per_event(events: Sequence[Event]) -> float:
    queues = _Queues(len(events))
    started = time.perf_counter()
    for start in range(0, len(events), BURST):
        for event in events[start : start + BURST]:
            queues.put_soon(event)
        await asyncio.sleep(0)
    await asyncio.gather(*queues.readers)
    return time.perf_counter() - started


class _Queues:
    """A queue a consumer, each read to its end, and a task for every event to be put."""

    def __init__(self, count: int) -> None:
        self._queues = [asyncio.Queue[Event]() for _ in range(_CONSUMERS)]
        self._tasks: set[asyncio.Task[None]] = set()
        self.readers = [asyncio.create_task(self._get(each, count)) for each in self._queues]

    def put_soon(self, event: Event) -> None:
        task = asyncio.create_task(self._put(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put(self, event: Event) -> None:
        for queue in self._queues:
            await queue.put(event)

    async def _get(self, queue: asyncio.Queue[Event], count: int) -> None:
        for _ in range(count):
            await queue.get()


async def _emit(events: Sequence[Event]) -> float:
    broker = InProcessBroker()
    sink = MultiRunBrokerSink(broker)
    ids = run_ids()
    readers = _readers(broker, len(events))
    await asyncio.sleep(0)

    def work() -> None:
        for number, event in enumerate(events):
            sink.emit(ids[number % RUNS], event)

    seconds = await _in_thread(work, readers)
    await sink.aclose()
    return seconds


async def _fill_a_list(events: Sequence[Event]) -> float:
    log: list[Event] = []

    def work() -> None:
        for event in events:
            log.append(event)

    async def read() -> None:
        seen = 0
        while seen < len(events):
            seen += len(log[seen:])
            await asyncio.sleep(0)

    return await _in_thread(work, [asyncio.create_task(read()) for _ in range(_CONSUMERS)])


async def _call_per_event(events: Sequence[Event]) -> float:
    loop = asyncio.get_running_loop()
    queues = _Queues(len(events))

    def work() -> None:
        for event in events:
            loop.call_soon_threadsafe(queues.put_soon, event)

    return await _in_thread(work, queues.readers)


async def _in_thread(work: Callable[[], None], readers: Sequence[asyncio.Task[None]]) -> float:
    """Seconds from the thread's start until every reader has read all events."""
    worker = Thread(target=work)
    started = time.perf_counter()
    worker.start()
    await asyncio.gather(*readers)
    seconds = time.perf_counter() - started
    worker.join()
    return seconds
