"""One consumer's cursor on the ledger. Holds positions, no events but those being recovered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from arena_tui.broker.backlog import Backlog
from arena_tui.broker.behind import Behind
from arena_tui.broker.counts import Counts
from arena_tui.broker.let_go import LetGo
from arena_tui.broker.losses import Losses
from arena_tui.broker.protocol import Cursor, Start, Subscription
from arena_tui.broker.recovery import Recover, Recovery
from arena_tui.broker.starting import Origin, StartCursors
from arena_tui.broker.stats import ConsumerStats
from arena_tui.broker.stream import NEVER, RunStream
from arena_tui.broker.window import Window
from arena_tui.events import Delivery, Gap

_BATCH = 4_000
"""Twice the batch a sink publishes, so that a consumer which runs once for every two batches keeps
up."""


class _Readers(Protocol):
    """What a subscription needs of the set of all subscriptions."""

    sleeping: set[LedgerSubscription]
    let_go: LetGo

    def remove(self, subscription: LedgerSubscription) -> None: ...

    def on_ack(self, stream: RunStream, subscription: LedgerSubscription) -> None: ...

    def record_overflow(
        self, subscription: LedgerSubscription, stream: RunStream, gap: Gap
    ) -> None: ...


class AckSink(Protocol):
    """Where a broker forwards what durable consumers ack, by their identity."""

    def record(self, identity: str, cursors: Mapping[str, Cursor]) -> None:
        """Everything up to these cursors is acked."""

    def remove(self, identity: str) -> None:
        """It is closed."""


class _Ledger(Protocol):
    """What a subscription needs of the ledger it reads."""

    closed: bool
    counts: Counts
    clock: Callable[[], float]


async def one_by_one(subscription: Subscription) -> AsyncGenerator[Delivery, None]:
    """The deliveries of a subscription, which is closed with the iterator."""
    try:
        async for batch in subscription:
            for delivery in batch:
                yield delivery
    finally:
        subscription.close()


class LedgerSubscription:
    """See `Subscription`. Made by `Ledger.subscribe`.

    Args:
        window, streams, readers: Of the ledger.
        position: Its position in the window; None when it follows specific runs only.
        durable: Whether it acks; unacked events are not trimmed.
        start: Where it starts to read a run.
        recover: Fetches what the logs no longer hold before a gap is delivered. As that must be
            awaited, `read_nowait` stops at such a gap when durable, else it returns the gap.
        acks: Told of its acks and its closing.
        identity: See `BrokerProtocol.subscribe`.

    Attributes:
        unfinished: Runs it was reading when it stopped last, that were not found yet.
        starting: Where it starts in a run.
        losses: What it lost, if it is durable.
    """

    def __init__(
        self, ledger: _Ledger, window: Window, streams: Mapping[str, RunStream], readers: _Readers,
        name: str, position: int | None, durable: bool, start: Start,
        recover: Recover | None = None, acks: AckSink | None = None, identity: str = "",
        unfinished: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.name = name
        self.identity = identity or name
        self.batch_max = _BATCH
        self.position = position
        self.durable = durable
        self.losses = Losses()
        self.unfinished = set(unfinished)
        self._acks = acks
        self._ledger = ledger
        self._window = window
        self._streams = streams
        self._readers = readers
        self._backlog = Backlog()
        self.starting = StartCursors(start)
        self._recovery = None if recover is None else Recovery(recover)
        self._chosen: set[str] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._published = -ledger.counts.arrived if position is not None else 0
        self._delivered = 0
        self._in_gaps = 0
        self._lag_peak = 0
        self._behind = Behind()

    def __aiter__(self) -> LedgerSubscription:
        return self

    async def __anext__(self) -> list[Delivery]:
        while True:
            if self._closed or self._ledger.closed:
                raise StopAsyncIteration
            if self._lag() >= self.batch_max:
                await asyncio.sleep(0)  # a reader that is never idle must not starve the loop
            if batch := self._next(self.batch_max, unfilled=False):
                return batch
            if self._recovery:
                more = await self._recovery.ask()
                self._published += more
            elif self.position is None and all(
                run not in self._streams or self._streams[run].closed for run in self._chosen
            ):
                raise StopAsyncIteration
            else:
                await self._sleep()

    def read_nowait(self, limit: int = 1_000) -> list[Delivery]:
        return self._next(limit, unfilled=not self.durable)

    def _next(self, limit: int, unfilled: bool) -> list[Delivery]:
        self._lag_peak = max(self._lag_peak, self._lag())
        recovery = self._recovery
        batch = [] if recovery else self._read(limit)
        if recovery is not None and (recovery or Gap in map(type, batch)):
            recovery.enqueue(batch)
            batch = recovery.take(limit, unfilled)
        self._count(batch)
        return batch

    def ack(self, cursors: Mapping[str, Cursor]) -> None:
        held: dict[str, Cursor] = {}
        for run_id, cursor in cursors.items():
            stream = self._streams.get(run_id)
            if stream is not None:
                held[run_id] = min(cursor, Cursor(stream.log.epoch, stream.log.last))
            stream = stream or self._readers.let_go.unacked.get(run_id)
            if stream is not None and stream.ack(self.name, cursor):
                self._readers.on_ack(stream, self)
        if self._acks is not None and not self._closed:
            self._acks.record(self.identity, held)

    def close(self) -> None:
        if self._acks is not None and not self._closed:
            self._acks.remove(self.identity)
        self._closed = True
        self._readers.remove(self)
        self.end()

    def begin(self, stream: RunStream, origin: Origin = "held") -> int:
        """Start reading a stream; returns the seq after which it reads."""
        log = stream.log
        self.unfinished.discard(log.run_id)
        at, before = self.starting.enter(stream, origin)
        if at > (log.epoch, log.last):
            self.starting.add(log.run_id, at)
        read = log.last if at.epoch > log.epoch else min(at.seq, log.last)
        if self.position is None:
            self._chosen.add(log.run_id)
        self._backlog.add(stream, read, before)
        self._published += log.last - read + sum(gap.count for gap in before)
        for marker in () if self.starting.start == "newest" else stream.markers:
            if marker.from_seq > read:
                self._backlog.enqueue(stream, stream.log.last - read, marker)
        if self.durable:
            unheld = Gap(log.run_id, log.epoch, read + 1, log.born_at - 1, "trimmed")
            for gap in (*before, unheld):
                self._ledger.counts.lose_unheld(stream, gap)
        return NEVER if at.epoch > log.epoch else at.seq

    def enqueue(self, stream: RunStream, count: int, marker: Gap | None = None) -> None:
        self._published += count + sum(gap.count for gap in stream.resets)
        self._backlog.enqueue(stream, count, marker)

    def fall_behind(self) -> None:
        """Move its unread part of the window to the backlog, before the window evicts it."""
        assert self.position is not None
        self._lag_peak = max(self._lag_peak, self._lag())
        self._backlog.absorb_window(self._window, self.position)
        self.position = self._window.end

    def unread_in(self, stream: RunStream, first: int, last: int) -> int:
        log = stream.log
        return self._backlog.unread_in(
            stream, self.starting.first_after(log.run_id, log.epoch, first), last
        )

    def end(self) -> None:
        """Cancel what it waits for: it is closed, or the ledger is."""
        if self._recovery is not None:
            self._recovery.cancel()
        self.wake()

    def wake(self) -> None:
        """Resume the reader: there may be something to read."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def stats(self) -> ConsumerStats:
        lag, published = self._lag(), self._published
        if self.position is not None:
            published += self._ledger.counts.arrived
        return ConsumerStats(
            name=self.name, durable=self.durable, published=published, delivered=self._delivered,
            in_gaps=self._in_gaps, skipped=self.starting.skipped, lag=lag,
            lag_peak=max(self._lag_peak, lag),
            lag_s=self._behind.age_s(published, lag, self._ledger.clock()),
            overflow=self.losses.total,
        )  # fmt: skip

    def unread(self) -> dict[str, int]:
        counts = Counter(self._backlog.by_run())
        if self.position is not None:
            counts.update(self._window.by_run(self.position))
        if self._recovery:
            counts.update(self._recovery.by_run())
        return {run_id: count for run_id, count in counts.items() if count}

    def _read(self, limit: int) -> list[Delivery]:
        """Read what is available after the start cursors: first the backlog, then the window."""
        while True:
            batch: list[Delivery] = []
            if self._backlog:
                if self.position is not None and self._backlog.event_count() > limit:
                    self.fall_behind()  # so that runs with entries in the window get their turn
                batch = self._backlog.read(limit)
            if self.position is not None and len(batch) < limit and not self._backlog:
                news = self._window.read(self.position, limit - len(batch))
                self.position += len(news)
                batch = batch + news if batch else news
            if not batch or not self.starting:
                return batch
            if batch := self.starting.skip(batch):
                return batch

    def _count(self, batch: Sequence[Delivery]) -> None:
        """Update the counters for a batch about to be delivered."""
        gaps = [each for each in batch if type(each) is Gap]
        self._delivered += len(batch) - len(gaps)
        for gap in gaps:
            self._in_gaps += gap.count
            stream = self._streams.get(gap.run_id)
            if self._recovery is not None and self.durable and stream is not None:
                self._readers.record_overflow(self, stream, gap)

    async def _sleep(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        self._readers.sleeping.add(self)
        try:
            await self._waiter
        finally:
            self._readers.sleeping.discard(self)
            self._waiter = None

    def _lag(self) -> int:
        ahead = 0 if self.position is None else self._window.event_count(self.position)
        held = self._recovery.event_count() if self._recovery else 0
        return ahead + self._backlog.event_count() + held
