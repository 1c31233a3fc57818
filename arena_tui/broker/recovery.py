"""Fills gaps from upstream, for a consumer whose log is a local cache of a remote one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from arena_tui.events import Delivery, Gap

__all__ = ["Recover", "Recovery"]

Answer: TypeAlias = tuple[list[Delivery], Gap | None]

Recover: TypeAlias = Callable[[Gap], Awaitable[Answer]]
"""Asks upstream for what a log no longer holds: what is there of a gap's events, from the first on,
with smaller gaps for what is not; and the rest of the gap, to be asked for next."""


class Recovery:
    """Deliveries taken from the logs, on their way to the consumer."""

    def __init__(self, recover: Recover) -> None:
        self._recover = recover
        self._ready: deque[Delivery] = deque()
        self._held: deque[Delivery] = deque()
        self._answer: asyncio.Future[Answer] | None = None

    def __bool__(self) -> bool:
        return bool(self._ready or self._held)

    def events(self) -> int:
        """How many events are under way."""
        return sum(
            each.last_seq - each.first_seq + 1
            for deliveries in (self._ready, self._held)
            for each in deliveries
        )

    def hold(self, batch: Sequence[Delivery]) -> None:
        """Take in what the logs had."""
        self._held.extend(batch)

    def take(self, limit: int, unfilled: bool = False) -> list[Delivery]:
        """At most `limit` deliveries, up to the next gap that upstream is to be asked about; with
        `unfilled` such gaps, too, as they are."""
        if unfilled and self._answer is not None:
            self._answer.cancel()
            self._answer = None
        batch: list[Delivery] = []
        while self._ready and len(batch) < limit:
            batch.append(self._ready.popleft())
        while self._held and len(batch) < limit:
            if not unfilled and _may_be_filled(self._held[0]):
                break
            batch.append(self._held.popleft())
        return batch

    async def ask(self) -> None:
        """Ask upstream about the gap in front, and put the answer in its place.

        Cancelled, it asks on; the next call takes the answer.
        """
        gap = self._held[0]
        assert isinstance(gap, Gap)
        if self._answer is None:
            self._answer = asyncio.ensure_future(self._recover(gap))
        answer = self._answer
        try:
            found, rest = await asyncio.shield(answer)
        except asyncio.CancelledError:
            if answer.cancelled():  # not the reader, but what it reads has come to its end
                return
            raise
        finally:
            if answer.done():
                self._answer = None
        self._ready.extend(found)
        if rest is None:
            self._held.popleft()
        else:
            self._held[0] = rest

    def cancel(self) -> None:
        """Ask no more."""
        if self._answer is not None:
            self._answer.cancel()


def _may_be_filled(delivery: Delivery) -> bool:
    """What was quarantined is known for what it is; all other gaps upstream is asked about."""
    return isinstance(delivery, Gap) and delivery.reason != "quarantined"
