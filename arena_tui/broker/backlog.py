"""What one consumer has yet to read outside the window, by stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from arena_tui.broker.stream import RunStream
from arena_tui.broker.window import Window
from arena_tui.events import Delivery, Envelope, Gap, GapReason

__all__ = ["Backlog"]

_PER_RUN = 256
"""Events one run may take of a batch before the next run's turn."""


class _Unread:
    """Of one stream, in order: gaps for the streams before it, seqs `read + 1 .. last`, the gaps at
    its end."""

    __slots__ = ("before", "end", "last", "read", "stream")

    def __init__(self, stream: RunStream, read: int, before: Iterable[Gap] = ()) -> None:
        self.stream = stream
        self.read = read
        self.last = stream.log.last
        self.before = deque(before)
        self.end = stream.resets

    def events(self) -> int:
        gaps = sum(gap.count for gap in (*self.before, *self.end))
        return self.last - self.read + gaps

    def is_over(self) -> bool:
        return self.read >= self.last and not self.before and not self.end


class Backlog:
    """Ranges of seqs by run, read in turn so that a busy run never starves the others; of a run
    that was renewed, one stream after the other."""

    def __init__(self) -> None:
        self._runs: dict[str, deque[_Unread]] = {}

    def __bool__(self) -> bool:
        return bool(self._runs)

    def events(self) -> int:
        """How many events it spans."""
        return sum(each.events() for streams in self._runs.values() for each in streams)

    def add(self, stream: RunStream, read: int, before: Iterable[Gap] = ()) -> None:
        """All of a stream after `read`, and the gaps before it."""
        unread = _Unread(stream, read, before)
        if not unread.is_over():
            self._runs.setdefault(stream.log.run_id, deque()).append(unread)

    def enqueue(self, stream: RunStream) -> None:
        """The stream has one more entry, or has ended."""
        unread = self._find(stream)
        if unread is None:
            self.add(stream, stream.log.last if stream.resets else stream.log.last - 1)
        else:
            unread.last = stream.log.last
            unread.end = stream.resets

    def take_over(self, window: Window, position: int) -> None:
        """What the window holds from `position` on, before it moves on."""
        for stream, oldest in window.oldest_by_stream(position).items():
            unread = self._find(stream)
            if unread is not None:
                unread.last = stream.log.last
                unread.end = stream.resets
            elif isinstance(oldest, Gap) and oldest in stream.resets:
                self.add(stream, stream.log.last)
                if unread := self._find(stream):
                    unread.end = stream.resets[stream.resets.index(oldest) :]
            else:
                self.add(stream, oldest.first_seq - 1)

    def unread_in(self, stream: RunStream, first: int, last: int) -> int:
        """How many of the stream's seqs `first..last` it spans; they are the newest of these."""
        unread = self._find(stream)
        return 0 if unread is None else max(0, last - max(first - 1, unread.read))

    def read(self, limit: int) -> list[Delivery]:
        """At most `limit` deliveries, a slice of each run in turn."""
        batch: list[Delivery] = []
        while self._runs and len(batch) < limit:
            run_id = next(iter(self._runs))
            streams = self._runs.pop(run_id)
            batch += _read_slice(streams[0], min(_PER_RUN, limit - len(batch)))
            if streams[0].is_over():
                streams.popleft()
            if streams:
                self._runs[run_id] = streams
        return batch

    def oldest(self) -> list[Envelope]:
        """The oldest event of each stream that is still held."""
        found = []
        for unread in (each for streams in self._runs.values() for each in streams):
            log = unread.stream.log
            entries, _ = log.read(max(unread.read, log.first - 1), 1, unread.last)
            found += [each for each in entries if isinstance(each, Envelope)]
        return found

    def _find(self, stream: RunStream) -> _Unread | None:
        streams = self._runs.get(stream.log.run_id, ())
        return next((each for each in streams if each.stream is stream), None)


def _read_slice(unread: _Unread, limit: int) -> list[Delivery]:
    found: list[Delivery] = []
    while unread.before and len(found) < limit:
        found.append(unread.before.popleft())
    log = unread.stream.log
    if not unread.before and unread.read < min(log.first - 1, unread.last):
        gone = min(log.first - 1, unread.last)
        reason: GapReason = "reaped" if unread.stream.reaped else "trimmed"
        found.append(Gap(log.run_id, log.epoch, unread.read + 1, gone, reason))
        unread.read = gone
    if not unread.before and unread.read < unread.last and len(found) < limit:
        entries, unread.read = log.read(unread.read, limit - len(found), unread.last)
        found += entries
    if not unread.before and unread.read >= unread.last:
        found += unread.end
        unread.end = ()
    return found
