"""A run from any seq: stored rows first, then the live stream, as one iterator."""

from __future__ import annotations

from collections.abc import AsyncIterator

from arena_tui.broker.protocol import BrokerProtocol
from arena_tui.events import Delivery, Gap
from arena_tui.store.history import WINDOW, History

__all__ = ["replay"]


async def replay(
    history: History, broker: BrokerProtocol | None, run_id: str, from_seq: int = 1
) -> AsyncIterator[Delivery]:
    """Every event from `from_seq` on, once and in order; ends with the run.

    What the broker let go of is read from the store; only what neither has is a `Gap`.

    Raises:
        UnknownRunError: Neither the store nor the broker knows the run.
    """
    seq, known = from_seq, False
    while True:
        async for delivery in _stored(history, run_id, seq):
            yield delivery
            seq, known = _after(delivery, seq), True
        held = [] if broker is None else [i for i in await broker.runs() if i.meta.run_id == run_id]
        if broker is None or not held:
            break
        known = True
        behind = False
        async for delivery in broker.stream(run_id, min(seq, held[0].last_seq + 1)):
            if isinstance(delivery, Gap) and await history.window(run_id, seq, seq):
                behind = True  # stored meanwhile
                break
            yield delivery
            seq = _after(delivery, seq)
        if not behind:
            return
    if not known:
        await history.run(run_id)


async def _stored(history: History, run_id: str, from_seq: int) -> AsyncIterator[Delivery]:
    seq = from_seq
    while window := await history.window(run_id, seq, seq + WINDOW - 1):
        for delivery in window:
            if _after(delivery, seq) > seq or delivery is window[-1]:
                yield delivery
            seq = _after(delivery, seq)


def _after(delivery: Delivery, seq: int) -> int:
    """The seq to go on at after this delivery."""
    return max(seq, delivery.to_seq + 1 if isinstance(delivery, Gap) else delivery.seq + 1)
