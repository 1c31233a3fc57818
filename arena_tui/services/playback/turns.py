"""The turns of one run: where each begins, and what happened in those in sight. Draws nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from arena_tui.events import Delivery, Envelope
from arena_tui.folds.turns import Turn, TurnStarts, fold_turn
from arena_tui.services.playback.reading import ReadsOn
from arena_tui.services.playback.starts import Starts, TurnChange, micros

_SPAN: Final = 100_000
"""Places of which the beginnings of turns are read at once."""
_FIRST_SPAN: Final = 2_000
"""The first of them: so soon there is something to see."""

_HEAD: Final = 300
_TAIL: Final = 100
"""Of a turn with more events, only so many of its first and newest ones are read."""

_WINDOW: Final = 1_000
"""Most places of short turns that are read at once."""

_HELD_MAX: Final = 2_000
"""Turns kept in memory; of more, those around what was read last."""


class Paged(Protocol):
    """One run to be read by place, of which the turns are found; a `RunTape` is one.

    Attributes:
        renumbered: How often places changed.
        live: Whether more events may come.
    """

    renumbered: int
    live: bool

    @property
    def last(self) -> int: ...
    def places_of(self, delivery: Delivery) -> range: ...
    async def window(self, first: int, last: int) -> list[Delivery]: ...
    async def turn_changes(self, first: int, last: int) -> list[TurnChange]: ...


class Turns(ReadsOn):
    """The list of turns of a run, by row from 0; a row lasts until the next begins.

    The beginnings of all of them are read once, span by span, and grow with a live run. What
    happened in a turn is read when somebody wants it. While it is `lacking`, run `read_on`.

    Attributes:
        starts: Where rows begin.
        has_tokens: Whether any turn read so far used tokens.
        version: Increases when rows come or change; not when more of them is read.
    """

    def __init__(self, tape: Paged) -> None:
        self.version = 0
        self.starts = Starts()
        self._tape = tape
        self.clear()

    def clear(self) -> None:
        """Forget all, as places have changed."""
        self.version += 1
        self.has_tokens = False
        self.starts.clear()
        self._folding = TurnStarts()
        self._reach = 0
        self._held: dict[int, Turn] = {}
        self._stale: set[int] = set()
        self._wanted = range(0)
        self._has_failed = False

    @property
    def count(self) -> int:
        """How many rows there are, as far as is known."""
        return len(self.starts)

    @property
    def known(self) -> bool:
        """Whether the beginnings of all turns are read."""
        return self._reach >= self._tape.last

    @property
    def lacking(self) -> bool:
        """Whether anything wanted is still to be read."""
        return not self._has_failed and (not self.known or bool(self._wanted))

    def places(self, row: int) -> range:
        """The places of a row's events."""
        if not 0 <= row < self.count:
            return range(0)
        is_last = row + 1 == self.count
        return range(self.starts[row], self._reach + 1 if is_last else self.starts[row + 1])

    def get(self, row: int) -> Turn | None:
        """What happened in it; None until it is read."""
        return self._held.get(row)

    def extend(self, news: Sequence[Delivery]) -> None:
        """Take in what is new in a live run, if all before it is known."""
        if not news or self._tape.places_of(news[0]).start > self._reach + 1:
            return
        self.version += 1
        self._stale.add(self.count - 1)
        for each in news:
            places = self._tape.places_of(each)
            if isinstance(each, Envelope) and places.start > self._reach:
                event = each.event
                self._see(TurnChange(places.start, event.kind, event.turn, micros(event.ts)))
            self._reach = max(self._reach, places[-1])

    def want(self, first: int, last: int) -> None:
        """Request what happened in these rows; replaces an earlier request."""
        rows = range(max(0, first), min(last + 1, self.count))
        lacking = [row for row in rows if row not in self._held or row in self._stale]
        self._wanted = range(lacking[0], lacking[-1] + 1) if lacking else range(0)
        self.try_again()

    def try_again(self) -> None:
        """Read on, even if that has failed."""
        self._has_failed = False

    async def read_next(self) -> None:
        """See `ReadsOn`."""
        await (self._read_rows() if self._wanted else self._read_beginnings())

    def give_up(self) -> None:
        """See `ReadsOn`."""
        self._has_failed = True

    async def _read_beginnings(self) -> None:
        numbering, first = self._tape.renumbered, self._reach + 1
        last = min(self._tape.last, self._reach + (_SPAN if self._reach else _FIRST_SPAN))
        found = await self._tape.turn_changes(first, last)
        if numbering == self._tape.renumbered and self._reach + 1 == first:
            self.version += 1
            self._stale.add(self.count - 1)
            for each in found:
                self._see(each)
            self._reach = last

    async def _read_rows(self) -> None:
        numbering, rows = self._tape.renumbered, self._wanted
        for some in self._batches(rows):
            self._stale.difference_update(some)  # what comes meanwhile makes it stale again
            try:
                folded = await self._read(some)
            except BaseException:  # cancelled, too
                self._stale.update(some)
                raise
            if numbering != self._tape.renumbered:
                return
            self._held.update(zip(some, folded, strict=True))
            self.has_tokens |= any(each.output_tokens or each.input_tokens for each in folded)
        if self._wanted == rows:
            self._wanted = range(0)
        if len(self._held) > _HELD_MAX:
            near = range(rows.start - _HELD_MAX // 2, rows.stop + _HELD_MAX // 2)
            self._held = {row: each for row, each in self._held.items() if row in near}

    def _batches(self, rows: range) -> Iterator[range]:
        """The rows that are not read yet, as many at once as lie in one window."""
        first = rows.start
        for row in rows:
            end = self.places(row).stop
            if row > first and end - self.places(first).start > _WINDOW:
                yield range(first, row)
                first = row
        if first < rows.stop:
            yield range(first, rows.stop)

    async def _read(self, rows: range) -> list[Turn]:
        if len(rows) == 1:
            deliveries, left_out = await read_bounded(self._tape, self.places(rows[0]))
            return [fold_turn(deliveries, left_out)]
        ends = [self.places(row) for row in rows]
        found = await self._tape.window(ends[0].start, ends[-1].stop - 1)
        return [fold_turn(_within(self._tape, found, places)) for places in ends]

    def _see(self, change: TurnChange) -> None:
        place, kind, turn, at_us = change
        begins = self._folding.begins(kind, turn)
        if not len(self.starts) and (place > 1 or not begins):
            self.starts.begin(1, None, at_us)
        if begins:
            number = None if kind in ("run_start", "run_end") else turn
            self.starts.begin(place, number, at_us)


async def read_bounded(tape: Paged, places: range) -> tuple[list[Delivery], int]:
    """The deliveries at these places, in order, and how many in their middle are left out."""
    first, last = places.start, places.stop - 1
    if len(places) <= _HEAD + _TAIL:
        return _within(tape, await tape.window(first, last), places), 0
    head = await tape.window(first, first + _HEAD - 1)
    tail = await tape.window(last - _TAIL + 1, last)
    after = tape.places_of(head[-1]).stop if head else first
    tail = [each for each in tail if tape.places_of(each).start >= after]
    return [*head, *tail], len(places) - _HEAD - _TAIL


def _within(tape: Paged, deliveries: Iterable[Delivery], places: range) -> list[Delivery]:
    return [each for each in deliveries if tape.places_of(each).start in places]
