"""The runs a process holds and every consumer's place in them. Knows no producer and no wire.

A ledger may be the near part of something larger: then `upstream` is asked for what it does not
hold, and letting go of an event is no loss.

Every run has a `RunLog`. Beside them runs the *window*: the newest few hundred envelopes of all
runs in order of arrival. A consumer that keeps up reads slices of the window and costs nothing per
run; one that falls out of it is given a *backlog* (per run: read up to here, owed up to there),
reads that from the logs in turn, and then joins the window again. The window never holds what a
log has let go, because it is at most as long as what a log is sure to keep.

One thread owns a ledger: its loop's. Nothing here waits, except `settled`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from typing import Final, Protocol

from arena_tui.broker.protocol import (
    BrokerStats,
    Cursor,
    Limits,
    RunInfo,
    RunMeta,
    RunStats,
    Start,
)
from arena_tui.broker.ring import RunLog
from arena_tui.broker.subscription import LedgerSubscription
from arena_tui.errors import BrokerError, RunExistsError, UnknownRunError, UsageError
from arena_tui.events import Delivery, Event, Gap, RunEnd, check_run_id

__all__ = ["HEARTBEAT_S", "Ledger", "RunStream", "Upstream"]

HEARTBEAT_S: Final = 5.0
"""How often a living but silent producer says so; three missed in a row: the run is lost."""

_HIGH_WATER_MARKS = (0.5, 0.8, 1.0)
_NEVER = 2**62

_log = logging.getLogger(__name__)


class Upstream(Protocol):
    """Where a ledger's events come from, when others hold them, too."""

    async def fetch(self, gap: Gap) -> list[Delivery]:
        """What is still there of these events, from the first on, and gaps for what is not.

        At least one delivery. A gap that ends before it begins is of unknown length: it comes back
        once nothing is left of its epoch.
        """
        ...

    def acked(self, subscription: LedgerSubscription, cursors: Mapping[str, Cursor]) -> None:
        """A durable subscription has safely kept everything up to these cursors."""
        ...

    def ahead(self, run_id: str, cursor: Cursor) -> None:
        """A reader has read a run up to here: should upstream know of less, it must use no seq up
        to this cursor again."""
        ...


class RunStream:
    """One run's log and what the ledger knows around it.

    Attributes:
        before: How far the stream reached that this one was made anew for, if anybody noted it.
        closed: Whether `run_end` is in the log.
        alive_at: Last sign of life of the producer, seconds since 1970: a heartbeat, or an event
            noticed when somebody asks (reading the clock would cost more than the event).
        seen: The newest position when somebody last asked; of a run taken up from upstream, where
            it was then: to read what is old is no sign of life.
        followers: Subscriptions to chosen runs that chose this one.
        acked_floor: Every durable consumer has acked up to here.
        alarm_at: The position at which the next high-water mark is crossed.
        overflow: Events a durable consumer lost.
    """

    __slots__ = (
        "acked_floor",
        "alarm_at",
        "alive_at",
        "before",
        "closed",
        "followers",
        "log",
        "meta",
        "overflow",
        "seen",
    )

    def __init__(
        self, meta: RunMeta, log: RunLog, now: float, before: Cursor | None = None
    ) -> None:
        self.meta = meta
        self.log = log
        self.before = before
        self.closed = False
        self.alive_at = now
        self.followers: list[LedgerSubscription] = []
        self.acked_floor = 0
        self.alarm_at = _NEVER
        self.overflow = 0
        self.seen = log.last


