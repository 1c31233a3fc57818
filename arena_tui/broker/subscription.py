"""One consumer's cursor on the ledger. Holds no events, only how far it has read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from arena_tui.broker.backlog import Backlog
from arena_tui.broker.protocol import ConsumerStats, Cursor, Start
from arena_tui.broker.recovery import Recover, Recovery
from arena_tui.broker.stream import RunStream
from arena_tui.broker.window import Window
from arena_tui.events import Delivery, Envelope, Gap

__all__ = ["LedgerSubscription", "missed_streams"]

_BATCH = 4_000
"""Twice what producers publish at a time, so that a consumer with one turn between two of theirs
keeps up."""


class _Readers(Protocol):
    """What a subscription needs of all others together."""

    sleeping: set[LedgerSubscription]

    def remove(self, subscription: LedgerSubscription) -> None: ...

    def on_ack(self, stream: RunStream) -> None: ...

    def record_overflow(
        self, subscription: LedgerSubscription, stream: RunStream, gap: Gap
    ) -> None: ...


class _Ledger(Protocol):
    """What a subscription needs of the ledger it reads."""

    window: Window
    streams: dict[str, RunStream]
    closed: bool
    clock: Callable[[], float]

    @property
    def readers(self) -> _Readers: ...

    def count_unheld(self, stream: RunStream, gap: Gap) -> None: ...


class LedgerSubscription:
    """See `Subscription`. Made by `Ledger.subscribe`.

    Args:
        position: Where in the window of all runs it reads; None when it follows chosen runs only.
        durable: Whether it acks, and is waited for with trimming.
        start: Where it takes up runs it has not seen.
        recover: Asked, before a gap is handed over, for what the logs no longer hold. That takes
            awaiting: at such a place `read_nowait` stops when durable, else it returns the gap.

    Attributes:
        overflowing: Runs of which it is losing events, as announced.
        overflow: Events it lost.
        acked: Takes its name and what it acks, too; set by a broker that has others to tell.
    """

    def __init__(
        self,
        ledger: _Ledger,
        name: str,
        position: int | None,
        durable: bool,
        start: Start,
        recover: Recover | None = None,
    ) -> None:
        self.name = name
        self.position = position
        self.durable = durable
        self.start = start
        self.overflowing: set[str] = set()
        self.overflow = 0
        self.acked: Callable[[str, Mapping[str, Cursor]], None] | None = None
        self._ledger = ledger
        self._backlog = Backlog()
        self._recovery = None if recover is None else Recovery(recover)
        self._chosen: set[str] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._delivered = 0
        self._in_gaps = 0
        self._lag_peak = 0

    def __aiter__(self) -> LedgerSubscription:
        return self

    async def __anext__(self) -> list[Delivery]:
        while True:
            if self._closed or self._ledger.closed:
                raise StopAsyncIteration
            if self._lag() >= _BATCH:
                await asyncio.sleep(0)  # a reader that is never out of work must not own the loop
            if batch := self._next(_BATCH, unfilled=False):
                return batch
            if self._recovery:
                await self._recovery.ask()
            elif self.position is None and not self._any_open():
                raise StopAsyncIteration
            else:
                await self._sleep()

    def read_nowait(self, limit: int = 1_000) -> list[Delivery]:
        return self._next(limit, unfilled=not self.durable)

    def _next(self, limit: int, unfilled: bool) -> list[Delivery]:
        self._lag_peak = max(self._lag_peak, self._lag())
        recovery = self._recovery
        if recovery is None:
            batch = self._read(limit)
        else:
            if not recovery:
                recovery.hold(self._read(limit))
            batch = recovery.take(limit, unfilled)
        self._count(batch)
        return batch

    def ack(self, cursors: Mapping[str, Cursor]) -> None:
        for run_id, cursor in cursors.items():
            stream = self._ledger.streams.get(run_id)
            if stream is not None and stream.ack(self.name, cursor):
                self._ledger.readers.on_ack(stream)
        if self.acked is not None:
            self.acked(self.name, cursors)

    def close(self) -> None:
        self._closed = True
        self._ledger.readers.remove(self)
        self.end()

    def begin(self, stream: RunStream, attached: bool = False) -> int:
        """Take up a run that exists already; one `attached` since it subscribed, from its start.

        Returns the seq up to which it needs nothing.
        """
        log = stream.log
        before: list[Gap] = []
        if self.start == "newest":
            read = log.last
        elif self.start == "oldest":
            read = 0 if attached else log.first - 1
        else:
            read, before = _place_after(self.start.get(log.run_id), stream)
        if self.position is None:
            self._chosen.add(log.run_id)
        self._backlog.add(stream, read, before)
        if self.durable:
            unheld = Gap(log.run_id, log.epoch, read + 1, log.born_at - 1, "trimmed")
            for gap in (*before, unheld):
                self._ledger.count_unheld(stream, gap)
        return read

    def enqueue(self, stream: RunStream) -> None:
        """A run it chose has one more entry, or its stream has ended."""
        self._backlog.enqueue(stream)

    def fall_behind(self) -> None:
        """The window moves on: what of it is not read yet becomes backlog."""
        assert self.position is not None
        self._lag_peak = max(self._lag_peak, self._lag())
        window = self._ledger.window
        self._backlog.take_over(window, self.position)
        self.position = window.end

    def unread_in(self, stream: RunStream, first: int, last: int) -> int:
        """How many of `first..last` it has yet to read; they are the newest of these."""
        return self._backlog.unread_in(stream, first, last)

    def end(self) -> None:
        """It is closed, or the ledger is: wait for nothing any more."""
        if self._recovery is not None:
            self._recovery.cancel()
        self.wake()

    def wake(self) -> None:
        """There may be something to read."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def stats(self) -> ConsumerStats:
        """Its counters, now."""
        lag = self._lag()
        return ConsumerStats(
            name=self.name,
            durable=self.durable,
            delivered=self._delivered,
            in_gaps=self._in_gaps,
            lag=lag,
            lag_peak=max(self._lag_peak, lag),
            lag_s=self._lag_s(),
            overflow=self.overflow,
        )

    def _read(self, limit: int) -> list[Delivery]:
        """What is there: first the backlog, then the window."""
        batch: list[Delivery] = []
        if self._backlog:
            if self.position is not None and self._backlog.events() > limit:
                self.fall_behind()  # so that runs in the window get their turn, too
            batch = self._backlog.read(limit)
        if self.position is not None and len(batch) < limit and not self._backlog:
            news = self._ledger.window.read(self.position, limit - len(batch))
            self.position += len(news)
            batch = batch + news if batch else news
        return batch

    def _count(self, batch: Sequence[Delivery]) -> None:
        """Note what is handed over."""
        gaps = [each for each in batch if type(each) is Gap]
        self._delivered += len(batch) - len(gaps)
        for gap in gaps:
            self._in_gaps += gap.count
            stream = self._ledger.streams.get(gap.run_id)
            if self._recovery is not None and self.durable and stream is not None:
                self._ledger.readers.record_overflow(self, stream, gap)
        if self.overflowing:
            self.overflowing.difference_update(
                each.run_id for each in batch if type(each) is Envelope
            )

    async def _sleep(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        self._ledger.readers.sleeping.add(self)
        try:
            await self._waiter
        finally:
            self._ledger.readers.sleeping.discard(self)
            self._waiter = None

    def _any_open(self) -> bool:
        streams = self._ledger.streams
        return any(run in streams and not streams[run].closed for run in self._chosen)

    def _lag(self) -> int:
        ahead = 0 if self.position is None else self._ledger.window.end - self.position
        held = self._recovery.events() if self._recovery else 0
        return ahead + self._backlog.events() + held

    def _lag_s(self) -> float:
        """Age of the oldest event still held that it has not read, in seconds."""
        oldest = self._backlog.oldest()
        if self.position is not None:
            oldest += [
                each
                for each in self._ledger.window.read(self.position, 1)
                if isinstance(each, Envelope)
            ]
        stamps = [each.event.ts.timestamp() for each in oldest]
        return max(0.0, self._ledger.clock() - min(stamps)) if stamps else 0.0


def _place_after(cursor: Cursor | None, stream: RunStream) -> tuple[int, list[Gap]]:
    """The seq up to which a reader at this cursor has read the stream, and gaps for what it misses
    of the streams before it."""
    log = stream.log
    if cursor is None:
        ended = stream.ended_streams
        return 0, [Gap(log.run_id, end.epoch, 1, end.seq, "reset") for end in ended if end.seq]
    if cursor.epoch == log.epoch:
        return min(cursor.seq, log.last), []
    if cursor.epoch > log.epoch:  # upstream knows less than this reader: it will begin anew
        return log.last, []
    return 0, missed_streams(log.run_id, cursor, stream.ended_streams, log.epoch)


def missed_streams(run_id: str, at: Cursor, ended: Sequence[Cursor], epoch: int) -> list[Gap]:
    """Gaps for what a reader at this cursor misses of the streams before the one of `epoch`.

    The first is of the cursor's own stream: empty when all of it was read, and of unknown length,
    which looks the same, when nobody noted how it ended.
    """
    ends = {end.epoch: end.seq for end in ended if at.epoch <= end.epoch < epoch}
    last = max(at.seq, ends.pop(at.epoch, 0))
    return [
        Gap(run_id, at.epoch, at.seq + 1, last, "reset"),
        *(Gap(run_id, each, 1, seq, "reset") for each, seq in ends.items() if seq),
    ]
