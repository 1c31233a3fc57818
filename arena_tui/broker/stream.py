"""One stream of a run: its log, its producer's liveness, its durable consumers' progress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from msgspec import Struct

from arena_tui.broker.protocol import Cursor, RunInfo, RunMeta
from arena_tui.broker.ranges import SeqRanges
from arena_tui.broker.ring import RunLog
from arena_tui.broker.stats import RunProgress, RunStats
from arena_tui.events import Gap

HEARTBEAT_S: Final = 5.0
"""Interval of the heartbeats of a producer with nothing to publish; after three missed in a row its
run is silent."""

NEVER: Final = 2**61
"""A seq beyond that of any run."""

_HIGH_WATER_MARKS: Final = (0.5, 0.8, 1.0)


class Follower(Protocol):
    """A subscription to specific runs, as seen by their streams."""

    def enqueue(self, stream: RunStream, count: int, marker: Gap | None = None) -> None:
        """Enqueue the stream's newest `count` seqs, the gaps that end it, and an empty gap that
        stands after its newest event."""


class Progress(Struct):
    """How far one durable consumer has acked one stream, and what it lost of it.

    Attributes:
        acked: Everything up to this seq is committed.
        alarm_at: Newest seq at which its lag crosses the next high-water mark.
        lag_peak: Largest lag seen at an ack, in events.
        overflow: Events of the run that it lost.
    """

    acked: int
    alarm_at: int = NEVER
    lag_peak: int = 0
    overflow: int = 0

    def advance(self, acked: int, last: int) -> bool:
        """Record an ack; returns whether it acked anything new."""
        if acked <= self.acked:
            return False
        self.lag_peak = max(self.lag_peak, last - self.acked)
        self.acked = acked
        return True

    def lose(self, count: int) -> None:
        self.overflow += count

    def set_alarm(self, last: int, capacity: int) -> None:
        """Set the alarm to the next high-water mark above the present lag."""
        lag = last - self.acked
        marks = (max(1, int(mark * capacity)) for mark in _HIGH_WATER_MARKS)
        above = next((mark for mark in marks if mark > lag), NEVER)
        self.alarm_at = self.acked + above


class RunStream:
    """State of one `(run, epoch)` in the ledger. Compared by identity.

    Attributes:
        ended_streams: Last cursor of each earlier stream of the run, as recorded upstream.
        closed: Whether `run_end` is in the log.
        markers: Losses of unknown length, where they lie in the log.
        resets: Gaps that end a stream which was lost upstream and replaced.
        lost: Seqs of the run, in all its epochs, that any durable consumer lost.
        unheld: Those counted as published that no log here ever held.
        predecessor: The stream of the run before this one, while a durable consumer has yet to ack
            all of it.
        alive_at: Last sign of life of the producer, seconds since 1970: a heartbeat, or a new event
            found by `info` (reading the clock for each event would cost more than appending it).
        seen: Newest seq when `info` was last called. Of a run attached from upstream: its newest
            seq at that time, for reading old events is no sign of life.
        followers: Subscriptions to specific runs that include this one.
        alarm_at: Newest seq at which any durable consumer's lag crosses its next high-water mark.
    """

    __slots__ = (
        "alarm_at", "alive_at", "closed", "ended_streams", "followers", "log", "lost", "markers",
        "meta", "predecessor", "progress", "reaped", "resets", "seen", "unheld",
    )  # fmt: skip

    def __init__(
        self, meta: RunMeta, log: RunLog, alive_at: float, ended_streams: Sequence[Cursor] = (),
        newest: int = 0,
    ) -> None:  # fmt: skip
        self.meta = meta
        self.log = log
        self.ended_streams = tuple(ended_streams)
        self.closed = False
        self.reaped = False
        self.markers: list[Gap] = []
        self.resets: tuple[Gap, ...] = ()
        self.predecessor: RunStream | None = None
        self.alive_at = alive_at
        self.seen = max(log.last, newest)
        self.followers: list[Follower] = []
        self.progress: dict[str, Progress] = {}
        self.alarm_at = NEVER
        self.lost = SeqRanges()
        self.unheld = SeqRanges()

    def on_alive(self, at: float) -> None:
        self.alive_at = max(self.alive_at, at)

    def discount_outage(self, away_s: float) -> None:
        """Do not count an outage upstream as silence of the producer."""
        self.alive_at += away_s

    def close(self) -> None:
        """Note that its end is in the log, or is known to be lost."""
        self.closed = True

    def reap(self) -> None:
        """Evict everything, for good."""
        self.reaped = True
        self.log.trim_to(self.log.last)

    def chain(self) -> Iterator[RunStream]:
        """This stream and its predecessors not yet fully acked, newest first."""
        stream: RunStream | None = self
        while stream is not None:
            yield stream
            stream = stream.predecessor

    def lag(self, name: str) -> int:
        """Events that a durable consumer has yet to ack, predecessors included."""
        return sum(
            max(0, stream.log.last - stream.progress[name].acked)
            for stream in self.chain()
            if name in stream.progress
        )

    def ack(self, name: str, cursor: Cursor) -> bool:
        """Record a durable consumer's ack; returns whether it acked anything new."""
        moved = False
        for stream in self.chain():
            if name not in stream.progress or cursor.epoch < stream.log.epoch:
                continue
            last = stream.log.last
            acked = min(cursor.seq, last) if cursor.epoch == stream.log.epoch else last
            moved |= stream.progress[name].advance(acked, last)
        self.drop_acked_predecessor()
        return moved

    def count_overflow(self, name: str, gap: Gap) -> int:
        """Record a durable consumer's loss; returns how many events no consumer had lost before."""
        if name in self.progress:
            self.progress[name].lose(gap.count)
        return self.lost.add(gap)

    def alarms(self) -> list[tuple[str, int]]:
        """Durable consumers whose lag has crossed a high-water mark, and their lag."""
        last = self.log.last
        return [
            (name, last - each.acked)
            for name, each in self.progress.items()
            if last >= each.alarm_at
        ]

    def set_alarms(self, capacity: int) -> None:
        """Set each durable consumer's alarm to the next high-water mark above its lag."""
        for progress in self.progress.values():
            progress.set_alarm(self.log.last, capacity)
        self.alarm_at = min((each.alarm_at for each in self.progress.values()), default=NEVER)

    def drop_consumer(self, name: str) -> None:
        for stream in self.chain():
            stream.progress.pop(name, None)
        self.drop_acked_predecessor()

    def info(self, now: float, heartbeat_s: float) -> RunInfo:
        """A public snapshot of the run; also notices new events as a sign of life."""
        log = self.log
        if self.seen < log.last:
            self.seen = log.last
            self.on_alive(now)
        silent_s = max(0.0, now - self.alive_at)
        silent = not self.closed and silent_s > 3 * heartbeat_s
        return RunInfo(
            meta=self.meta, epoch=log.epoch, first_seq=log.first, last_seq=log.last,
            state="closed" if self.closed else "silent" if silent else "open",
            silent_s=silent_s, ended=self.ended_streams,
        )  # fmt: skip

    def stats(self) -> RunStats:
        log = self.log
        consumers = [
            RunProgress(name=name, lag=(lag := self.lag(name)),
                        lag_peak=max(each.lag_peak, lag), overflow=each.overflow)
            for name, each in self.progress.items()
        ]  # fmt: skip
        return RunStats(
            run_id=log.run_id, held=len(log), high_water=log.high_water, trimmed=log.trimmed,
            overflow=self.lost.size, consumers=tuple(consumers),
        )  # fmt: skip

    def start_successor(
        self, log: RunLog, resets: Sequence[Gap], now: float, meta: RunMeta | None = None
    ) -> RunStream:
        """End this stream with these gaps; returns the stream that replaces it."""
        self.resets = tuple(resets)
        ended = list(self.ended_streams)
        if not self.markers and not any(gap.unknown for gap in resets):
            ended.append(Cursor(self.log.epoch, self.log.last))
        successor = RunStream(meta or self.meta, log, now, ended)
        successor.followers, self.followers = self.followers, []
        successor.lost, successor.unheld = self.lost, self.unheld
        successor.succeed(self)
        for name, before in self.progress.items():
            successor.progress[name] = Progress(
                0, lag_peak=before.lag_peak, overflow=before.overflow
            )
        successor.drop_acked_predecessor()
        return successor

    def succeed(self, stream: RunStream) -> None:
        """Note what of the run's stream before this one is not acked."""
        self.predecessor = stream

    def drop_acked_predecessor(self) -> None:
        """Drop the predecessor once every durable consumer has acked all of it."""
        predecessor = self.predecessor
        if predecessor is not None and not any(
            predecessor.lag(name) for name in predecessor.progress
        ):
            self.predecessor = None
