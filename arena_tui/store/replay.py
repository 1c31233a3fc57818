"""Reads whole runs after a cursor: stored rows, then what a subscription delivers.

Opens no subscription. Memory is constant: a window or a batch at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from msgspec.structs import replace

from arena_tui.broker.protocol import Cursor, RunInfo
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Envelope, Gap, RunEnd
from arena_tui.folds.places import Places
from arena_tui.store.history import History
from arena_tui.store.windows import WINDOW

BEGINNING: Final = Cursor(0, 0)
"""Before a run's first event, in whatever epoch that is."""

_NEVER: Final = 2**62
"""A seq beyond every run's last."""


class RunReplay:
    """Every event of one run after a cursor, once and in order, wherever it is.

    First `open`; then all of `stored`; then `news` of what a subscription that starts at `cursor`
    delivers. After the last event of an epoch comes the first of the next. A gap stands for events
    that neither the broker nor the store holds.

    Args:
        history: The store; None: there is none, and what the broker has let go is a gap.
        cursor: What to begin after; epoch 0 stands for the run's first.

    Attributes:
        cursor: How far it has been read.
    """

    def __init__(self, history: History | None, run_id: str, cursor: Cursor = BEGINNING) -> None:
        self.run_id = run_id
        self.cursor = cursor
        self._history = history
        self._places = Places()
        self._reach = cursor
        self._told: set[tuple[int, int]] = set()  # empty gaps: no cursor is past one

    async def open(self, live: RunInfo | None) -> None:
        """Find out how far the store is read before the broker, which holds `live` of the run.

        `live` must have been asked for before: a run that is reaped in between has been stored.

        Raises:
            UnknownRunError: Neither the store nor the broker has the run.
        """
        if self._history is not None:
            self._places = Places(await self._history.lengths(self.run_id))
            if live is None and not self._places.epochs:
                await self._check_known(self._history)
        elif live is None:
            raise UnknownRunError(f"no run {self.run_id!r}: nothing is stored here")
        self.cursor = _resolved(self.cursor, self._places, live)
        self._reach = _store_reach(self._places, live, self.cursor)

    @property
    def newest(self) -> Cursor:
        """The newest position that the store had when this was opened."""
        return self._places.cursor(self._places.last)

    async def stored(self) -> AsyncIterator[Sequence[Delivery]]:
        """What the store has up to where the broker goes on, a window at a time."""
        async for window in self._read(self._places, self._reach):
            yield window

    async def news(self, batch: Sequence[Delivery]) -> AsyncIterator[Sequence[Delivery]]:
        """What is new in the batch, in place of a gap first what the store has of it."""
        fresh: list[Delivery] = []
        for each in batch:
            if not self._is_news(each):
                continue
            if not isinstance(each, Gap):
                fresh.append(each)
                self.cursor = Cursor(each.epoch, each.seq)
                continue
            if fresh:
                yield fresh
                fresh = []
            async for window in self._in_place_of(each):
                yield window
        if fresh:
            yield fresh

    async def _in_place_of(self, gap: Gap) -> AsyncIterator[Sequence[Delivery]]:
        """What the store has of it, then what is missing from there on."""
        if self._history is not None:
            places = Places(await self._history.lengths(self.run_id))
            end = Cursor(gap.epoch, gap.to_seq if gap.count else _NEVER)
            async for window in self._read(places, end):
                yield window
            if not gap.count and await self._has_ended(self._history):
                return
        if gap.count:
            gap = replace(gap, from_seq=max(gap.from_seq, self._seq_in(gap.epoch) + 1))
            if not gap.count:
                return
        self.cursor = max(self.cursor, _cursor_after(gap))
        yield [gap]

    async def _read(self, places: Places, up_to: Cursor) -> AsyncIterator[Sequence[Delivery]]:
        assert self._history is not None or not places.epochs
        if self._history is None:
            return
        async for window in read_stored(self._history, self.run_id, places, self.cursor, up_to):
            news = [each for each in window if self._is_news(each)]
            self.cursor = max(self.cursor, _cursor_after(window[-1]))
            if news:
                yield news

    def _seq_in(self, epoch: int) -> int:
        return self.cursor.seq if self.cursor.epoch == epoch else 0

    def _is_news(self, delivery: Delivery) -> bool:
        """Whether it is past the cursor, or an empty gap that was not told yet."""
        if delivery.last_seq >= delivery.first_seq:
            return _cursor_after(delivery) > self.cursor
        if isinstance(delivery, Gap) and not delivery.unknown and delivery.raw is None:
            return False  # a stream that was read to its end
        place = (delivery.epoch, delivery.first_seq)
        is_new = place not in self._told and place >= self.cursor
        self._told.add(place)
        return is_new

    async def _has_ended(self, history: History) -> bool:
        """Whether the run ends at the cursor: nothing is lost after that."""
        epoch, seq = self.cursor
        window = await history.window(self.run_id, seq, seq, epoch)
        return any(isinstance(each, Envelope) and isinstance(each.event, RunEnd) for each in window)

    async def _check_known(self, history: History) -> None:
        if (await history.run(self.run_id)).run_id != self.run_id:
            raise UnknownRunError(f"no run {self.run_id!r}: give the whole id")


async def read_stored(
    history: History, run_id: str, places: Places, after: Cursor, up_to: Cursor
) -> AsyncIterator[list[Delivery]]:
    """Stored events and gaps after one cursor and up to another, a window at a time.

    A gap is in every window that it crosses: it is given once, from `after` on.
    """
    is_start = True
    for span in places.spans(places.after(after), places.after(up_to) - 1, WINDOW):
        window: list[Delivery] = []
        for each in await history.window(run_id, span.first, span.last, span.epoch):
            if each.first_seq >= span.first:
                window.append(each)
            elif is_start and isinstance(each, Gap):
                window.append(replace(each, from_seq=span.first))
        is_start = False
        if window:
            yield window


def _resolved(cursor: Cursor, places: Places, live: RunInfo | None) -> Cursor:
    """The cursor, in the oldest epoch with events if it is in none."""
    if cursor.epoch != BEGINNING.epoch:
        return cursor
    epochs = places.epochs[:1]
    if live is not None:
        epochs += [live.epoch, *(end.epoch for end in live.ended if end.seq)]
    return Cursor(min(epochs, default=BEGINNING.epoch), cursor.seq)


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


def _cursor_after(delivery: Delivery) -> Cursor:
    return Cursor(delivery.epoch, delivery.last_seq)