class Ledger:
    """All runs held, and all subscriptions on them.

    Args:
        limits: How much is promised to be held, here or upstream.
        clock: Seconds since 1970.
        upstream: Where to ask for what is not held here.
        held: How much is held here, when that is less.

    Attributes:
        window: The newest deliveries of all runs, in order of arrival.
        window_start: Position of `window[0]`, counted from the first envelope ever.
        streams: By run id, in order of opening.
        sleeping: Subscriptions waiting for something to read.
        has_gaps: Whether any gap ever came from upstream.
    """

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float],
        upstream: Upstream | None = None,
        held: Limits | None = None,
    ) -> None:
        if not 0 < limits.retain <= limits.capacity:
            raise UsageError(
                f"retain ({limits.retain}) must be from 1 to capacity ({limits.capacity})"
            )
        self.limits = limits
        self.clock = clock
        self.upstream = upstream
        self.closed = False
        self.has_gaps = False
        self.streams: dict[str, RunStream] = {}
        self.window: list[Delivery] = []
        self.window_start = 0
        self.sleeping: set[LedgerSubscription] = set()
        self._window_max = max(2, limits.retain)
        self.thread = threading.get_ident()
        self._subscriptions: list[LedgerSubscription] = []
        self._closed_runs: deque[str] = deque()
        self._acked = asyncio.Event()
        self._trimmed_of_reaped = 0
        self._held = held or limits
        self._overflow = 0
        self._unseen = 0
        self._epochs: dict[str, int] = {}
        self._warnings: deque[str] = deque(maxlen=50)

    @property
    def published(self) -> int:
        """Entries of all runs ever appended: the position after the window's end."""
        return self.window_start + len(self.window)

    def check_thread(self) -> None:
        """Raise RuntimeError when called from a thread other than the owner's."""
        if threading.get_ident() != self.thread:
            raise RuntimeError(
                "the broker belongs to its loop's thread: publish through MultiRunBrokerSink"
            )

    def open(self, meta: RunMeta, epoch: int) -> RunStream:
        """Make an empty stream; its epoch is newer than any of the run that was here or is stored,
        or the same.

        Raises:
            EventError: The run id is not usable.
            RunExistsError: The run is held already.
        """
        self.check_thread()
        check_run_id(meta.run_id)
        if meta.run_id in self.streams:
            raise RunExistsError(f"run {meta.run_id} is already open: use another id")
        if self.closed:
            raise BrokerError("the broker is closed: nothing more can be published")
        stored = [each.start for each in self._subscriptions if each.durable]
        newest = max([
            self._epochs.get(meta.run_id, 0),
            *(each[meta.run_id].epoch for each in stored
              if not isinstance(each, str) and meta.run_id in each),
        ])  # fmt: skip
        if epoch < newest:
            epoch = newest + 1
        self._epochs[meta.run_id] = epoch
        return self._add(RunStream(meta, RunLog(meta.run_id, epoch, self._held), self.clock()))

    def attach(self, meta: RunMeta, epoch: int, first: int, before: Cursor | None) -> RunStream:
        """Take up a stream that upstream has, from its event `first` on; what readers are owed
        before that they get from upstream."""
        log = RunLog(meta.run_id, epoch, self._held, first)
        stream = self._add(RunStream(meta, log, self.clock(), before))
        for subscription in self._subscriptions:
            if subscription.position is not None:
                subscription.begin(stream, attached=True)
        self.settle(stream)
        self.wake()
        return stream

    def get(self, run_id: str) -> RunStream:
        """The run's stream, or UnknownRunError."""
        try:
            return self.streams[run_id]
        except KeyError:
            raise UnknownRunError(f"the broker holds no run {run_id}: open it first") from None

    def append(self, stream: RunStream, event: Event, size: int) -> int:
        """Store an event, tell who is owed it, return its seq. This is an event's whole way in."""
        log = stream.log
        first = log.first
        envelope = log.append(event, size)
        self._tell(stream, envelope, first)
        if type(event) is RunEnd:
            self._close_stream(stream)
        return envelope.seq

    def append_gap(self, stream: RunStream, gap: Gap, epoch: int, next_seq: int = 1) -> None:
        """Store word of events that upstream has lost, in their place; its next event has this
        epoch and seq."""
        first = stream.log.first
        stream.log.append_gap(gap, epoch, next_seq)
        self.has_gaps = True
        self._unseen += gap.count - 1
        if gap.reason != "quarantined":
            for _ in self._durable(stream):
                self.count_overflow(stream, gap.count)
        if stream.closed:
            stream.closed = False
            self._closed_runs.remove(stream.log.run_id)
        self._tell(stream, gap, first)

    def _tell(self, stream: RunStream, delivery: Delivery, first: int) -> None:
        """Who is owed the newest entry, and what its coming made the log let go, `first` on?"""
        window = self.window
        window.append(delivery)
        if len(window) >= self._window_max:
            self._slide_window(len(window) // 2)
        log = stream.log
        if log.first != first:
            self._after_trim(stream, first)
        if log.last >= stream.alarm_at:
            self._warn_high_water(stream)
        if stream.followers:
            for subscription in stream.followers:
                subscription.owe(stream)
        if self.sleeping:
            self.wake()

    def subscribe(
        self, name: str, runs: Collection[str] | None, start: Start, durable: bool
    ) -> LedgerSubscription:
        """See `BrokerProtocol.subscribe`."""
        self.check_thread()
        followed = [self.get(run_id) for run_id in runs or ()]
        position = None if runs is not None else self.published
        subscription = LedgerSubscription(self, name, position, durable, start)
        for stream in followed if runs is not None else self.streams.values():
            subscription.begin(stream)
        for stream in followed:
            stream.followers.append(subscription)
        self._subscriptions.append(subscription)
        for stream in self.streams.values():
            self.settle(stream)
        return subscription

    async def stream(self, run_id: str, from_seq: int) -> AsyncIterator[Delivery]:
        """See `BrokerProtocol.stream`."""
        log = self.get(run_id).log
        if not 1 <= from_seq <= log.last_seq + 1:
            raise BrokerError(
                f"run {run_id} has events 1 to {log.last_seq}: cannot start at {from_seq}"
            )
        start = {run_id: Cursor(log.epoch, from_seq - 1)}
        subscription = self.subscribe(f"stream {run_id}", [run_id], start, durable=False)
        try:
            async for batch in subscription:
                for delivery in batch:
                    yield delivery
        finally:
            subscription.close()

    def unsubscribe(self, subscription: LedgerSubscription) -> None:
        """Count no longer with this consumer; what only it had not acked may be trimmed."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            for stream in self.streams.values():
                if subscription in stream.followers:
                    stream.followers.remove(subscription)
                if subscription.durable:
                    self.settle(stream)
            self._acked.set()

    def settle(self, stream: RunStream) -> None:
        """After an ack, or a durable consumer's coming or going: trim what all have acked."""
        log = stream.log
        floors = [each.acked(stream) for each in self._durable(stream)]
        if not floors:
            stream.alarm_at = _NEVER
            return
        stream.acked_floor = min(floors)
        log.trim_to(min(stream.acked_floor, log.last - self.limits.retain))
        self._set_alarm(stream)
        self._acked.set()

    async def settled(self, run_ids: Iterable[str]) -> None:
        """See `BrokerProtocol.settled`."""
        wanted = list(run_ids)
        while not self.closed and any(self._owed(run_id) for run_id in wanted):
            self._acked.clear()
            await self._acked.wait()

    def reap(self, run_id: str) -> None:
        """Forget a closed run; see `BrokerProtocol.reap`."""
        if not self.get(run_id).closed:
            raise BrokerError(f"run {run_id} is still open: close it first")
        stream = self.streams.pop(run_id)
        self._trimmed_of_reaped += stream.log.trimmed
        self._closed_runs.remove(run_id)
        for subscription in self._subscriptions:
            subscription.forget(stream)
        self._acked.set()
        self.wake()

    def info(self, stream: RunStream, heartbeat_s: float) -> RunInfo:
        """The run as others may see it."""
        now = self.clock()
        if stream.seen < stream.log.last:
            stream.seen = stream.log.last
            stream.alive_at = now
        silent_s = max(0.0, now - stream.alive_at)
        lost = not stream.closed and silent_s > 3 * heartbeat_s
        return RunInfo(
            meta=stream.meta,
            epoch=stream.log.epoch,
            state="closed" if stream.closed else "lost" if lost else "open",
            first_seq=stream.log.first_seq,
            last_seq=stream.log.last_seq,
            silent_s=silent_s,
        )

    def stats(self) -> BrokerStats:
        """All counters, now."""
        streams = self.streams.values()
        return BrokerStats(
            capacity=self.limits.capacity,
            published=self.published + self._unseen,
            trimmed=self._trimmed_of_reaped + sum(stream.log.trimmed for stream in streams),
            overflow=self._overflow,
            runs=tuple(
                RunStats(
                    run_id=stream.log.run_id,
                    held=len(stream.log),
                    high_water=stream.log.high_water,
                    trimmed=stream.log.trimmed,
                    overflow=stream.overflow,
                    lag=0 if stream.alarm_at == _NEVER else stream.log.last - stream.acked_floor,
                )
                for stream in streams
            ),
            consumers=tuple(subscription.stats() for subscription in self._subscriptions),
            warnings=tuple(self._warnings),
        )

    def warn(self, text: str) -> None:
        """Log a warning and keep it for `stats`."""
        _log.warning(text)
        self._warnings.append(text)

    def wake(self) -> None:
        """Let every sleeping subscription look again; once a batch, however many events it has."""
        for subscription in self.sleeping:
            subscription.wake()
        self.sleeping.clear()

    def place_of(self, delivery: Delivery) -> tuple[tuple[str, int], int]:
        """Whose a delivery in the window is (run id and first epoch), and its position there; of a
        reaped run: its epoch and seq."""
        stream = self.streams.get(delivery.run_id)
        if stream is not None and not (stream.log.whole and stream.log.epoch == delivery.epoch):
            position = stream.log.find(delivery)
            if position is not None:
                return (delivery.run_id, stream.log.birth), position
        seq = delivery.to_seq if isinstance(delivery, Gap) else delivery.seq
        return (delivery.run_id, delivery.epoch), seq

    def count_unseen(self, count: int) -> None:
        """So many events were published that never stood in the window."""
        self._unseen += count

    def count_overflow(self, stream: RunStream, count: int) -> None:
        """A durable consumer has lost so many events."""
        self._overflow += count
        stream.overflow += count

    def close(self) -> None:
        """End every iterator and release every waiter."""
        self.closed = True
        for subscription in self._subscriptions:
            subscription.end()
        self.wake()
        self._acked.set()

    def _slide_window(self, count: int) -> None:
        """Drop the window's oldest `count`; who has not read them gets a backlog instead."""
        start = self.window_start + count
        for subscription in self._subscriptions:
            if subscription.position is not None and subscription.position < start:
                subscription.fall_behind()
        del self.window[:count]
        self.window_start = start

    def _add(self, stream: RunStream) -> RunStream:
        self.streams[stream.log.run_id] = stream
        self.settle(stream)
        return stream

    def _after_trim(self, stream: RunStream, from_position: int) -> None:
        """The log let this and maybe more go for lack of room: who had not read them?"""
        if len(stream.log) < self._window_max:
            # Trimmed by bytes or at a tiny capacity: the window may hold what the log let go.
            self._slide_window(len(self.window))
        for subscription in self._durable(stream) if self.upstream is None else ():
            self.count_overflow(stream, subscription.lose(stream, from_position))

    def _close_stream(self, stream: RunStream) -> None:
        stream.closed = True
        self._closed_runs.append(stream.log.run_id)
        while len(self._closed_runs) > self.limits.closed_runs:
            if self._owed(self._closed_runs[0]):
                break
            self.reap(self._closed_runs[0])

    def _durable(self, stream: RunStream) -> list[LedgerSubscription]:
        return [each for each in self._subscriptions if each.durable and each.follows(stream)]

    def _owed(self, run_id: str) -> bool:
        """Whether some durable consumer has yet to ack events of this run."""
        stream = self.streams.get(run_id)
        return stream is not None and any(
            each.acked(stream) < stream.log.last for each in self._durable(stream)
        )

    def _set_alarm(self, stream: RunStream) -> None:
        lag = stream.log.last - stream.acked_floor
        marks = (max(1, int(mark * self.limits.capacity)) for mark in _HIGH_WATER_MARKS)
        above = next((mark for mark in marks if mark > lag), None)
        stream.alarm_at = 2**61 if above is None else stream.acked_floor + above

    def _warn_high_water(self, stream: RunStream) -> None:
        lag = stream.log.last - stream.acked_floor
        percent = 100 * lag // self.limits.capacity
        self.warn(
            f"run {stream.log.run_id}: {lag:,} events not yet stored, {percent} % of capacity"
        )
        self._set_alarm(stream)
