"""One consumer's cursor on the ledger. Holds no events, only how far it has read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from arena_tui.broker.protocol import ConsumerStats, Cursor, Start
from arena_tui.events import Delivery, Gap, GapReason

if TYPE_CHECKING:
    from arena_tui.broker.ledger import Ledger, RunStream

__all__ = ["LedgerSubscription"]

_BATCH = 1_000
_PER_RUN = 256
"""Events one run may take of a batch before the next run's turn, while reading a backlog."""


_Key: TypeAlias = tuple[str, int]
"""Run id and epoch: a run that was reaped and opened again is another stream."""


class _Backlog:
    """What a subscription is owed of one stream: `read + 1 .. owed`; first a gap, if due."""

    __slots__ = ("gap", "owed", "read")

    def __init__(self, read: int, owed: int, gap: Gap | None = None) -> None:
        self.read = read
        self.owed = owed
        self.gap = gap


class LedgerSubscription:
    """See `Subscription`. Made by `Ledger.subscribe`.

    Attributes:
        position: Where in the window of all runs it reads; None when it follows chosen runs only.
        durable: Whether it acks, and is waited for with trimming.
    """

    def __init__(self, ledger: Ledger, name: str, position: int | None, durable: bool) -> None:
        self.name = name
        self.position = position
        self.durable = durable
        self._ledger = ledger
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
            if batch := self.read_nowait(_BATCH):
                return batch
            if self.position is None and not self._any_open():
                raise StopAsyncIteration
            await self._sleep()

    def read_nowait(self, limit: int = _BATCH) -> list[Delivery]:
        self._note_lag()
        batch: list[Delivery] = []
        if self._backlog:
            if self.position is not None and self._backlog_events > limit:
                self.fall_behind()  # so that runs in the window get their turn, too
            self._read_backlog(limit, batch)
        if self.position is not None and len(batch) < limit and not self._backlog:
            start = self.position - self._ledger.window_start
            news = self._ledger.window[start : start + limit - len(batch)]
            self.position += len(news)
            self._delivered += len(news)
            batch += news
        return batch

    def ack(self, cursors: Mapping[str, Cursor]) -> None:
        for run_id, cursor in cursors.items():
            stream = self._ledger.streams.get(run_id)
            if stream is not None and stream.log.epoch == cursor.epoch:
                self._acked[run_id] = cursor.seq
                self._ledger.settle(stream)

    def close(self) -> None:
        self._closed = True
        self._ledger.unsubscribe(self)
        self.wake()

    def begin(self, stream: RunStream, start: Start) -> None:
        """Take up a run that exists already."""
        log = stream.log
        gap = None
        if start == "newest":
            read = log.last_seq
        elif start == "oldest":
            read = log.first_seq - 1
        else:
            cursor = start.get(log.run_id, Cursor(log.epoch, 0))
            read = min(cursor.seq, log.last_seq)
            if cursor.epoch != log.epoch:
                # The old stream is gone: how many events it still had, nobody knows.
                gap = Gap(log.run_id, cursor.epoch, cursor.seq + 1, cursor.seq, "reset")
                read = 0
        self._acked[log.run_id] = read
        if self.position is None:
            self._chosen.add(log.run_id)
        if gap or read < log.last_seq:
            self._backlog[log.run_id, log.epoch] = _Backlog(read, log.last_seq, gap)
            self._backlog_events += log.last_seq - read

    def follows(self, stream: RunStream) -> bool:
        """Whether this run is one of those it reads."""
        return self.position is not None or stream.log.run_id in self._chosen

    def acked_seq(self, stream: RunStream) -> int:
        """How far it has acked the run."""
        return self._acked.get(stream.log.run_id, 0)

    def owe(self, stream: RunStream) -> None:
        """A run it chose has one more event."""
        seq = stream.log.last_seq
        key = stream.log.run_id, stream.log.epoch
        backlog = self._backlog.get(key)
        if backlog is None:
            self._backlog[key] = _Backlog(seq - 1, seq)
        else:
            backlog.owed = seq
        self._backlog_events += 1

    def fall_behind(self) -> None:
        """The window moves on: remember per run what of it is not read yet."""
        assert self.position is not None
        self._note_lag()
        ledger, backlog = self._ledger, self._backlog
        for envelope in ledger.window[self.position - ledger.window_start :]:
            key = envelope.run_id, envelope.epoch
            entry = backlog.get(key)
            if entry is None:
                backlog[key] = _Backlog(envelope.seq - 1, envelope.seq)
            else:
                entry.owed = envelope.seq
            self._backlog_events += 1
        self.position = ledger.published

    def lose(self, stream: RunStream, from_seq: int) -> int:
        """How many of the events that the log just let go, `from_seq` on, it had not read."""
        log = stream.log
        backlog = self._backlog.get((log.run_id, log.epoch))
        if backlog is None or backlog.read >= log.first_seq - 1:
            return 0
        if log.run_id not in self._overflowing:
            self._overflowing.add(log.run_id)
            self._ledger.warn(f"run {log.run_id}: overflow, {self.name} is losing events")
        return log.first_seq - max(from_seq, backlog.read + 1)

    def forget(self, stream: RunStream) -> None:
        """The run is reaped."""
        self._acked.pop(stream.log.run_id, None)

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

    def _read_backlog(self, limit: int, batch: list[Delivery]) -> None:
        """One slice of each run in turn, so that a busy run never starves the others."""
        while self._backlog and len(batch) < limit:
            key, backlog = next(iter(self._backlog.items()))
            del self._backlog[key]
            self._read_run(key, backlog, min(_PER_RUN, limit - len(batch)), batch)
            if backlog.read < backlog.owed:
                self._backlog[key] = backlog

    def _read_run(self, key: _Key, backlog: _Backlog, limit: int, batch: list[Delivery]) -> None:
        stream = self._stream(key)
        if backlog.gap is not None:
            batch.append(backlog.gap)
            backlog.gap = None
        if stream is None:
            if backlog.read == backlog.owed:
                return
            self._give_gap(key, backlog, backlog.owed, "reaped", batch)
            return
        if backlog.read < stream.log.first_seq - 1:
            up_to = min(stream.log.first_seq - 1, backlog.owed)
            self._give_gap(key, backlog, up_to, "trimmed", batch)
            self._overflowing.discard(stream.log.run_id)
        envelopes = stream.log.read(backlog.read, limit, backlog.owed)
        batch.extend(envelopes)
        self._advance(backlog, len(envelopes))
        self._delivered += len(envelopes)

    def _stream(self, key: _Key) -> RunStream | None:
        """The backlog's stream; None when it is reaped, though its id may be in use again."""
        stream = self._ledger.streams.get(key[0])
        return stream if stream is not None and stream.log.epoch == key[1] else None

    def _give_gap(
        self, key: _Key, backlog: _Backlog, up_to: int, reason: GapReason, batch: list[Delivery]
    ) -> None:
        gap = Gap(*key, backlog.read + 1, up_to, reason)
        batch.append(gap)
        self._in_gaps += gap.count
        self._advance(backlog, gap.count)

    def _advance(self, backlog: _Backlog, count: int) -> None:
        backlog.read += count
        self._backlog_events -= count

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
            stream.log.read(max(backlog.read, stream.log.first_seq - 1), 1, stream.log.last_seq)
            for key, backlog in self._backlog.items()
            if (stream := self._stream(key)) is not None
        ]
        if self.position is not None:
            start = self.position - self._ledger.window_start
            oldest.append(self._ledger.window[start : start + 1])
        stamps = [envelopes[0].event.ts.timestamp() for envelopes in oldest if envelopes]
        return max(0.0, self._ledger.clock() - min(stamps)) if stamps else 0.0
