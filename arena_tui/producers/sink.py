"""Publishes from any thread: one bounded FIFO, drained in order by one writer on the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from arena_tui.broker.chain import Chain, Traced
from arena_tui.broker.own_log import is_handling, is_speaking
from arena_tui.broker.protocol import BrokerProtocol, Cursor, Outgoing
from arena_tui.broker.recent import Recent
from arena_tui.broker.refused import Refused
from arena_tui.broker.stream import HEARTBEAT_S
from arena_tui.broker.tasks import Failures, cancel_until_done
from arena_tui.codec import sealed
from arena_tui.errors import BrokerError, RunClosedError
from arena_tui.events import (
    EVENT_MAX_BYTES,
    ErrorEvent,
    Event,
    LogEvent,
    RunEnd,
    RunStart,
    check_run_id,
)  # fmt: skip
from arena_tui.producers.fifo import Fifo
from arena_tui.producers.heir import Heir, Successor
from arena_tui.producers.lenient import Lenient
from arena_tui.producers.pacing import StorePacing
from arena_tui.producers.run import Run
from arena_tui.producers.sink_stats import SinkStats

_BOUND = 100_000
_BATCH = 2_000
"""Most events per batch: more would starve the consumers on the same loop."""

_ENDED_KEPT = 10_000
"""Ended runs that are remembered, so that a late event does not open one again."""

_PATIENCE_S = 2.0
_LINES = frozenset({LogEvent, ErrorEvent})
"""What handlers of the program's log may record, but not of our own lines in it."""


