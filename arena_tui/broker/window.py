"""The newest deliveries of all runs, in order of arrival. Knows no readers."""

from __future__ import annotations

from arena_tui.broker.protocol import Limits
from arena_tui.broker.stream import RunStream
from arena_tui.events import Delivery

__all__ = ["Window"]

_EVENTS_MAX = 8_192
"""Several times the batch a sink publishes, so that a consumer which runs once for every two
batches never falls out of the window."""


class Window:
    """The newest arrivals, read by position by every consumer that keeps up.

    It holds no more events and bytes than one log may, and so never an event that its run's log has
    evicted for lack of room.

    Attributes:
        start: Position of the oldest entry, counted from the first one ever.
    """

    def __init__(self, limits: Limits) -> None:
        self.start = 0
        self._events_max = max(2, min(limits.capacity, _EVENTS_MAX))
        self._bytes_max = limits.run_bytes
        self._deliveries: list[Delivery] = []
        self._streams: list[RunStream] = []
        self._sizes: list[int] = []
        self._bytes = 0

    @property
    def end(self) -> int:
        """The position after the newest entry."""
        return self.start + len(self._deliveries)

    def append(self, stream: RunStream, delivery: Delivery, size: int) -> bool:
        """Append an entry; returns whether the window is now full."""
        deliveries = self._deliveries
        deliveries.append(delivery)
        self._streams.append(stream)
        self._sizes.append(size)
        self._bytes += size
        return len(deliveries) >= self._events_max or self._bytes > self._bytes_max

    def surplus(self) -> int:
        """Number of oldest entries to evict: half, or more while the rest has too many bytes."""
        count = len(self._deliveries) // 2
        left = self._bytes - sum(self._sizes[:count])
        while left > self._bytes_max and count < len(self._deliveries):
            left -= self._sizes[count]
            count += 1
        return count

    def drop(self, count: int) -> None:
        """Evict the oldest `count` entries."""
        self._bytes -= sum(self._sizes[:count])
        del self._deliveries[:count], self._streams[:count], self._sizes[:count]
        self.start += count

    def read(self, position: int, limit: int) -> list[Delivery]:
        """At most `limit` entries, from `position` on."""
        at = position - self.start
        return self._deliveries[at : at + limit]

    def oldest_by_stream(self, position: int) -> dict[RunStream, Delivery]:
        """Each stream's oldest delivery from `position` on, in order of arrival."""
        at = position - self.start
        newest_first = dict(
            zip(reversed(self._streams[at:]), reversed(self._deliveries[at:]), strict=True)
        )
        return dict(reversed(newest_first.items()))
