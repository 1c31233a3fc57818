"""One consumer's unread ranges of seqs outside the window, by stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from arena_tui.broker.stream import RunStream
from arena_tui.broker.window import Window
from arena_tui.events import Delivery, Gap, GapReason

_PER_RUN = 256
"""Most deliveries of one run in a batch before the next run gets its turn."""


class _Unread:
    """The unread part of one stream: leading gaps for the streams before it, then seqs
    `read + 1 .. last` with markers between them, then the gaps that end it."""

    __slots__ = ("last", "leading_gaps", "markers", "read", "stream", "trailing_gaps")

    def __init__(
        self, stream: RunStream, read: int, leading_gaps: Iterable[Gap] = (),
        trailing_gaps: Sequence[Gap] | None = None,
    ) -> None:  # fmt: skip
        self.stream = stream
        self.read = read
        self.last = stream.log.last
        self.leading_gaps = deque(leading_gaps)
        self.markers: deque[Gap] = deque()
        self.trailing_gaps = stream.resets if trailing_gaps is None else trailing_gaps

    def event_count(self) -> int:
        gaps = sum(gap.count for gap in (*self.leading_gaps, *self.trailing_gaps))
        return self.last - self.read + gaps

    def is_exhausted(self) -> bool:
        gaps = self.leading_gaps or self.markers or self.trailing_gaps
        return self.read >= self.last and not gaps

    def extend(self, marker: Gap | None = None) -> None:
        """Up to what the stream has by now, and this marker after its newest event."""
        self.last = self.stream.log.last
        self.trailing_gaps = self.stream.resets
        if marker is not None:
            self.markers.append(marker)

    def take(self, limit: int) -> list[Delivery]:
        """At most `limit` deliveries, and the gaps that end the stream with the last of them."""
        found: list[Delivery] = []
        while self.leading_gaps and len(found) < limit:
            found.append(self.leading_gaps.popleft())
        while not self.leading_gaps and len(found) < limit:
            marker = self.markers[0] if self.markers else None
            up_to = self.last if marker is None else min(self.last, marker.from_seq - 1)
            if self.read < up_to:
                found += self._take_seqs(up_to, limit - len(found))
            elif marker is not None:
                found.append(self.markers.popleft())
            else:
                break
        if not self.leading_gaps and not self.markers and self.read >= self.last:
            found += self.trailing_gaps
            self.trailing_gaps = ()
        return found

    def _take_seqs(self, up_to: int, limit: int) -> list[Delivery]:
        """At most `limit` deliveries up to this seq: a gap for what the log has evicted, or
        events."""
        log = self.stream.log
        gone = min(log.first - 1, up_to)
        if self.read < gone:
            reason: GapReason = "reaped" if self.stream.reaped else "trimmed"
            gap = Gap(log.run_id, log.epoch, self.read + 1, gone, reason)
            self.read = gone
            return [gap]
        entries, self.read = log.read(self.read, limit, up_to)
        return entries


class Backlog:
    """Unread ranges of seqs by run, read round-robin so that a busy run never starves the others.

    The streams of a renewed run are read one after the other.
    """

    def __init__(self) -> None:
        self._runs: dict[str, deque[_Unread]] = {}

    def __bool__(self) -> bool:
        return bool(self._runs)

    def event_count(self) -> int:
        """Number of unread events, those in gaps included."""
        return sum(each.event_count() for streams in self._runs.values() for each in streams)

    def by_run(self) -> dict[str, int]:
        """Number of unread events of each run, those in gaps included."""
        return {
            run_id: sum(each.event_count() for each in streams)
            for run_id, streams in self._runs.items()
        }

    def add(self, stream: RunStream, read: int, leading_gaps: Iterable[Gap] = ()) -> None:
        """Enqueue everything of a stream after `read`, preceded by these gaps."""
        unread = _Unread(stream, read, leading_gaps)
        if not unread.is_exhausted():
            self._runs.setdefault(stream.log.run_id, deque()).append(unread)

    def enqueue(self, stream: RunStream, count: int, marker: Gap | None = None) -> None:
        unread = self._find(stream) or self._begin(stream, stream.log.last - count)
        unread.extend(marker)

    def absorb_window(self, window: Window, position: int) -> None:
        """Enqueue what the window holds from `position` on, before the window evicts it."""
        for stream, oldest in window.oldest_by_stream(position).items():
            unread = self._find(stream)
            if unread is not None:
                unread.extend()
            elif isinstance(oldest, Gap) and oldest in stream.resets:
                resets = stream.resets[stream.resets.index(oldest) :]
                self._begin(stream, stream.log.last, resets)
            else:
                self._begin(stream, oldest.first_seq - 1)
        for stream, marker in window.markers(position):
            if marker not in stream.resets:
                self.enqueue(stream, 0, marker)

    def unread_in(self, stream: RunStream, first: int, last: int) -> int:
        """Number of unread seqs in `first..last` of the stream: always the newest of the range."""
        unread = self._find(stream)
        return 0 if unread is None else max(0, last - max(first - 1, unread.read))

    def read(self, limit: int) -> list[Delivery]:
        """At most `limit` deliveries, taken from the runs round-robin."""
        batch: list[Delivery] = []
        while self._runs and len(batch) < limit:
            run_id = next(iter(self._runs))
            streams = self._runs.pop(run_id)
            batch += streams[0].take(min(_PER_RUN, limit - len(batch)))
            if streams[0].is_exhausted():
                streams.popleft()
            if streams:
                self._runs[run_id] = streams
        return batch

    def _begin(
        self, stream: RunStream, read: int, trailing_gaps: Sequence[Gap] | None = None
    ) -> _Unread:
        unread = _Unread(stream, read, (), trailing_gaps)
        self._runs.setdefault(stream.log.run_id, deque()).append(unread)
        return unread

    def _find(self, stream: RunStream) -> _Unread | None:
        streams = self._runs.get(stream.log.run_id, ())
        return next((each for each in streams if each.stream is stream), None)
