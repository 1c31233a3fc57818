"""A run from any event on: stored rows first, then the live stream, as one iterator."""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec.structs import replace

from arena_tui.broker.protocol import BrokerProtocol, Cursor, RunInfo
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Gap
from arena_tui.store.history import WINDOW, History

__all__ = ["replay"]

_FIRST = 0
"""Stands for the run's first epoch, whichever that is."""


async def replay(
    history: History,
    broker: BrokerProtocol | None,
    run_id: str,
    from_seq: int = 1,
    epoch: int = _FIRST,
) -> AsyncIterator[Delivery]:
    """Every event from `from_seq` of `epoch` on, once and in order; ends with the run.

    What the broker let go of is read from the store; only what neither has is a `Gap`. After the
    last event of an epoch comes the first one of the next.

    Raises:
        UnknownRunError: Neither the store nor the broker knows the run.
    """
    at = Cursor(epoch, from_seq - 1)
    known = False
    while True:
        held = await _held(broker, run_id)  # first: what is reaped meanwhile is stored by then
        async for delivery in _stored(history, run_id, at):
            yield delivery
            at, known = _after(delivery), True
        if broker is None or held is None or held.epoch < at.epoch:
            break
        known = True
        if held.epoch != at.epoch:
            at = Cursor(held.epoch, at.seq if at.epoch == _FIRST else 0)
        behind = False
        try:
            async for delivery in broker.stream(run_id, min(at.seq, held.last_seq) + 1):
                behind = isinstance(delivery, Gap) and await _is_stored(history, run_id, at)
                if behind:
                    break
                if _after(delivery) > at:
                    yield delivery
                    at = _after(delivery)
        except UnknownRunError:
            continue  # reaped since it was seen: what is left of it is stored
        if not behind:
            return
    if not known and (await history.run(run_id)).run_id != run_id:
        raise UnknownRunError(f"no run {run_id!r}: give the whole id")


async def _stored(history: History, run_id: str, at: Cursor) -> AsyncIterator[Delivery]:
    """What the store has after `at`."""
    for epoch, last_seq in (await history.epochs(run_id)).items():
        if epoch < at.epoch:
            continue
        at = Cursor(epoch, at.seq if at.epoch in (epoch, _FIRST) else 0)
        for first in range(at.seq + 1, last_seq + 2, WINDOW):
            for delivery in await history.window(run_id, first, first + WINDOW - 1, epoch):
                if isinstance(delivery, Gap) and delivery.reason == "reset":
                    yield delivery
                elif (after := _after(delivery)) > at:
                    begun = isinstance(delivery, Gap) and delivery.from_seq <= at.seq
                    yield replace(delivery, from_seq=at.seq + 1) if begun else delivery
                    at = after


async def _held(broker: BrokerProtocol | None, run_id: str) -> RunInfo | None:
    if broker is None:
        return None
    return next((info for info in await broker.runs() if info.meta.run_id == run_id), None)


async def _is_stored(history: History, run_id: str, at: Cursor) -> bool:
    return bool(await history.window(run_id, at.seq + 1, at.seq + 1, at.epoch))


def _after(delivery: Delivery) -> Cursor:
    seq = delivery.to_seq if isinstance(delivery, Gap) else delivery.seq
    return Cursor(delivery.epoch, seq)
