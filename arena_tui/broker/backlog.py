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

    __slots__ = ("before", "end", "last", "read")

    def __init__(self, read: int, last: int, before: Iterable[Gap] = ()) -> None:
        self.read = read
        self.last = last
        self.before = deque(before)
        self.end: tuple[Gap, ...] = ()

    def events(self) -> int:
        gaps = sum(gap.count for gap in (*self.before, *self.end))
        return self.last - self.read + gaps

    def is_over(self) -> bool:
        return self.read >= self.last and not self.before and not self.end


class Backlog:
    """Ranges of seqs by stream, read in turn so that a busy run never starves the others."""

    def __init__(self) -> None:
        self._unread: dict[RunStream, _Unread] = {}

    def __bool__(self) -> bool:
        return bool(self._unread)

    def events(self) -> int:
        """How many events it spans."""
        return sum(each.events() for each in self._unread.values())

    def add(self, stream: RunStream, read: int, before: Iterable[Gap]) -> None:
        """All of a stream after `read`, and the gaps before it."""
        unread = _Unread(read, stream.log.last, before)
        if not unread.is_over():
            self._unread[stream] = unread

    def enqueue(self, stream: RunStream) -> None:
        """The stream has one more entry, or has ended."""
        last = stream.log.last
        unread = self._unread.get(stream)
        if unread is None:
            read = last if stream.resets else last - 1
            unread = self._unread[stream] = _Unread(read, last)
        unread.last = last
        unread.end = stream.resets

    def take_over(self, window: Window, position: int) -> None:
        """What the window holds from `position` on, before it moves on."""
        for stream, oldest in window.oldest_by_stream(position).items():
            log, resets = stream.log, stream.resets
            unread = self._unread.get(stream)
            if unread is None:
                unread = self._unread[stream] = _Unread(oldest.first_seq - 1, log.last)
            if isinstance(oldest, Gap) and oldest in resets:
                unread.read = log.last
                resets = resets[resets.index(oldest) :]
            unread.last = log.last
            unread.end = resets

    def unread_in(self, stream: RunStream, first: int, last: int) -> int:
        """How many of the stream's seqs `first..last` it spans; they are the newest of these."""
        unread = self._unread.get(stream)
        return 0 if unread is None else max(0, last - max(first - 1, unread.read))

    def read(self, limit: int) -> list[Delivery]:
        """At most `limit` deliveries, a slice of each stream in turn."""
        batch: list[Delivery] = []
        while self._unread and len(batch) < limit:
            stream = next(iter(self._unread))
            unread = self._unread.pop(stream)
            batch += _read_slice(stream, unread, min(_PER_RUN, limit - len(batch)))
            if not unread.is_over():
                self._unread[stream] = unread
        return batch

    def oldest(self) -> list[Envelope]:
        """The oldest event of each stream that is still held."""
        found = []
        for stream, unread in self._unread.items():
            entries, _ = stream.log.read(max(unread.read, stream.log.first - 1), 1, unread.last)
            found += [each for each in entries if isinstance(each, Envelope)]
        return found


def _read_slice(stream: RunStream, unread: _Unread, limit: int) -> list[Delivery]:
    found: list[Delivery] = []
    while unread.before and len(found) < limit:
        found.append(unread.before.popleft())
    log = stream.log
    if not unread.before and unread.read < min(log.first - 1, unread.last):
        gone = min(log.first - 1, unread.last)
        reason: GapReason = "reaped" if stream.reaped else "trimmed"
        found.append(Gap(log.run_id, log.epoch, unread.read + 1, gone, reason))
        unread.read = gone
    if not unread.before and unread.read < unread.last and len(found) < limit:
        entries, unread.read = log.read(unread.read, limit - len(found), unread.last)
        found += entries
    if not unread.before and unread.read >= unread.last:
        found += unread.end
        unread.end = ()
    return found
