"""The queue between producers and the loop, with a bound. Knows no run and no broker."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from arena_tui.broker.protocol import Outgoing


class Fifo(deque[Outgoing]):
    """Outgoing events in the order of queueing. Thread-safe; only one task takes them.

    `append` never waits: whoever finds `bound` events waits for room first. It is a deque, since a
    method in Python around each `append` and `len` would make `emit` a tenth dearer.

    Args:
        bound: Events that are enough; those who wait go on once half of that is free.

    Attributes:
        bound: See above.
        closed: Whether nobody waits any more.
        peak: Most events ever found by `take`.
        taken: Events taken so far.
    """

    __slots__ = ("_blocked_s", "_lock", "_waiting", "bound", "closed", "peak", "taken")

    def __init__(self, bound: int) -> None:
        super().__init__()
        self.bound = bound
        self.closed = False
        self.peak = self.taken = 0
        self._lock = threading.Lock()
        self._waiting: dict[Future[None], float] = {}
        self._blocked_s = 0.0

    @property
    def blocked_s(self) -> float:
        """Seconds that producers have waited for room, those waiting now included."""
        with self._lock:
            now = time.perf_counter()
            return self._blocked_s + sum(now - since for since in self._waiting.values())

    def wait_for_room(self) -> None:
        """Block the calling thread until there is room, or it is closed."""
        while len(self) >= self.bound and not self.closed:
            with self._place() as room:
                room.result()

    async def room(self) -> None:
        """`wait_for_room` for a coroutine of any loop; cancellable."""
        while len(self) >= self.bound and not self.closed:
            with self._place() as room:
                await asyncio.wrap_future(room)

    def take(self, count: int, size_bytes: int) -> list[Outgoing]:
        """Dequeue up to `count` events, until their JSON has `size_bytes`; wakes the waiting."""
        self.peak = max(self.peak, len(self))
        batch: list[Outgoing] = []
        dequeue, add = self.popleft, batch.append
        for _ in range(min(count, len(self))):
            outgoing = dequeue()
            add(outgoing)
            size_bytes -= len(outgoing[2])
            if size_bytes <= 0:
                break
        self.taken += len(batch)
        self._wake()
        return batch

    def close(self) -> None:
        """Let everyone who waits go on, now and later."""
        self.closed = True
        self._wake()

    def _has_room(self) -> bool:
        return self.closed or len(self) <= self.bound // 2

    @contextmanager
    def _place(self) -> Iterator[Future[None]]:
        """A place among the waiting, with the future that ends the waiting."""
        room: Future[None] = Future()
        with self._lock:  # else `take` could make room for the last time unseen
            if self._has_room():
                room.set_result(None)
            else:
                self._waiting[room] = time.perf_counter()
        try:
            yield room
        finally:
            with self._lock:
                if since := self._waiting.pop(room, None):  # interrupted or cancelled
                    self._blocked_s += time.perf_counter() - since

    def _wake(self) -> None:
        with self._lock:
            if not self._waiting or not self._has_room():
                return
            woken, self._waiting = self._waiting, {}
            now = time.perf_counter()
            self._blocked_s += sum(now - since for since in woken.values())
        for room in woken:
            if room.set_running_or_notify_cancel():  # False: cancelled meanwhile on another loop
                room.set_result(None)
