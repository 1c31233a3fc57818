"""Which turns of two runs belong together. Pure; knows nothing of what happened in them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

By: TypeAlias = Literal["turn", "time"]

_NONE: Final = -1
_ALL: Final = 2**62
_BEFORE: Final = -(2**62)


class Beginnings(Protocol):
    """The rows of a run's list of turns, from 0, as far as they are known."""

    def __len__(self) -> int: ...
    def number(self, row: int) -> int | None: ...
    def at_us(self, row: int) -> int: ...


class Row(NamedTuple):
    """Two rows beside each other; None where a run has none that belongs there."""

    first: int | None
    second: int | None


class Alignment:
    """The rows of two runs side by side: each of both exactly once, and in its order.

    By turn, a turn of one is beside that of the same number of the other. Of several turns of one
    number, as players of one round have, the first is beside the first, and so on. By time, it is
    beside the one that began nearest to it, from the start of each run on, that is left.

    Attributes:
        shared: How many turns stand beside one of the other run.
    """

    def __init__(self, by: By = "turn") -> None:
        self.by = by
        self.shared = 0
        self._rows = (array("q"), array("q"))
        self._at = (array("q"), array("q"))
        self._keys = (_Keys(), _Keys())
        self._settled = 0, 0
        """How many rows, and shared ones, stay whatever becomes known."""

    def __len__(self) -> int:
        return len(self._rows[0])

    def __getitem__(self, index: int) -> Row:
        first, second = (rows[index] for rows in self._rows)
        return Row(None if first == _NONE else first, None if second == _NONE else second)

    def index_of(self, side: int, row: int) -> int | None:
        """Where a row of the first (0) or second (1) run stands; None while it is in no place."""
        at = self._at[side]
        return at[row] if 0 <= row < len(at) else None

    @property
    def settled(self) -> int:
        """How many rows stay where they are, whatever becomes known."""
        return self._settled[0]

    def extend(self, first: Beginnings, second: Beginnings, whole: bool, most: int = _ALL) -> bool:
        """Set beside each other what has become known, `most` rows at once; returns whether that
        was all. `whole`: nothing more is about to become known.

        What follows the end of one run moves if that goes on after all.
        """
        self._back_to_settled()
        runs = (first, second)
        done = [len(at) for at in self._at]
        sure = True
        while all(done[side] < len(runs[side]) for side in (0, 1)):
            takes = self._next(runs, done)
            if most <= 0 or (takes is None and not whole):
                return most > 0
            most -= 1
            sure = sure and takes is not None
            takes = takes or (True, True)
            self._add(takes, done, runs)
            done = [each + taken for each, taken in zip(done, takes, strict=True)]
            if sure:
                self._settled = len(self), self.shared
        for side in (0, 1) if whole else ():
            self._add_rest(side, range(done[side], len(runs[side])))
        return True

    def _next(
        self, runs: tuple[Beginnings, Beginnings], done: Sequence[int]
    ) -> tuple[bool, bool] | None:
        """Which of the runs have a row in the next place; None: what comes next decides."""
        if self.by == "turn":
            keys = [self._keys[side].key(runs[side], done[side]) for side in (0, 1)]
            return keys[0] <= keys[1], keys[1] <= keys[0]
        times = [_since_start(runs[side], done[side]) for side in (0, 1)]
        kinds = [runs[side].number(done[side]) is None for side in (0, 1)]
        earlier = 0 if times[0] <= times[1] else 1
        alone = earlier == 0, earlier == 1
        if kinds[0] != kinds[1]:
            return alone
        after = done[earlier] + 1
        if after >= len(runs[earlier]):
            return None
        later = times[1 - earlier]
        is_nearer = abs(_since_start(runs[earlier], after) - later) < later - times[earlier]
        return alone if is_nearer else (True, True)

    def _add(
        self, takes: tuple[bool, bool], done: Sequence[int], runs: tuple[Beginnings, Beginnings]
    ) -> None:
        for side, taken in enumerate(takes):
            if taken:
                self._at[side].append(len(self._rows[side]))
            self._rows[side].append(done[side] if taken else _NONE)
        if all(takes) and runs[0].number(done[0]) is not None:
            self.shared += 1

    def _add_rest(self, side: int, rows: range) -> None:
        here = len(self)
        self._at[side].extend(range(here, here + len(rows)))
        self._rows[side].extend(rows)
        self._rows[1 - side].extend([_NONE] * len(rows))

    def _back_to_settled(self) -> None:
        settled, self.shared = self._settled
        for side in (0, 1):
            removed = self._rows[side][settled:]
            del self._rows[side][settled:]
            del self._at[side][len(self._at[side]) - sum(each != _NONE for each in removed) :]


class _Keys:
    """Orders the rows of one run by turn: what is no turn stands after the turn before it."""

    def __init__(self) -> None:
        self._row = -1
        self._key = (_BEFORE, 1, -1)

    def key(self, run: Beginnings, row: int) -> tuple[int, int, int]:
        """That of a row, asked for in order; of the same row as often as one likes."""
        while self._row < row:
            self._row += 1
            number, (level, kind, count) = run.number(self._row), self._key
            if number is None:
                self._key = (level, 1, count + 1 if kind == 1 else 0)
            else:
                is_again = kind == 0 and number == level
                self._key = (number, 0, count + 1 if is_again else 0)
        return self._key


def _since_start(run: Beginnings, row: int) -> int:
    return run.at_us(row) - run.at_us(0)