class MultiRunBrokerSink:
    """The producers' side of a broker, safe to use from any number of threads.

    `emit` returns once the event is checked and queued; events of a run keep the order of emitting.
    A full queue blocks the producer's thread, but never the loop, never for what ends a run, so
    that leaving one does not hang, and up to twice its bound not in a logging handler; coroutines
    await `room` before they emit. Create it on the broker's loop; end it with `close_all` from a
    thread, or await `aclose` on the loop.

    Publishing pauses while half of a run's log (in events or in bytes) is not stored yet, so that
    fast producers lose nothing, and briefly while much of all runs is not; see `StorePacing`. A
    store that makes no progress is not waited for.

    Args:
        bound: Most events queued before producers wait.
        patience_s: How long the store may go without progress before it is not waited for.
        pause_at: Fraction of what the broker holds that may be unstored before publishing pauses.
        event_max_bytes: Largest event accepted, in bytes of JSON.

    Attributes:
        count_coerced: Counts, and warns of, an event that was made to fit before it was emitted.
        run: Creates a `Run` that emits into this sink; never raises into a game unless `strict`.
        ended: The runs that ended through it, as far as they are remembered.
        closed: Whether it is closed, or being closed.
    """

    def __init__(
        self,
        broker: BrokerProtocol,
        bound: int = _BOUND,
        patience_s: float = _PATIENCE_S,
        *,
        pause_at: float = 0.5,
        event_max_bytes: int = EVENT_MAX_BYTES,
    ) -> None:
        self._broker = broker
        self._batch = max(1, min(_BATCH, broker.limits.capacity // 4))
        # A batch must fit into one run's log, should all its events be of one run.
        self._batch_bytes = broker.limits.run_bytes // 4
        self._pacing = StorePacing(broker, patience_s, pause_at)
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._fifo = Fifo(bound)
        self._append = self._fifo.append
        self._open: dict[str, bool] = {}  # whether it owns them
        self.ended: Recent[str, bool] = Recent(_ENDED_KEPT)
        self.closed = False
        self._work = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._granted = 0  # events that the loop's thread may queue though it is full
        self._signalled = False
        self._closing: asyncio.Task[None] | None = None
        self._end_reason = "its producer shut down"
        self._exit_code: int | None = None
        self._all_published = False
        self._last: dict[str, Event] = {}  # of the runs that closing ends
        self._refused = Refused()
        self._failures = Failures(broker.warnings)
        self.event_max_bytes = event_max_bytes
        lenient = self._lenient = Lenient(self.emit, broker.warnings, event_max_bytes)
        self.count_coerced = lenient.count_coerced
        self.run: Callable[..., Run] = partial(Run, self.emit, room=self.room, refused=lenient)
        self._heir: Heir | None = None
        self._tasks = [
            self._loop.create_task(self._write(), name="sink writer"),
            self._loop.create_task(self._beat(), name="sink heartbeat"),
        ]

    def emit(
        self, run_id: str, event: Event, owned: bool = True, chain: Chain | None = None,
        opens_at: Cursor | None = None,
    ) -> None:  # fmt: skip
        """Queue one event; its first event opens a run, `run_end` closes it.

        Args:
            owned: Whether the run lives and ends with the sink; its first event decides, and its
                `run_start`. Of a run whose events are only forwarded nobody here can know: it has
                no heartbeat, and closing the sink neither ends it nor waits until it is stored.
            chain: What of a file's lines this event completes, for the store to remember.
            opens_at: Where the run's stream begins, if it is not in the broker yet.

        Raises:
            EventError: The event, or the run's id, cannot be accepted.
            RunClosedError: The run has ended.
            BrokerError: The sink is closed, or full and called on the loop's own thread without
                awaiting `room` before.
        """
        if self._heir is not None:
            return self._heir.emit(run_id, event, owned)
        if type(event) in _LINES and is_speaking():
            return None
        event, raw = sealed(event, self.event_max_bytes)
        if chain is not None or opens_at is not None:
            raw = Traced(raw, chain, opens_at)
        fifo = self._fifo
        if len(fifo) >= fifo.bound:
            self._wait_for_room(event)
        owns = self._open.get(run_id)
        if owns is None:
            self._open_run(run_id, owned)
        elif owned and not owns and type(event) is RunStart:
            self._open[run_id] = True
        if type(event) is RunEnd:
            self.ended[run_id] = self._open.pop(run_id, owned)
        self._append((run_id, event, raw))
        # Checked after the append: a thread that reads False here queued before `_end_runs` did.
        if fifo.closed:
            raise _closed(self._exit_code)
        if not self._signalled:
            self._signalled = True
            with suppress(RuntimeError):  # closed since then, with all that was queued published
                self._loop.call_soon_threadsafe(self._signal)
        return None

    async def room(self) -> None:
        """Wait until there is room; await it, on any loop, before emitting from a coroutine.

        Until the next await the sink's own loop may then queue `bound` events, whatever threads
        do meanwhile; another loop is blocked by `emit` only if they were faster. Nothing is queued
        by waiting, so that it may be cancelled at any time. What ends a run needs no room.

        Raises:
            BrokerError: The sink is closed.
        """
        if self._heir is not None:
            return await self._heir.room()
        await self._fifo.room()
        if self._fifo.closed:
            raise _closed(self._exit_code)
        if threading.get_ident() == self._loop_thread:
            self._granted = self._fifo.bound
        return None

    def hand_over(self, successor: Callable[[], Successor]) -> None:
        """In a forked child, which has no loop of this: do all else through its successor."""
        self._heir = Heir(successor, self._open, self.ended)
        self.run = self._heir.run

    def interrupt(self, reason: str, code: int) -> None:
        """The process is to end: closing ends open runs for this reason, and once it is closed,
        who emits or waits for room is ended by SystemExit with this code. Takes no lock."""
        self._end_reason, self._exit_code = reason, code

    def disown(self, run_ids: Iterable[str]) -> None:
        """Only forward these runs from now on, so that closing leaves them to other producers."""
        for run_id in self._open.keys() & run_ids:
            self._open[run_id] = False

    def is_open(self, run_id: str) -> bool:
        """Whether the run was opened through this sink and has not ended."""
        if self._heir is not None:
            return self._heir.is_open(run_id)
        return run_id in self._open

    def close_all(self) -> None:
        """End every run it owns after all queued events, wait until they are stored, and reap them.

        Callable from any thread but the loop's; blocks for as long as the store needs.
        """
        if threading.get_ident() == self._loop_thread:
            raise RuntimeError("close_all would wait for its own loop: await aclose() there")
        asyncio.run_coroutine_threadsafe(self.aclose(), self._loop).result()

    async def aclose(self, publish: bool = True) -> None:
        """`close_all` for the loop. Cancelling it gives up waiting for the store; idempotent.

        Args:
            publish: False to publish nothing more, where the broker was never reached.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(publish), name="sink closing")
        await self._closing

    async def flush(self) -> None:
        """Return when all that was emitted so far is published."""
        if self._fifo and not self._fifo.closed:
            self._signal()
        await self._drained.wait()
        await self._broker.flush()

    def stats(self) -> SinkStats:
        return SinkStats(
            queued=0 if self._all_published else len(self._fifo), failures=self._failures.count,
            published=self._fifo.taken - self._refused.events, queued_peak=self._fifo.peak,
            blocked_s=self._fifo.blocked_s, coerced=self._lenient.coerced,
            refused=self._refused.plus(*self._lenient.refused),
        )  # fmt: skip

    def _signal(self) -> None:
        if self._fifo or not self._fifo.closed:  # a late signal must not wait for a stopped writer
            self._drained.clear()
            self._work.set()

    def _open_run(self, run_id: str, owned: bool) -> None:
        if self._fifo.closed:
            raise _closed(self._exit_code)
        if run_id in self.ended:
            raise RunClosedError(run_id)
        check_run_id(run_id)
        self._open[run_id] = owned

    def _wait_for_room(self, event: Event) -> None:
        if type(event) is RunEnd or (type(event) is ErrorEvent and event.fatal):
            return
        if len(self._fifo) < 2 * self._fifo.bound and is_handling():
            return  # it holds the handler's lock, which our loop may need before it makes room
        if threading.get_ident() != self._loop_thread:
            self._fifo.wait_for_room()
        elif self._granted:
            self._granted -= 1
        else:
            raise BrokerError("the sink is full: await room() before, or emit from a thread")
        if self._fifo.closed:
            raise _closed(self._exit_code)

    async def _close(self, publish: bool) -> None:
        self.closed = True
        self._fifo.close()
        try:
            if publish:
                await self._end_runs()
                self._all_published = True  # whoever queues more is told that it is closed
                await self._broker.flush()
                if own := {run_id for run_id, owned in list(self.ended.items()) if owned}:
                    await self._broker.settled(own)
                    await self._reap(own)
        finally:
            await cancel_until_done(self._tasks)  # the broker may be closed from here on

    async def _end_runs(self) -> None:
        """End runs until none is open: a thread that saw the sink open may just have opened one."""
        while self._open or self._fifo or not self._drained.is_set():
            while self._open:
                run_id, owned = self._open.popitem()
                if owned:
                    self.ended[run_id] = True
                    event, raw = sealed(RunEnd(status="stopped", reason=self._end_reason))
                    self._last[run_id] = event
                    self._fifo.append((run_id, event, raw))
            self._signal()
            await self._drained.wait()

    async def _reap(self, run_ids: set[str]) -> None:
        for info in [] if self._broker.shared else await self._broker.runs():
            if info.meta.run_id in run_ids and info.state == "closed":
                await self._broker.reap(info.meta.run_id)

    async def _write(self) -> None:
        fifo, over = self._fifo, set[str]()
        while True:
            await self._work.wait()
            self._work.clear()
            self._signalled = False  # before draining: an emit from here on signals again
            while fifo:
                batch = fifo.take(self._batch, self._batch_bytes)
                if self._last:
                    batch = list(_in_time(batch, self._last, over))
                await self._publish(batch)
                paced = False
                with self._failures.survived("pacing producers"):
                    self._pacing.note(batch)
                    await self._pacing.wait()
                    paced = True
                if not paced:
                    await asyncio.sleep(0)  # the consumers' turn
            if not self._work.is_set():
                self._drained.set()

    async def _publish(self, batch: list[Outgoing]) -> None:
        try:
            refused = await self._broker.publish_all(batch)
        except Exception as error:  # noqa: BLE001 - else producers would block for ever
            refused = Refused(len(batch), str(error))
            why, events = str(error) or repr(error), len(batch)
            self._broker.warnings.add("events_unpublished", error=error, why=why, events=events)
        self._refused = self._refused.plus(*refused)

    async def _beat(self) -> None:
        while True:
            own = [run_id for run_id, owned in self._open.copy().items() if owned]
            with self._failures.survived("the heartbeat"):
                if own or self.ended:  # the broker may have to tell of ended runs again
                    await self._broker.heartbeat(own)
            await asyncio.sleep(HEARTBEAT_S)


def _in_time(
    batch: Iterable[Outgoing], last: Mapping[str, Event], over: set[str]
) -> Iterator[Outgoing]:
    """All but what was queued behind the last event of its run while that was being ended: whoever
    queued it was told that the sink is closed. `over` holds the runs whose last event was met."""
    for run_id, event, raw in batch:
        if run_id not in over:
            yield run_id, event, raw
        if event is last.get(run_id):
            over.add(run_id)


def _closed(exit_code: int | None) -> BaseException:
    if exit_code is not None:
        return SystemExit(exit_code)
    return BrokerError("the broker is closed: nothing more can be published")
