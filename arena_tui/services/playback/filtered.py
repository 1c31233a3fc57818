"""The events of a run that match a filter, and the rows of a list of them. Draws nothing."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from arena_tui.events import Envelope
from arena_tui.folds.event_filter import Clauses
from arena_tui.services.playback.reading import ReadsOn
from arena_tui.services.playback.tape import RunTape

_HELD_MAX: Final = 1_000
"""Events kept in memory for the list."""

_WANTED_MAX: Final = 400
"""Most that are read at once."""


class EventRow(NamedTuple):
    """A row of the list: an event, or so many hidden ones from `place` on."""

    place: int
    hidden: int = 0


class MatchRows:
    """The matching places, in order, with a row for what is hidden between them; 16 bytes each.

    Attributes:
        places: Those that match.
    """

    def __init__(self) -> None:
        self.places = array("q")
        self._rows = array("q")

    def add(self, places: Iterable[int]) -> None:
        """Add places after all there are, in order."""
        last = self.places[-1] if self.places else 0
        row = self._rows[-1] if self._rows else -1
        for place in places:
            row += 1 if place == last + 1 else 2
            self.places.append(place)
            self._rows.append(row)
            last = place

    def count(self, last: int) -> int:
        """How many rows there are in a run up to the place `last`."""
        row = self._rows[-1] if self._rows else -1
        newest = self.places[-1] if self.places else 0
        return row + 1 + (last > newest)

    def row_of(self, place: int) -> int:
        """The row of an event, or of the hidden ones that it is among."""
        index = bisect_right(self.places, place) - 1
        if index < 0:
            return 0
        return self._rows[index] + (self.places[index] != place)

    def at(self, row: int, last: int) -> EventRow:
        """What a row shows, in a run up to the place `last`."""
        index = bisect_right(self._rows, row) - 1
        if index >= 0 and self._rows[index] == row:
            return EventRow(self.places[index])
        first = self.places[index] + 1 if index >= 0 else 1
        end = self.places[index + 1] if index + 1 < len(self.places) else last + 1
        return EventRow(first, end - first)


class Filtered(ReadsOn):
    """The places of a run's events that match a filter, while one is on.

    They are read span by span, in a thread, and grow with a live run; events of the list are read
    as somebody wants them. While it is `lacking`, run `read_on`.

    Attributes:
        text: The filter; "" while none is on.
        rows: What matches, as far as it is known.
    """

    def __init__(self, tape: RunTape) -> None:
        self.text = ""
        self.rows = MatchRows()
        self._tape = tape
        self._clauses: Clauses = ()
        self._reach = 0
        self._has_failed = False
        self._held: dict[int, Envelope] = {}
        self._wanted: list[int] = []

    @property
    def is_on(self) -> bool:
        return bool(self.text)

    @property
    def known(self) -> bool:
        """Whether all of the run is looked at."""
        return self._reach >= self._tape.last

    @property
    def lacking(self) -> bool:
        return self.is_on and not self._has_failed and (not self.known or bool(self._wanted))

    @property
    def waits(self) -> bool:
        """Whether something is to be read, and nobody reads it."""
        return self.lacking and not self.reading

    def keep(self, text: str, clauses: Clauses) -> None:
        """Show only the events that match; all for an empty filter."""
        self.text, self._clauses = text if clauses else "", clauses
        self.again()

    def again(self) -> None:
        """Forget what matches, as places have changed."""
        self.rows, self._reach, self._has_failed = MatchRows(), 0, False
        self._held, self._wanted = {}, []

    def beside(self, at: int, step: int) -> int | None:
        """The next (`step` 1) or previous (-1) matching place from `at`; None if none is known."""
        places = self.rows.places
        index = bisect_right(places, at) if step > 0 else bisect_left(places, at) - 1
        return places[index] if 0 <= index < len(places) else None

    def holds_any(self, places: range) -> bool:
        """Whether an event at one of these places matches, or is yet to be looked at."""
        index = bisect_left(self.rows.places, places.start)
        found = index < len(self.rows.places) and self.rows.places[index] < places.stop
        return found or places.stop > self._reach + 1

    def get(self, place: int) -> Envelope | None:
        """The event at a matching place; None until it is read."""
        return self._held.get(place)

    def want(self, first: int, last: int) -> None:
        """Request the events of these rows; replaces an earlier request."""
        newest = self._tape.last
        rows = (self.rows.at(row, newest) for row in range(first, last + 1)[:_WANTED_MAX])
        self._wanted = [each.place for each in rows if not each.hidden]
        self._wanted = [each for each in self._wanted if each not in self._held]
        self._has_failed = False

    async def words(self) -> tuple[list[str], list[str]]:
        """The kinds and the agents that occur in the run."""
        return await self._tape.seek.words()

    def row_of(self, place: int) -> int:
        """The row of the list of events that a place is in, from 0."""
        return self.rows.row_of(place) if self.is_on else place - 1

    def at(self, row: int) -> EventRow:
        """What a row of the list shows."""
        return self.rows.at(row, self._tape.last) if self.is_on else EventRow(row + 1)

    def count(self, last: int) -> int:
        """How many rows the list has, of a run up to the place `last`."""
        return self.rows.count(last) if self.is_on else last

    def title(self, what: str, last: int) -> str:
        """What a list is of: `turns`, or which events of so many of a run are shown."""
        if not self.is_on:
            return what
        found = f"{len(self.rows.places):,} of {last:,} events"
        return f"{what} · {self.text} · {found if self.known else f'{found}, looking …'}"

    def give_up(self) -> None:
        """See `ReadsOn`."""
        self._has_failed = True

    async def read_next(self) -> None:
        """What is in sight first, then the next span of places."""
        tape, rows = self._tape, self.rows
        if self._wanted:
            wanted, self._wanted = self._wanted, []
            found = await tape.seek.events(wanted)
            if rows is self.rows:
                self._take(found)
            return
        first, last = self._reach + 1, tape.last
        places, reach = await tape.seek.matching(self._clauses, first, last)
        if rows is self.rows and first == self._reach + 1:
            rows.add(places)
            self._reach = reach

    def _take(self, found: Sequence[tuple[int, Envelope]]) -> None:
        self._held.update(found)
        while len(self._held) > _HELD_MAX:
            del self._held[next(iter(self._held))]
