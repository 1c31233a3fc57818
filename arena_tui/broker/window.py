"""The newest deliveries of all runs, in order of arrival. Knows no readers."""

from __future__ import annotations

from collections import Counter

from arena_tui.broker.stream import RunStream
from arena_tui.events import Delivery, Gap

_SLIDE_EVERY = 4_096
"""Entries appended between two evictions of what every consumer has read."""


class Window:
    """The newest arrivals, read by position by every consumer that keeps up.

    It holds what some consumer has yet to read, within limits: a consumer falls out of the window
    when it has more than `events_max` entries to read, or more than `bytes_max` bytes of JSON.

    Attributes:
        start: Position of the oldest entry, counted from the first one ever.
    """

    def __init__(self, events_max: int, bytes_max: int) -> None:
        self.start = 0
        self._events_max = max(2, events_max)
        self._bytes_max = bytes_max
        self._deliveries: list[Delivery] = []
        self._gaps: dict[int, int] = {}  # position of each gap: its events, less the one entry
        self._streams: list[RunStream] = []
        self._sizes: list[int] = []
        self._bytes = 0
        self._slide_at = min(_SLIDE_EVERY, self._events_max)

    @property
    def end(self) -> int:
        """The position after the newest entry."""
        return self.start + len(self._deliveries)

    def append(self, stream: RunStream, delivery: Delivery, size: int) -> bool:
        """Append an entry; returns whether `slide` is due."""
        deliveries = self._deliveries
        if type(delivery) is Gap:
            self._gaps[self.end] = delivery.count - 1
        deliveries.append(delivery)
        self._streams.append(stream)
        self._sizes.append(size)
        self._bytes += size
        return len(deliveries) >= self._slide_at or self._bytes > self._bytes_max

    def slide(self, read: int) -> int:
        """Evict what every consumer has read: all before the position `read`.

        Returns the position before which no consumer may stay: past `read` if the rest is too much.
        """
        self.drop_before(read)
        count = len(self._deliveries)
        self._slide_at = min(count + _SLIDE_EVERY, self._events_max)
        if count < self._events_max and self._bytes <= self._bytes_max:
            return self.start
        surplus = count // 2
        left = self._bytes - sum(self._sizes[:surplus])
        while left > self._bytes_max and surplus < count:
            left -= self._sizes[surplus]
            surplus += 1
        return self.start + surplus

    def drop_before(self, position: int) -> None:
        count = position - self.start
        self._bytes -= sum(self._sizes[:count])
        del self._deliveries[:count], self._streams[:count], self._sizes[:count]
        self.start = position
        for at in [at for at in self._gaps if at < position]:
            del self._gaps[at]

    def event_count(self, position: int) -> int:
        """Number of events from `position` on, those in gaps included."""
        count = self.end - position
        if self._gaps:
            count += sum(more for at, more in self._gaps.items() if at >= position)
        return count

    def by_run(self, position: int) -> dict[str, int]:
        """Number of events of each run from `position` on, those in gaps included."""
        at = position - self.start
        counts = Counter(stream.log.run_id for stream in self._streams[at:])
        for place, more in self._gaps.items():
            if place >= position:
                counts[self._streams[place - self.start].log.run_id] += more
        return dict(counts)

    def read(self, position: int, limit: int) -> list[Delivery]:
        """At most `limit` entries, from `position` on."""
        at = position - self.start
        return self._deliveries[at : at + limit]

    def markers(self, position: int) -> list[tuple[RunStream, Gap]]:
        """The empty gaps from `position` on, in order of arrival."""
        at = position - self.start
        return [
            (stream, each)
            for stream, each in zip(self._streams[at:], self._deliveries[at:], strict=True)
            if isinstance(each, Gap) and not each.count
        ]

    def oldest_by_stream(self, position: int) -> dict[RunStream, Delivery]:
        """Each stream's oldest delivery from `position` on, in order of arrival."""
        at = position - self.start
        newest_first = dict(
            zip(reversed(self._streams[at:]), reversed(self._deliveries[at:]), strict=True)
        )
        return dict(reversed(newest_first.items()))
