"""One consumer's cursor on the ledger. Holds no events, only how far it has read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from arena_tui.broker.protocol import ConsumerStats, Cursor, Start
from arena_tui.events import Delivery, Envelope, Gap

if TYPE_CHECKING:
    from arena_tui.broker.ledger import Ledger, RunStream

__all__ = ["LedgerSubscription"]

_BATCH = 1_000
_PER_RUN = 256
"""Events one run may take of a batch before the next run's turn, while reading a backlog."""


_Key: TypeAlias = tuple[str, int]
"""Run id and first epoch of its log: a run that was reaped and opened again is another log."""


class _Backlog:
    """What a subscription is owed of one log: positions `read + 1 .. owed`; before them, of streams
    that this one replaces, gaps.

    Without a log, because the run is reaped, positions are seqs.
    """

    __slots__ = ("gaps", "owed", "read")

    def __init__(self, read: int, owed: int, gaps: Iterable[Gap] = ()) -> None:
        self.read = read
        self.owed = owed
        self.gaps = deque(gaps)


class _Question(NamedTuple):
    """A range that upstream is asked for, the position it reaches to, and who is owed it."""

    key: _Key
    backlog: _Backlog
    gap: Gap
    position: int
    answer: asyncio.Task[list[Delivery]]


class LedgerSubscription:
    """See `Subscription`. Made by `Ledger.subscribe`.

    Where the ledger is a part of something larger, what its logs no longer hold is asked for
    upstream before it becomes a gap. `read_nowait` cannot ask: a durable reader is given nothing
    beyond such a place until it awaits the next batch; any other is given the gap.

    Attributes:
        position: Where in the window of all runs it reads; None when it follows chosen runs only.
        durable: Whether it acks, and is waited for with trimming.
        start: Where it takes up runs it has not seen.
    """

    def __init__(
        self, ledger: Ledger, name: str, position: int | None, durable: bool, start: Start
    ) -> None:
        self.name = name
        self.position = position
        self.durable = durable
        self.start = start
        self._ledger = ledger
        self._question: _Question | None = None
        self._backlog: dict[_Key, _Backlog] = {}
        self._backlog_events = 0
        self._chosen: set[str] = set()
        self._acked: dict[str, int] = {}
        self._overflowing: set[str] = set()
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
            asks = self._ledger.upstream is not None
            if batch := self._read(_BATCH, asks) or (asks and await self._ask_upstream()):
                return batch
            if self.position is None and not self._any_open():
                raise StopAsyncIteration
            await self._sleep()

    def read_nowait(self, limit: int = _BATCH) -> list[Delivery]:
        return self._read(limit, self.durable and self._ledger.upstream is not None)

    def _read(self, limit: int, asks: bool) -> list[Delivery]:
        """What is there; up to the first place that upstream is to be asked about, if it is."""
        self._note_lag()
        batch: list[Delivery] = []
        if self._backlog:
            if self.position is not None and self._backlog_events > limit:
                self.fall_behind()  # so that runs in the window get their turn, too
            self._read_backlog(limit, batch, asks)
        if self.position is not None and len(batch) < limit and not self._backlog:
            start = self.position - self._ledger.window_start
            news = self._ledger.window[start : start + limit - len(batch)]
            self.position += len(news)
            self._count(news)
            batch += news
        return batch

    def ack(self, cursors: Mapping[str, Cursor]) -> None:
        for run_id, cursor in cursors.items():
            stream = self._ledger.streams.get(run_id)
            if stream is None:
                continue
            position = stream.log.acked_by(cursor)
            if position is not None and position > self._acked.get(run_id, 0):
                self._acked[run_id] = position
                self._ledger.settle(stream)
        if self._ledger.upstream is not None:
            self._ledger.upstream.acked(self, cursors)

    def close(self) -> None:
        self._closed = True
        self._ledger.unsubscribe(self)
        self.end()

    def begin(self, stream: RunStream, attached: bool = False) -> None:
        """Take up a run that exists already; one `attached` since it subscribed, from its start."""
        log = stream.log
        gaps: list[Gap] = []
        if self.start == "newest":
            read = log.last
        elif self.start == "oldest":
            read = 0 if attached else log.first - 1
        else:
            read, gaps = self._place_after(self.start.get(log.run_id), stream)
        self._acked[log.run_id] = read
        if self.position is None:
            self._chosen.add(log.run_id)
        if gaps or read < log.last:
            self._backlog[log.run_id, log.birth] = _Backlog(read, log.last, gaps)
            self._backlog_events += log.last - read
            if self.durable:
                self._ledger.count_unseen(max(0, log.born_at - 1 - read))

    def _place_after(self, cursor: Cursor | None, stream: RunStream) -> tuple[int, list[Gap]]:
        """The position up to which a reader at this cursor has read the run, and what it misses of
        the streams that this one replaces."""
        log, upstream = stream.log, self._ledger.upstream
        position = log.position_of(cursor or Cursor(log.birth, 0))
        if upstream is not None and cursor is not None:
            if self.durable and cursor.epoch == log.epoch:
                upstream.acked(self, {log.run_id: cursor})  # its last ack may not have got through
            if cursor > (log.epoch, log.last_seq):
                upstream.ahead(log.run_id, cursor)
                return log.last, []
        if position is not None and cursor is not None:
            return min(position, log.last), []
        # The old stream is gone; unless somebody noted it, nobody knows how many events it had.
        gaps = []
        before = stream.before or Cursor(0, 0)
        if cursor is not None:
            last = max(cursor.seq, before.seq) if before.epoch == cursor.epoch else cursor.seq
            gaps.append(Gap(log.run_id, cursor.epoch, cursor.seq + 1, last, "reset"))
        if before.seq and (cursor is None or cursor.epoch < before.epoch):
            gaps.append(Gap(log.run_id, before.epoch, 1, before.seq, "reset"))
        return 0, gaps

    def follows(self, stream: RunStream) -> bool:
        """Whether this run is one of those it reads."""
        return self.position is not None or stream.log.run_id in self._chosen

    def acked(self, stream: RunStream) -> int:
        """The position up to which it has acked the run."""
        return self._acked.get(stream.log.run_id, 0)

    def owe(self, stream: RunStream) -> None:
        """A run it chose has one more entry."""
        last = stream.log.last
        key = stream.log.run_id, stream.log.birth
        backlog = self._backlog.get(key)
        if backlog is None:
            self._backlog[key] = _Backlog(last - 1, last)
        else:
            backlog.owed = last
        self._backlog_events += 1

    def fall_behind(self) -> None:
        """The window moves on: remember per run what of it is not read yet."""
        assert self.position is not None
        self._note_lag()
        ledger, backlog = self._ledger, self._backlog
        for delivery in ledger.window[self.position - ledger.window_start :]:
            key, position = ledger.place_of(delivery)
            entry = backlog.get(key)
            if entry is None:
                backlog[key] = _Backlog(position - 1, position)
            else:
                entry.owed = position
            self._backlog_events += 1
        self.position = ledger.published

    def lose(self, stream: RunStream, from_position: int) -> int:
        """How many of the entries that the log just let go, `from_position` on, it had not read."""
        log = stream.log
        backlog = self._backlog.get((log.run_id, log.birth))
        if backlog is None or backlog.read >= log.first - 1:
            return 0
        self._announce_overflow(stream)
        return log.first - max(from_position, backlog.read + 1)

    def forget(self, stream: RunStream) -> None:
        """The run is reaped."""
        log = stream.log
        self._acked.pop(log.run_id, None)
        key = log.run_id, log.birth
        if log.whole or key not in self._backlog:
            return
        backlog = self._backlog.pop(key)
        self._backlog_events -= backlog.owed - backlog.read
        for gap, _ in log.missing(backlog.read, backlog.owed):
            self._backlog[log.run_id, gap.epoch] = _Backlog(gap.from_seq - 1, gap.to_seq)
            self._backlog_events += gap.count

    def end(self) -> None:
        """It is closed, or the ledger is: wait for nothing any more."""
        if self._question is not None:
            self._question.answer.cancel()
        self.wake()

    def wake(self) -> None:
        """There may be something to read."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def stats(self) -> ConsumerStats:
        """Its counters, now."""
        return ConsumerStats(
            name=self.name,
            durable=self.durable,
            delivered=self._delivered,
            in_gaps=self._in_gaps,
            lag=self._lag(),
            lag_peak=max(self._lag_peak, self._lag()),
            lag_s=self._lag_s(),
        )

    async def _sleep(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        self._ledger.sleeping.add(self)
        try:
            await self._waiter
        finally:
            self._ledger.sleeping.discard(self)
            self._waiter = None

    def _read_backlog(self, limit: int, batch: list[Delivery], asks: bool) -> None:
        """One slice of each run in turn, so that a busy run never starves the others."""
        while self._backlog and len(batch) < limit:
            key, backlog = next(iter(self._backlog.items()))
            if asks and self._lacks(key, backlog) is not None:
                return
            del self._backlog[key]
            self._read_run(key, backlog, min(_PER_RUN, limit - len(batch)), batch, asks)
            if backlog.read < backlog.owed:
                self._backlog[key] = backlog

    def _read_run(
        self, key: _Key, backlog: _Backlog, limit: int, batch: list[Delivery], asks: bool
    ) -> None:
        stream = self._stream(key)
        while backlog.gaps:
            self._give(backlog.gaps.popleft(), batch)
        if stream is None:
            if backlog.read < backlog.owed:
                gap = Gap(*key, backlog.read + 1, backlog.owed, "reaped")
                self._give(gap, batch)
                self._advance(backlog, backlog.owed)
            return
        log = stream.log
        if backlog.read < log.first - 1:
            missing = log.missing(backlog.read, min(log.first - 1, backlog.owed))
            for gap, position in missing[:1] if asks else missing:
                self._give(gap, batch)
                self._advance(backlog, position)
            self._overflowing.discard(log.run_id)
            if backlog.read < log.first - 1:
                return
        entries = log.read(backlog.read, limit, backlog.owed)
        batch.extend(entries)
        self._advance(backlog, backlog.read + len(entries))
        self._count(entries)

    def _lacks(self, key: _Key, backlog: _Backlog) -> tuple[Gap, int] | None:
        """The next range the ledger does not hold, with the position it reaches to."""
        if backlog.gaps:
            return backlog.gaps[0], backlog.read
        stream = self._stream(key)
        if stream is None or backlog.read >= stream.log.first - 1:
            return None
        gap, position = stream.log.missing(backlog.read, min(stream.log.first - 1, backlog.owed))[0]
        # A gap that upstream has told of takes one position, however long it is.
        held_once = gap.reason == "trimmed" and gap.count == position - backlog.read
        return (gap, position) if held_once else None

    async def _ask_upstream(self) -> list[Delivery]:
        """What upstream has of the first range that the ledger lacks, and gaps for the rest.

        Cancelled, it asks on; the next call takes the answer.
        """
        if self._question is None:
            self._question = self._next_question()
        if self._question is None:
            return []
        key, backlog, gap, position, answer = self._question
        try:
            found = await asyncio.shield(answer)
        except asyncio.CancelledError:
            if answer.cancelled():  # not this reader, but what it reads has come to its end
                return []
            raise
        self._question = None
        if self._backlog.get(key) is not backlog:  # reaped meanwhile
            return []
        del self._backlog[key]
        if backlog.gaps and gap is backlog.gaps[0]:
            backlog.gaps.popleft()
            backlog.gaps.extendleft(_rest_of_old_stream(gap, found))
            if self.durable:
                self._ledger.count_unseen(sum(_events_in(each) for each in found))
        else:
            self._advance(backlog, position - (gap.to_seq - _last_seq(found[-1])))
        self._delivered += sum(isinstance(each, Envelope) for each in found)
        for each in found:
            if isinstance(each, Gap):
                self._in_gaps += each.count
                self._note_overflow(key, each)
        if backlog.gaps or backlog.read < backlog.owed:
            self._backlog[key] = backlog
        return found

    def _next_question(self) -> _Question | None:
        if self._ledger.upstream is None or not self._backlog:
            return None
        key, backlog = next(iter(self._backlog.items()))
        lacking = self._lacks(key, backlog)
        if lacking is None:
            return None
        answer = asyncio.ensure_future(self._ledger.upstream.fetch(lacking[0]))
        return _Question(key, backlog, *lacking, answer)

    def _note_overflow(self, key: _Key, gap: Gap) -> None:
        """A durable reader's loss; not what was gone before it ever came."""
        stream = self._stream(key)
        if not self.durable or stream is None or not gap.count:
            return
        run_id = stream.log.run_id
        came_before = not isinstance(self.start, str) and run_id in self.start
        if came_before or gap.from_seq >= stream.log.born_at:
            self._announce_overflow(stream)
            self._ledger.count_overflow(stream, gap.count)

    def _announce_overflow(self, stream: RunStream) -> None:
        if stream.log.run_id not in self._overflowing:
            self._overflowing.add(stream.log.run_id)
            self._ledger.warn(f"run {stream.log.run_id}: overflow, {self.name} is losing events")

    def _stream(self, key: _Key) -> RunStream | None:
        """The backlog's stream; None when it is reaped, though its id may be in use again."""
        stream = self._ledger.streams.get(key[0])
        return stream if stream is not None and stream.log.birth == key[1] else None

    def _give(self, gap: Gap, batch: list[Delivery]) -> None:
        batch.append(gap)
        self._in_gaps += gap.count

    def _count(self, deliveries: list[Delivery]) -> None:
        """Note what is handed over."""
        self._delivered += len(deliveries)
        if self._ledger.has_gaps:
            for each in deliveries:
                if isinstance(each, Gap):
                    self._delivered -= 1
                    self._in_gaps += each.count

    def _advance(self, backlog: _Backlog, position: int) -> None:
        self._backlog_events -= position - backlog.read
        backlog.read = position

    def _any_open(self) -> bool:
        streams = self._ledger.streams
        return any(run in streams and not streams[run].closed for run in self._chosen)

    def _lag(self) -> int:
        ahead = 0 if self.position is None else self._ledger.published - self.position
        return ahead + self._backlog_events

    def _note_lag(self) -> None:
        self._lag_peak = max(self._lag_peak, self._lag())

    def _lag_s(self) -> float:
        """Age of the oldest event still held that it has not read, in seconds."""
        oldest = [
            stream.log.read(max(backlog.read, stream.log.first - 1), 1, stream.log.last)
            for key, backlog in self._backlog.items()
            if (stream := self._stream(key)) is not None
        ]
        if self.position is not None:
            start = self.position - self._ledger.window_start
            oldest.append(self._ledger.window[start : start + 1])
        stamps = [
            entries[0].event.ts.timestamp()
            for entries in oldest
            if entries and isinstance(entries[0], Envelope)
        ]
        return max(0.0, self._ledger.clock() - min(stamps)) if stamps else 0.0


def _last_seq(delivery: Delivery) -> int:
    return delivery.to_seq if isinstance(delivery, Gap) else delivery.seq


def _events_in(delivery: Delivery) -> int:
    return delivery.count if isinstance(delivery, Gap) else 1


def _rest_of_old_stream(gap: Gap, found: list[Delivery]) -> list[Gap]:
    """What is still to be asked for of a stream that was made anew; it ends with a reset."""
    if isinstance(found[-1], Gap) and found[-1].reason == "reset":
        return []
    seq = _last_seq(found[-1])
    return [Gap(gap.run_id, gap.epoch, seq + 1, max(seq, gap.to_seq), gap.reason)]
