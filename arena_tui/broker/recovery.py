"""Fills gaps from upstream, for a consumer whose log is a local cache of a remote one."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from arena_tui.events import Delivery, Gap

Answer: TypeAlias = tuple[list[Delivery], Gap | None]

Recover: TypeAlias = Callable[[Gap], Awaitable[Answer]]
"""Fetches a gap's events from upstream. Returns deliveries from the start of the gap on, with
smaller gaps for events that upstream has lost, and the rest of the gap, to be fetched next."""


class Recovery:
    """A queue of deliveries read from the logs; gaps are filled before they are delivered."""

    def __init__(self, recover: Recover) -> None:
        self._recover = recover
        self._ready: deque[Delivery] = deque()
        self._pending: deque[Delivery] = deque()
        self._answer: asyncio.Future[Answer] | None = None

    def __bool__(self) -> bool:
        return bool(self._ready or self._pending)

    def event_count(self) -> int:
        """Number of events queued, those in gaps included."""
        return sum(each.last_seq - each.first_seq + 1 for each in (*self._ready, *self._pending))

    def by_run(self) -> dict[str, int]:
        """Number of events queued of each run, those in gaps included."""
        counts: Counter[str] = Counter()
        for each in (*self._ready, *self._pending):
            counts[each.run_id] += each.last_seq - each.first_seq + 1
        return dict(counts)

    def enqueue(self, batch: Sequence[Delivery]) -> None:
        self._pending.extend(batch)

    def take(self, limit: int, unfilled: bool = False) -> list[Delivery]:
        """Dequeue at most `limit` deliveries, up to the next recoverable gap; with `unfilled`, such
        gaps are returned as they are."""
        if unfilled and self._answer is not None:
            self._answer.cancel()
            self._answer = None
        batch: list[Delivery] = []
        while self._ready and len(batch) < limit:
            batch.append(self._ready.popleft())
        while self._pending and len(batch) < limit:
            if not unfilled and _is_recoverable(self._pending[0]):
                break
            batch.append(self._pending.popleft())
        return batch

    async def ask(self) -> int:
        """Fetch the gap at the head of the queue, and replace it with the answer; returns by how
        many events that is longer: of a gap of unknown length, upstream may have some.

        When cancelled, the request continues; the next call takes its answer.
        """
        gap = self._pending[0]
        assert isinstance(gap, Gap)
        if self._answer is None:
            self._answer = asyncio.ensure_future(self._recover(gap))
        answer = self._answer
        try:
            found, rest = await asyncio.shield(answer)
        except asyncio.CancelledError:
            if answer.cancelled():  # by `cancel` or `take`, not by cancelling the reader
                return 0
            raise
        finally:
            if answer.done():
                self._answer = None
        before = self.event_count()
        self._ready.extend(found)
        if rest is None:
            self._pending.popleft()
        else:
            self._pending[0] = rest
        return self.event_count() - before

    def cancel(self) -> None:
        if self._answer is not None:
            self._answer.cancel()


def _is_recoverable(delivery: Delivery) -> bool:
    """Whether upstream may have a delivery's events: of any gap that is not quarantined."""
    return isinstance(delivery, Gap) and delivery.reason != "quarantined"
