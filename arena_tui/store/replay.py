"""Reads whole runs: stored rows, then the live stream, as one iterator in constant memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from msgspec.structs import replace

from arena_tui.broker.protocol import BrokerProtocol, Cursor, RunInfo
from arena_tui.broker.subscription import one_by_one
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Envelope, Gap, RunEnd
from arena_tui.folds.places import Places
from arena_tui.store.history import History
from arena_tui.store.windows import WINDOW

_FIRST_EPOCH = 0
"""Sentinel for the run's first epoch."""


async def replay(
    history: History, broker: BrokerProtocol | None, run_id: str, from_seq: int = 1,
    epoch: int = _FIRST_EPOCH,
) -> AsyncIterator[Delivery]:  # fmt: skip
    """Every event from `from_seq` of `epoch` on, once and in order; ends with the run.

    Events that the broker has trimmed are read from the store; a `Gap` stands for events that
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
        places = Places(await history.lengths(run_id))
        known = known or live is not None or bool(places.epochs)
        cursor = _resolved(cursor, places, live)
        reach = _store_reach(places, live, cursor)
        async for delivery in read_stored(history, run_id, places, cursor, reach):
            if _is_news(delivery, cursor, told):
                yield delivery
            cursor = max(cursor, _cursor_after(delivery))
        if broker is None or live is None or live.epoch < cursor.epoch:
            break
        behind = False
        try:
            rest = broker.subscribe(f"replay {run_id}", [run_id], {run_id: cursor})
            async with aclosing(one_by_one(rest)) as deliveries:
                async for delivery in deliveries:
                    if not _is_news(delivery, cursor, told):
                        continue
                    if isinstance(delivery, Gap) and delivery.count:
                        before = max(cursor, Cursor(delivery.epoch, delivery.from_seq - 1))
                        behind = await _is_stored(history, run_id, before)
                        if behind:
                            break
                        delivery = replace(delivery, from_seq=before.seq + 1)  # noqa: PLW2901
                    elif isinstance(delivery, Gap) and await _has_ended(history, run_id, cursor):
                        continue
                    yield delivery
                    cursor = max(cursor, _cursor_after(delivery))
        except UnknownRunError:
            continue  # reaped in between: the rest is in the store
        if not behind:
            return
    if not known and (await history.run(run_id)).run_id != run_id:
        raise UnknownRunError(f"no run {run_id!r}: give the whole id")


async def read_stored(
    history: History, run_id: str, places: Places, after: Cursor, up_to: Cursor
) -> AsyncIterator[Delivery]:
    """Stored events and gaps after one cursor and up to another, a window at a time.

    A gap is in every window that it crosses: it is given once, from `after` on.
    """
    is_start = True
    for span in places.spans(places.after(after), places.after(up_to) - 1, WINDOW):
        for each in await history.window(run_id, span.first, span.last, span.epoch):
            if each.first_seq >= span.first:
                yield each
            elif is_start and isinstance(each, Gap):
                yield replace(each, from_seq=span.first)
        is_start = False


async def _live_info(broker: BrokerProtocol | None, run_id: str) -> RunInfo | None:
    if broker is None:
        return None
    return next((info for info in await broker.runs() if info.meta.run_id == run_id), None)


def _resolved(cursor: Cursor, places: Places, live: RunInfo | None) -> Cursor:
    """The cursor, in the oldest epoch with events if it has the sentinel for that."""
    if cursor.epoch != _FIRST_EPOCH:
        return cursor
    epochs = places.epochs[:1]
    if live is not None:
        epochs += [live.epoch, *(end.epoch for end in live.ended if end.seq)]
    return Cursor(min(epochs, default=_FIRST_EPOCH), cursor.seq)


def _store_reach(places: Places, live: RunInfo | None, cursor: Cursor) -> Cursor:
    """How far to read the store before the broker: up to where an epoch lacks its end in it."""
    newest = places.cursor(places.last)
    if live is None or live.epoch < newest.epoch:
        return newest
    ends = sorted(dict(live.ended).items())
    lacking = (
        end
        for end in map(Cursor._make, ends)
        if cursor < end < Cursor(live.epoch, 0) and places.lengths.get(end.epoch, 0) < end.seq
    )
    return next(lacking, newest)


async def _is_stored(history: History, run_id: str, cursor: Cursor) -> bool:
    """Whether the store has what comes next, or that it is lost; an empty gap leads no further."""
    window = await history.window(run_id, cursor.seq + 1, cursor.seq + 1, cursor.epoch)
    return any(each.last_seq > cursor.seq for each in window)


async def _has_ended(history: History, run_id: str, cursor: Cursor) -> bool:
    """Whether the run ends at the cursor: nothing is lost after that."""
    window = await history.window(run_id, cursor.seq, cursor.seq, cursor.epoch)
    return any(isinstance(each, Envelope) and isinstance(each.event, RunEnd) for each in window)


def _is_news(delivery: Delivery, cursor: Cursor, told: set[tuple[int, int]]) -> bool:
    """Whether the delivery is past the cursor, or an empty gap that was not told yet."""
    if delivery.last_seq >= delivery.first_seq:
        return _cursor_after(delivery) > cursor
    if isinstance(delivery, Gap) and not delivery.unknown and delivery.raw is None:
        return False  # a stream that was read to its end
    place = (delivery.epoch, delivery.first_seq)
    is_new = place not in told and place >= cursor
    told.add(place)
    return is_new


def _cursor_after(delivery: Delivery) -> Cursor:
    return Cursor(delivery.epoch, delivery.last_seq)
