"""From any thread to the broker: one bounded FIFO, drained in order by one writer on the loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from arena_tui.broker.protocol import BrokerProtocol, Outgoing
from arena_tui.broker.recent import Recent
from arena_tui.broker.stream import HEARTBEAT_S
from arena_tui.codec import sealed
from arena_tui.errors import BrokerError, RunClosedError
from arena_tui.events import AgentInfo, Event, RunEnd, check_run_id
from arena_tui.producers.pacing import StorePacing
from arena_tui.producers.run import Run

__all__ = ["MultiRunBrokerSink", "SinkStats"]

_BOUND = 100_000
_BATCH = 2_000
"""Events published a tick: more, and the loop would outrun the consumers it also has to serve."""

_ENDED_KEPT = 10_000
"""Ended runs that are remembered, so that a late event does not begin one of them anew."""

_PATIENCE_S = 2.0
_log = logging.getLogger(__name__)


class SinkStats(Struct, frozen=True, kw_only=True):
    """Counters of one sink.

    Attributes:
        queued: Events emitted and not yet published.
        queued_peak: Most ever queued when the writer looked.
        blocked_s: Seconds that producer threads have waited for room, those that wait now included.
        refused: Events that came after their run had ended, and events lost to a broker failure.
    """

    queued: int
    queued_peak: int
    blocked_s: float
    refused: int


class MultiRunBrokerSink:
    """The producers' side of a broker, safe from any number of threads.

    `emit` returns once the event is checked and queued; order per run is the order of emitting.
    Only a full queue makes it wait: the producer's thread, never the loop, and never with a
    `run_end`, so that leaving a run does not hang. Make it on the broker's
    loop; end it with `close_all` from a thread, or await `aclose` on the loop.

    When a run is half full (in events or in bytes) of what no store has yet, publishing pauses, so
    that fast producers lose nothing. A store that does not move is not waited for.

    Args:
        broker: Where the events go.
        bound: Most events queued before producers wait.
        patience_s: How long a store may take for any progress before it counts as not moving.
        owns_runs: Whether its runs live and end with it. A sink that only passes on what others
            wrote cannot know: it vouches for no run by heartbeats, and closing it publishes
            everything but ends no run and waits for no store.
        pause_at: Share of a run's log that may wait for the store before publishing pauses.
    """

    def __init__(
        self,
        broker: BrokerProtocol,
        bound: int = _BOUND,
        patience_s: float = _PATIENCE_S,
        *,
        owns_runs: bool = True,
        pause_at: float = 0.5,
    ) -> None:
        self._broker = broker
        self._bound = bound
        self._batch = max(1, min(_BATCH, broker.limits.capacity // 4))
        self._batch_bytes = broker.limits.run_bytes // 4
        self._pacing = StorePacing(broker, patience_s, pause_at)
        self._owns_runs = owns_runs
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._fifo: deque[Outgoing] = deque()
        self._room = threading.Condition()
        self._open: dict[str, None] = {}
        self._ended: Recent[str, None] = Recent(_ENDED_KEPT)
        self._work = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._signalled = False
        self._closed = False
        self._closing: asyncio.Task[None] | None = None
        self._queued_peak = 0
        self._blocked_s = 0.0
        self._waiting: list[float] = []
        self._refused = 0
        self._tasks = [self._loop.create_task(self._write(), name="sink writer")]
        if owns_runs:
            self._tasks.append(self._loop.create_task(self._beat(), name="sink heartbeat"))

    def run(
        self,
        game: str,
        agents: Sequence[str | AgentInfo] = (),
        *,
        run_id: str | None = None,
        seed: int | None = None,
        label: str | None = None,
        tags: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
    ) -> Run:
        """A new run that emits here; see `Run`."""
        return Run(
            self.emit, game, agents, run_id=run_id, seed=seed, label=label, tags=tags, config=config
        )

    def emit(self, run_id: str, event: Event) -> None:
        """Queue one event; the run is opened at first sight and closed by `run_end`.

        Raises:
            EventError: The event, or the run's id, cannot be accepted.
            RunClosedError: The run has ended.
            BrokerError: The sink is closed, or full and called on the loop's own thread.
        """
        event, raw = sealed(event)
        if len(self._fifo) >= self._bound and type(event) is not RunEnd:
            self._wait_for_room()
        if run_id not in self._open:
            self._open_run(run_id)
        if type(event) is RunEnd:
            self._open.pop(run_id, None)
            self._ended[run_id] = None
        self._fifo.append((run_id, event, raw))
        # After the append: whoever still reads False here is in front of the end markers.
        if self._closed:
            raise _closed()
        if not self._signalled:
            self._signalled = True
            self._loop.call_soon_threadsafe(self._signal)

    def disown(self) -> None:
        """Own no run from here on: its runs stay open, for others to go on with."""
        self._owns_runs = False

    def is_open(self, run_id: str) -> bool:
        """Whether the run has begun here and not ended."""
        return run_id in self._open

    def close_all(self) -> None:
        """End every open run behind all that was emitted, wait until all of it is stored, reap.

        From any thread but the loop's. Blocks for as long as the store needs. A sink that does not
        own its runs only publishes what was emitted.
        """
        if threading.get_ident() == self._loop_thread:
            raise RuntimeError("close_all would wait for its own loop: await aclose() there")
        asyncio.run_coroutine_threadsafe(self.aclose(), self._loop).result()

    async def aclose(self) -> None:
        """`close_all` for the loop. Cancelling it gives up waiting for the store; idempotent."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="sink closing")
        await self._closing

    async def flush(self) -> None:
        """Return when all that was emitted so far is published."""
        if self._fifo and not self._closed:
            self._signal()
        await self._drained.wait()

    def stats(self) -> SinkStats:
        """All counters, now."""
        with self._room:
            now = time.perf_counter()
            blocked_s = self._blocked_s + sum(now - since for since in self._waiting)
        return SinkStats(
            queued=len(self._fifo),
            queued_peak=self._queued_peak,
            blocked_s=blocked_s,
            refused=self._refused,
        )

    def _signal(self) -> None:
        if self._fifo or not self._closed:  # a late one must not wait for a writer that is gone
            self._drained.clear()
            self._work.set()

    def _open_run(self, run_id: str) -> None:
        if self._closed:
            raise _closed()
        if run_id in self._ended:
            raise RunClosedError(f"run {run_id} has ended: open a new run")
        check_run_id(run_id)
        self._open[run_id] = None

    def _has_room(self) -> bool:
        return self._closed or len(self._fifo) <= self._bound // 2

    def _wait_for_room(self) -> None:
        if threading.get_ident() == self._loop_thread:
            raise BrokerError("the sink is full and its loop cannot wait: emit from a thread")
        with self._room:
            since = time.perf_counter()
            self._waiting.append(since)
            self._room.wait_for(self._has_room)
            self._waiting.remove(since)
            self._blocked_s += time.perf_counter() - since
        if self._closed:
            raise _closed()

    async def _close(self) -> None:
        self._closed = True
        try:
            await self._end_runs()
            if self._owns_runs:
                await self._broker.settled(self._ended)
                await self._reap()
        finally:
            for task in self._tasks:
                task.cancel()

    async def _end_runs(self) -> None:
        """Again until none is open: a thread that saw the sink open may just have begun a run."""
        with self._room:
            self._room.notify_all()
        while self._open or self._fifo or not self._drained.is_set():
            while self._open:
                run_id, _ = self._open.popitem()
                self._ended[run_id] = None
                if self._owns_runs:
                    event = RunEnd(status="stopped", reason="its producer shut down")
                    self._fifo.append((run_id, *sealed(event)))
            self._signal()
            await self._drained.wait()

    async def _reap(self) -> None:
        for info in [] if self._broker.shared else await self._broker.runs():
            if info.meta.run_id in self._ended and info.state == "closed":
                await self._broker.reap(info.meta.run_id)

    async def _write(self) -> None:
        fifo = self._fifo
        while True:
            await self._work.wait()
            self._work.clear()
            self._signalled = False  # before looking: an emit from here on signals again
            self._queued_peak = max(self._queued_peak, len(fifo))
            while fifo:
                batch = self._next_batch()
                if self._has_room():
                    with self._room:
                        self._room.notify_all()
                await self._publish(batch)
                await self._pacing.wait()
            if not self._work.is_set():
                self._drained.set()

    def _next_batch(self) -> list[Outgoing]:
        """The next events, few enough for the log of the run that they may all be of."""
        fifo = self._fifo
        batch: list[Outgoing] = []
        room = self._batch_bytes
        while fifo and room > 0 and len(batch) < self._batch:
            outgoing = fifo.popleft()
            batch.append(outgoing)
            room -= len(outgoing[2])
        self._pacing.note(batch)
        return batch

    async def _publish(self, batch: list[Outgoing]) -> None:
        try:
            self._refused += await self._broker.publish_all(batch)
        except Exception:  # noqa: BLE001 - or every producer would wait for room for ever
            self._refused += len(batch)
            _log.exception("%d events could not be published", len(batch))

    async def _beat(self) -> None:
        while self._owns_runs:
            try:
                await self._broker.heartbeat(list(self._open))
            except BrokerError as error:
                _log.warning("no heartbeat: %s", error)
            await asyncio.sleep(HEARTBEAT_S)


def _closed() -> BrokerError:
    return BrokerError("the broker is closed: nothing more can be published")
