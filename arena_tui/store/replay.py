"""Replays a run from any event on: stored rows, then the live stream, as one iterator."""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec.structs import replace

from arena_tui.broker.protocol import BrokerProtocol, Cursor, RunInfo
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Gap
from arena_tui.folds.places import Places
from arena_tui.store.history import History
from arena_tui.store.windows import WINDOW, begun_in

_FIRST_EPOCH = 0
"""Sentinel for the run's first epoch."""


async def replay(
    history: History,
    broker: BrokerProtocol | None,
    run_id: str,
    from_seq: int = 1,
    epoch: int = _FIRST_EPOCH,
) -> AsyncIterator[Delivery]:
    """Every event from `from_seq` of `epoch` on, once and in order; ends with the run.

    Events that the broker has trimmed are read from the store; a `Gap` stands only for events that
    neither holds. After the last event of an epoch comes the first of the next.

    Raises:
        UnknownRunError: Neither the store nor the broker knows the run.
    """
    cursor = Cursor(epoch, from_seq - 1)
    known = False
    told: set[tuple[int, int]] = set()  # empty gaps: no cursor is past one
    while True:
        # Before the store is read: a run that is reaped in between has been stored by then.
        live = await _live_info(broker, run_id)
        async for delivery in _stored(history, run_id, cursor):
            known = True
            if _is_news(delivery, cursor, told):
                yield delivery
            cursor = max(cursor, _cursor_after(delivery))
        if broker is None or live is None or live.epoch < cursor.epoch:
            break
        known = True
        if cursor.epoch == _FIRST_EPOCH and cursor.seq:
            cursor = Cursor(live.epoch, cursor.seq)
        read = min(cursor.seq, live.last_seq) if live.epoch == cursor.epoch else 0
        behind = False
        try:
            async for delivery in broker.stream(run_id, read + 1):
                if not _is_news(delivery, cursor, told):
                    continue
                if isinstance(delivery, Gap) and delivery.count:
                    before = max(cursor, Cursor(delivery.epoch, delivery.from_seq - 1))
                    behind = await _is_stored(history, run_id, before)
                    if behind:
                        break
                    delivery = replace(delivery, from_seq=before.seq + 1)  # noqa: PLW2901
                yield delivery
                cursor = max(cursor, _cursor_after(delivery))
        except UnknownRunError:
            continue  # reaped in between: the rest is in the store
        if not behind:
            return
    if not known and (await history.run(run_id)).run_id != run_id:
        raise UnknownRunError(f"no run {run_id!r}: give the whole id")


async def _stored(history: History, run_id: str, cursor: Cursor) -> AsyncIterator[Delivery]:
    """Stored events and gaps after the cursor."""
    places = Places(await history.lengths(run_id))
    if cursor.epoch == _FIRST_EPOCH and places.epochs:
        cursor = Cursor(places.epochs[0], cursor.seq)
    first = places.after(cursor)
    is_start = True
    for span in places.spans(first, places.last, WINDOW):
        window = await history.window(run_id, span.first, span.last, span.epoch)
        for delivery in begun_in(window, span.first, is_start):
            yield delivery
        is_start = False


async def _live_info(broker: BrokerProtocol | None, run_id: str) -> RunInfo | None:
    if broker is None:
        return None
    return next((info for info in await broker.runs() if info.meta.run_id == run_id), None)


async def _is_stored(history: History, run_id: str, cursor: Cursor) -> bool:
    """Whether the store has what comes next, or that it is lost; an empty gap leads no further."""
    window = await history.window(run_id, cursor.seq + 1, cursor.seq + 1, cursor.epoch)
    return any(each.last_seq > cursor.seq for each in window)


def _is_news(delivery: Delivery, cursor: Cursor, told: set[tuple[int, int]]) -> bool:
    """Whether the delivery is past the cursor, or an empty gap that was not told yet."""
    if delivery.last_seq >= delivery.first_seq:
        return _cursor_after(delivery) > cursor
    place = (delivery.epoch, delivery.first_seq)
    is_new = place not in told and place >= cursor
    told.add(place)
    return is_new


def _cursor_after(delivery: Delivery) -> Cursor:
    return Cursor(delivery.epoch, delivery.last_seq)
