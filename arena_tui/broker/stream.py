"""One stream of a run: its log, and what is known of its producer and its durable consumers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from arena_tui.broker.protocol import Cursor, RunInfo, RunMeta, RunProgress, RunStats
from arena_tui.broker.ranges import SeqRanges
from arena_tui.broker.ring import RunLog
from arena_tui.events import Gap

__all__ = ["HEARTBEAT_S", "NEVER", "Follower", "Losses", "Progress", "RunStream"]

HEARTBEAT_S: Final = 5.0
"""How often a living but silent producer says so; three missed in a row: the run is lost."""

NEVER: Final = 2**61
"""A seq that no run reaches."""

_HIGH_WATER_MARKS: Final = (0.5, 0.8, 1.0)


class Follower(Protocol):
    """A subscription to chosen runs, as their streams see it."""

    def enqueue(self, stream: RunStream) -> None:
        """The stream has one more entry, or has ended upstream."""
        ...


class Progress:
    """How far one durable consumer has acked one stream, and what it lost of it.

    Attributes:
        acked: Everything up to this seq is safely kept.
        alarm_at: The newest seq at which its lag crosses the next high-water mark.
        lag_peak: Most events ever not acked at once, when last looked at.
        overflow: Events of the run that it lost.
    """

    __slots__ = ("acked", "alarm_at", "lag_peak", "overflow")

    def __init__(self, acked: int) -> None:
        self.acked = acked
        self.alarm_at = NEVER
        self.lag_peak = 0
        self.overflow = 0

    def advance(self, acked: int, last: int) -> bool:
        """Take an ack; returns whether it acked anything new."""
        if acked <= self.acked:
            return False
        self.lag_peak = max(self.lag_peak, last - self.acked)
        self.acked = acked
        return True

    def set_alarm(self, last: int, capacity: int) -> None:
        """Wait for the next mark above the present lag."""
        lag = last - self.acked
        marks = (max(1, int(mark * capacity)) for mark in _HIGH_WATER_MARKS)
        above = next((mark for mark in marks if mark > lag), NEVER)
        self.alarm_at = self.acked + above


class Losses:
    """What was lost of a run, each event counted once, however many consumers miss it.

    Attributes:
        overflow: Events that any durable consumer lost.
        lost: Which.
        unheld: Events published that never stood in a log here, as far as they are counted.
    """

    __slots__ = ("lost", "overflow", "unheld")

    def __init__(self) -> None:
        self.overflow = 0
        self.lost = SeqRanges()
        self.unheld = SeqRanges()


class RunStream:
    """One `(run, epoch)` and what the ledger knows of it. Compared by identity.

    Attributes:
        ended_streams: Last cursor of each earlier stream of the run, as far as upstream noted it.
        closed: Whether `run_end` is in the log.
        reaped: Whether the ledger has let go of the run.
        resets: Gaps at its end, when it was lost upstream and another stream took its place.
        losses: Of the run, whatever the epoch.
        former: The stream that this one took the place of, while a durable consumer has yet to ack
            all of it.
        alive_at: Last sign of life of the producer, seconds since 1970: a heartbeat, or an event
            noticed when somebody asks (reading the clock would cost more than the event).
        seen: The newest seq when somebody last asked; of a run taken up from upstream, where it was
            then: to read what is old is no sign of life.
        followers: Subscriptions to chosen runs that chose this one.
        progress: By name of durable consumer.
        alarm_at: The newest seq at which any of them crosses its next high-water mark.
    """

    __slots__ = (
        "alarm_at",
        "alive_at",
        "closed",
        "ended_streams",
        "followers",
        "former",
        "log",
        "losses",
        "meta",
        "progress",
        "reaped",
        "resets",
        "seen",
    )

    def __init__(
        self, meta: RunMeta, log: RunLog, now: float, ended_streams: Sequence[Cursor] = ()
    ) -> None:
        self.meta = meta
        self.log = log
        self.ended_streams = tuple(ended_streams)
        self.closed = False
        self.reaped = False
        self.resets: tuple[Gap, ...] = ()
        self.former: RunStream | None = None
        self.alive_at = now
        self.seen = log.last
        self.followers: list[Follower] = []
        self.progress: dict[str, Progress] = {}
        self.alarm_at = NEVER
        self.losses = Losses()

    def chain(self) -> Iterator[RunStream]:
        """This stream and those before it that somebody has yet to ack, newest first."""
        stream: RunStream | None = self
        while stream is not None:
            yield stream
            stream = stream.former

    def lag(self, name: str) -> int:
        """Events that a durable consumer has yet to ack, of earlier streams, too."""
        return sum(
            max(0, stream.log.last - stream.progress[name].acked)
            for stream in self.chain()
            if name in stream.progress
        )

    def acked_by_all(self) -> int:
        """Every durable consumer has acked this stream up to here."""
        return min((each.acked for each in self.progress.values()), default=self.log.born_at - 1)

    def ack(self, name: str, cursor: Cursor) -> bool:
        """A durable consumer has safely kept everything up to the cursor; False: nothing new."""
        moved = False
        for stream in self.chain():
            if name not in stream.progress or cursor.epoch < stream.log.epoch:
                continue
            last = stream.log.last
            acked = min(cursor.seq, last) if cursor.epoch == stream.log.epoch else last
            moved |= stream.progress[name].advance(acked, last)
        self.drop_acked_former()
        return moved

    def count_overflow(self, name: str, gap: Gap) -> int:
        """A durable consumer lost a gap's events; returns how many no other one had lost before."""
        if name in self.progress:
            self.progress[name].overflow += gap.count
        new = self.losses.lost.add(gap.epoch, gap.from_seq, gap.to_seq)
        self.losses.overflow += new
        return new

    def alarms(self) -> list[tuple[str, int]]:
        """Durable consumers whose lag has crossed a high-water mark, and their lag."""
        last = self.log.last
        return [
            (name, last - each.acked)
            for name, each in self.progress.items()
            if last >= each.alarm_at
        ]

    def set_alarms(self, capacity: int) -> None:
        """Wait for the next mark above each durable consumer's lag."""
        for progress in self.progress.values():
            progress.set_alarm(self.log.last, capacity)
        self.alarm_at = min((each.alarm_at for each in self.progress.values()), default=NEVER)

    def drop_consumer(self, name: str) -> None:
        """A durable consumer has left."""
        for stream in self.chain():
            stream.progress.pop(name, None)
        self.drop_acked_former()

    def info(self, now: float, heartbeat_s: float) -> RunInfo:
        """The run as others may see it."""
        log = self.log
        if self.seen < log.last:
            self.seen = log.last
            self.alive_at = now
        silent_s = max(0.0, now - self.alive_at)
        lost = not self.closed and silent_s > 3 * heartbeat_s
        return RunInfo(
            meta=self.meta,
            epoch=log.epoch,
            state="closed" if self.closed else "lost" if lost else "open",
            first_seq=log.first,
            last_seq=log.last,
            silent_s=silent_s,
        )

    def stats(self) -> RunStats:
        """Its counters, now."""
        log = self.log
        return RunStats(
            run_id=log.run_id,
            held=len(log),
            high_water=log.high_water,
            trimmed=log.trimmed,
            overflow=self.losses.overflow,
            consumers=tuple(
                RunProgress(
                    name=name,
                    lag=(lag := self.lag(name)),
                    lag_peak=max(each.lag_peak, lag),
                    overflow=each.overflow,
                )
                for name, each in self.progress.items()
            ),
        )

    def succeed(self, log: RunLog, resets: Sequence[Gap], now: float) -> RunStream:
        """End here with these gaps; returns the stream that takes this one's place."""
        self.resets = tuple(resets)
        ended = [*self.ended_streams, Cursor(self.log.epoch, self.log.last)]
        successor = RunStream(self.meta, log, now, ended)
        successor.followers, self.followers = self.followers, []
        successor.losses = self.losses
        successor.former = self
        for name, before in self.progress.items():
            progress = successor.progress[name] = Progress(0)
            progress.overflow, progress.lag_peak = before.overflow, before.lag_peak
        successor.drop_acked_former()
        return successor

    def drop_acked_former(self) -> None:
        """Forget the stream before once every durable consumer has acked all of it."""
        former = self.former
        if former is not None and not any(former.lag(name) for name in former.progress):
            self.former = None
