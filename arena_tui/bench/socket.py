"""Benchmarks a store that processes share through its owner's socket, against Redis on loopback."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from subprocess import PIPE
from typing import Final

import msgspec
from msgspec import Struct

from arena_tui.bench.load import RUNS
from arena_tui.bench.measure import (
    OWN,
    BenchError,
    Figure,
    Goal,
    Plan,
    alternate,
    at_least,
    at_most,
    compare,
    percentile,
    remove,
)
from arena_tui.bench.socket_process import Place, Publish, Report, Store, Task
from arena_tui.broker.attached.broker import AttachedBroker
from arena_tui.broker.mirror.broker import MirrorBroker
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.events import Envelope
from arena_tui.services.servers import RedisServer, find_server

_PEER: Final = "Redis on loopback"
_RATE_PER_S: Final = 1_000
_SETTLE_S: Final = 0.5

_Titles = Sequence[tuple[str, str, str, Goal]]


class _Flow(Struct, frozen=True, kw_only=True):
    """`*_us`: CPU of a process, in microseconds an event; a server's is not counted."""

    per_s: float
    producer_us: float
    store_us: float


class _Delay(Struct, frozen=True, kw_only=True):
    """From an event's timestamp in one process until a consumer in another one has it."""

    p50_ms: float
    p99_ms: float


_FLOW: Final[_Titles] = (
    ("per_s", "stored", "ev/s", at_least(0.5)),
    ("producer_us", "CPU of the producer", "µs", at_most(2, "ratio")),
    ("store_us", "CPU of the process that stores", "µs", at_most(2, "ratio")),
)
_DELAY: Final[_Titles] = (
    ("p50_ms", "late by, p50", "ms", at_most(20)),
    ("p99_ms", "late by, p99", "ms", at_most(100)),
)


def measure_socket(plan: Plan) -> Iterator[Figure]:
    """Events a second and CPU from one process to another's store, then the latency to a third."""
    if find_server() is None:
        plan.tell('socket is left out: no server here: pip install "arena-tui[server]"')
        return
    logging.getLogger("arena_tui").addHandler(logging.NullHandler())
    count = plan.sizes.socket_events
    flow = f"{count:,} events of {RUNS} runs, thread → another process's store"
    delay = f"{_RATE_PER_S:,} ev/s over {RUNS} runs, to a third process"
    yield from _beside_redis(plan, flow, partial(_flow, count), _FLOW)
    yield from _beside_redis(plan, delay, partial(_delay, plan.sizes.socket_watch_s), _DELAY)


def _beside_redis(
    plan: Plan, figure: str, measure: Callable[[Place], Struct], titles: _Titles
) -> Iterator[Figure]:
    def at_owner() -> Struct:
        with _store(plan) as db:
            return measure(Place(broker="memory:", db=db))

    def over_redis() -> Struct:
        with _store(plan) as db, RedisServer(plan.folder / "redis", aof=False) as server:
            return measure(Place(broker=server.url, db=db))

    ways: Mapping[str, Callable[[], Struct]] = {OWN: at_owner, _PEER: over_redis}
    samples = alternate(ways, plan, figure)
    for field, title, unit, goal in titles:
        values = {name: [getattr(each, field) for each in found] for name, found in samples.items()}
        yield from compare("socket", f"{figure}: {title}", unit, values, {_PEER: goal})


@contextmanager
def _store(plan: Plan) -> Iterator[str]:
    path = plan.folder / "shared.duckdb"
    try:
        yield str(path)
    finally:
        remove(path)


def _flow(count: int, place: Place) -> _Flow:
    with ExitStack() as opened:
        storing = opened.enter_context(_Process(Store(place=place)))
        publishing = opened.enter_context(_Process(Publish(place=place, events=count)))
        storing.ask(RUNS)()
        stored = storing.ask(RUNS + count)
        published = publishing.ask(0)()
        done = stored()
    return _Flow(
        per_s=count / (done.ended - published.began),
        producer_us=published.cpu_s / count * 1e6,
        store_us=done.cpu_s / count * 1e6,
    )


def _delay(watch_s: float, place: Place) -> _Delay:
    with ExitStack() as opened:
        opened.enter_context(_Process(Store(place=place)))
        opened.enter_context(_Process(Publish(place=place, rate_per_s=_RATE_PER_S)))
        late_ms = asyncio.run(_watch(place, watch_s))
    if not late_ms:
        raise BenchError(f"no event came in {watch_s} s")
    return _Delay(p50_ms=percentile(late_ms, 50), p99_ms=percentile(late_ms, 99))


async def _watch(place: Place, watch_s: float) -> list[float]:
    """How late the events were that came in this time, to a consumer of a mirror in here."""
    url = BrokerUrl(place.broker)
    broker: MirrorBroker = AttachedBroker(place.db) if url.kind == "memory" else RedisBroker(url)
    late_ms: list[float] = []

    async def read() -> None:
        async for batch in broker.subscribe("bench"):
            now = time.time()
            late_ms.extend(
                (now - each.event.ts.timestamp()) * 1_000
                for each in batch
                if isinstance(each, Envelope)
            )

    await broker.start()
    reading = asyncio.create_task(read())
    try:
        await asyncio.sleep(_SETTLE_S)
        late_ms.clear()
        await asyncio.wait([reading], timeout=watch_s)
        if reading.done():
            reading.result()
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        await broker.aclose()
    return late_ms


class _Process:
    """A process of `socket_process`; entered once it is ready."""

    def __init__(self, task: Task) -> None:
        command = sys.executable, "-m", "arena_tui.bench.socket_process", msgspec.json.encode(task)
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            command, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )

    def __enter__(self) -> _Process:
        try:
            self._line()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, number: int) -> Callable[[], Report]:
        """Send it a line; what is given waits for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"%d\n" % number)
        self._process.stdin.flush()
        return lambda: msgspec.json.decode(self._line(), type=Report)

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return line
        _, stderr = self._process.communicate()
        raise BenchError(f"a process ended: {stderr.decode(errors='replace').strip()[-200:]}")
