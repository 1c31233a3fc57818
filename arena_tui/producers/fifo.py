"""The queue between producers and the loop, with a bound. Knows no run and no broker."""

from __future__ import annotations

import threading
import time
from collections import deque

from arena_tui.broker.protocol import Outgoing


class Fifo(deque[Outgoing]):
    """Outgoing events in the order of queueing. Thread-safe; only one task takes them.

    `append` never waits: whoever finds `bound` events waits for room first. It is a deque, since a
    method in Python around each `append` and `len` would make `emit` a tenth dearer.

    Args:
        bound: Events that are enough; those who wait go on once half of that is free.

    Attributes:
        bound: See above.
        peak: Most events ever found by `take`.
    """

    __slots__ = ("_blocked_s", "_closed", "_room", "_waiting", "bound", "peak")

    def __init__(self, bound: int) -> None:
        super().__init__()
        self.bound = bound
        self.peak = 0
        self._room = threading.Condition()
        self._closed = False
        self._waiting: list[float] = []
        self._blocked_s = 0.0

    @property
    def blocked_s(self) -> float:
        """Seconds that producers have waited for room, those waiting now included."""
        with self._room:
            now = time.perf_counter()
            return self._blocked_s + sum(now - since for since in self._waiting)

    def wait_for_room(self) -> None:
        """Block the calling thread until there is room, or nothing to wait for: see `close`."""
        with self._room:
            since = time.perf_counter()
            self._waiting.append(since)
            try:
                self._room.wait_for(self._has_room)
            finally:
                self._waiting.remove(since)
                self._blocked_s += time.perf_counter() - since

    def take(self, count: int, size_bytes: int) -> list[Outgoing]:
        """Dequeue up to `count` events, until their JSON has `size_bytes`; wakes the waiting."""
        self.peak = max(self.peak, len(self))
        batch: list[Outgoing] = []
        while self and size_bytes > 0 and len(batch) < count:
            outgoing = self.popleft()
            batch.append(outgoing)
            size_bytes -= len(outgoing[2])
        if self._has_room():
            with self._room:
                self._room.notify_all()
        return batch

    def close(self) -> None:
        """Let everyone who waits go on, now and later."""
        with self._room:
            self._closed = True
            self._room.notify_all()

    def _has_room(self) -> bool:
        return self._closed or len(self) <= self.bound // 2
