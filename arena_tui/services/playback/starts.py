"""Where the turns of one run begin, by row of their list from 0. Reads nothing."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

_NONE: Final = -(2**62)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TurnChange(NamedTuple):
    """An event with which a turn may begin: its place, kind and turn, and its time in microseconds
    since 1970."""

    place: int
    kind: str
    turn: int | None
    at_us: int


def micros(at: datetime) -> int:
    """A time in microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


class Starts:
    """The places at which rows begin, in order, with the numbers and times of their turns.

    Attributes:
        highest: The highest turn number; 0 without any.
        numbered: Whether any row is a turn.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self.highest = 0
        self.numbered = False
        self._places = array("q")
        self._numbers = array("q")
        self._times = array("q")

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, row: int) -> int:
        return self._places[row]

    def begin(self, place: int, number: int | None, at_us: int) -> None:
        """Add a row; `number` is None if it is not of a turn, `at_us` when it began, in
        microseconds since 1970."""
        self._places.append(place)
        self._numbers.append(_NONE if number is None else number)
        self._times.append(at_us)
        if number is not None:
            self.numbered = True
            self.highest = max(self.highest, number)

    def number(self, row: int) -> int | None:
        """Of the row's turn; None if it is not of a turn."""
        found = self._numbers[row]
        return None if found == _NONE else found

    def at_us(self, row: int) -> int:
        """When the row began, in microseconds since 1970."""
        return self._times[row]

    def of_turn(self, number: int) -> int | None:
        """The first row of that turn; None without one."""
        try:
            return self._numbers.index(number)
        except ValueError:
            return None

    def row_of(self, place: int) -> int:
        """The row that a place lies in."""
        return max(0, bisect_right(self._places, place) - 1)

    def turn_at(self, place: int) -> int | None:
        """The number of the turn that a place lies in; None without one."""
        row = self.row_of(place)
        return self.number(row) if row < len(self) else None

    def between(self, first: int, last: int, most: int) -> Sequence[int]:
        """The places from `first` to `last` at which rows begin; none if they are more than
        `most`."""
        low, high = bisect_left(self._places, first), bisect_right(self._places, last)
        return self._places[low:high] if high - low <= most else ()

    def beside(self, place: int, step: int) -> int | None:
        """The place at which the next (`step` 1) or previous (-1) turn begins, or None."""
        row = self.row_of(place)
        if step < 0 and self._places and self._places[row] < place:
            row += 1
        row += step
        while 0 <= row < len(self) and self._numbers[row] == _NONE:
            row += step
        return self._places[row] if 0 <= row < len(self) else None
