"""Two runs, live or finished, with one position for both: what the screen Compare shows. Draws
nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from arena_tui.broker.protocol import Cursor
from arena_tui.folds.view import Instant
from arena_tui.services.comparing import Comparison, Progress, compared, event_at
from arena_tui.services.playback.overview import Overview, Overviews
from arena_tui.services.playback.playhead import Position
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.runtime import Runtime

_TURN_SLICES = 2
"""Into how many slices turns are read: nobody sees them here."""


class SideBySide:
    """First `open`, then `read_on`; `close` it. Use it on one event loop.

    Args:
        first, second: Ids of runs.
        at: Where to begin: a position of the first (0) or second (1) run; None: where they part.

    Attributes:
        comparison: None until it is open.
        focused: The run that is chosen: 0 or 1.
        seeking: The row up to which a difference is looked for; None: it is not.
    """

    def __init__(
        self, runtime: Runtime, first: str, second: str, at: tuple[int, Cursor] | None = None
    ) -> None:
        self.comparison: Comparison | None = None
        self.focused = 0 if at is None else 1 - at[0]
        self.seeking: int | None = None
        self._tapes = [RunTape(run_id, runtime) for run_id in (first, second)]
        self._overviews = [Overviews(tape) for tape in self._tapes]
        self._history = runtime.history
        self._at = at

    @property
    def run_id(self) -> str:
        """Of the chosen run."""
        return self._tapes[self.focused].run_id

    async def open(self) -> Comparison:
        """Find both runs.

        Raises:
            UnknownRunError: One of them is nowhere.
            UsageError: They are the same.
        """
        first, second = [await compared(tape, self._history) for tape in self._tapes]
        self.comparison = Comparison(first, second)
        return self.comparison

    def close(self) -> None:
        for tape in self._tapes:
            tape.close()

    def grow(self) -> None:
        """Take in what came of live runs meanwhile."""
        for side, tape in enumerate(self._tapes):
            if self.comparison is not None and tape.live:
                self.comparison.grow(side, tape.pump())

    async def read_on(self, progress: Progress) -> None:
        """Find the turns of both, and where they part; by time if they have no turn in common.

        Raises:
            StoreError: The store cannot be read.
        """
        comparison = self.comparison
        if comparison is None:
            return
        await comparison.read_turns(progress)
        if not comparison.alignment.shared and comparison.alignment.by == "turn":
            numbered = [run.turns.starts.numbered for run in comparison.runs]
            if all(numbered) and comparison.is_over:
                comparison.align("time")
                await comparison.read_turns(progress)
        await comparison.find_parting(progress)
        progress()

    def beginning(self) -> int | None:
        """The row to begin at, once, as soon as it is known."""
        comparison = self.comparison
        if comparison is None:
            return None
        row = comparison.parting.row
        if self._at is not None:
            side, cursor = self._at
            row = None
            if comparison.is_known:
                row = comparison.row_of_place(side, self._tapes[side].place_of(cursor))
        if row is not None:
            self._at = None
        return row

    def turn_over(self, index: int) -> int:
        """Set the runs side by side by time instead of by turn, or again by turn; returns the row
        in which what stood at `index` stands now. `read_on` goes on from there."""
        comparison = self.comparison
        if comparison is None or not 0 <= index < len(comparison.alignment):
            return 0
        row = comparison.alignment[index]
        comparison.align("time" if comparison.alignment.by == "turn" else "turn")
        side = self.focused if row[self.focused] is not None else 1 - self.focused
        return comparison.alignment.index_of(side, row[side] or 0) or 0

    async def seek(self, index: int, step: int, progress: Progress) -> int | None:
        """See `Comparison.difference`; `seeking` tells how far it is."""

        def looked(row: int) -> None:
            self.seeking = row
            progress()

        try:
            if self.comparison is None:
                return None
            return await self.comparison.difference(index, step, looked)
        finally:
            self.seeking = None

    async def event(self, index: int) -> Cursor | None:
        """The first event of the chosen run in a row; where that has none, of the last row before
        that has; None: there is none, or it is lost."""
        comparison = self.comparison
        while comparison is not None and index >= 0:
            places = comparison.places(index, self.focused)
            if places:
                return await event_at(self._tapes[self.focused], places.start)
            index -= 1
        return None

    async def instants(self, index: int) -> list[Instant | None]:
        """The state of each run at the end of a row; None of one that has nothing there."""
        comparison = self.comparison
        if comparison is None:
            return [None, None]
        places = [comparison.places(index, side) for side in (0, 1)]
        return list(await asyncio.gather(*map(_instant, self._tapes, places)))

    def position(self, index: int) -> Position:
        """Where in the chosen run a row is."""
        comparison, tape = self.comparison, self._tapes[self.focused]
        if comparison is None or not len(comparison.alignment):
            return Position(last=tape.last, live=tape.live)
        while index >= 0 and not (places := comparison.places(index, self.focused)):
            index -= 1
        if index < 0:
            return Position(last=tape.last, live=tape.live)
        turns = comparison.runs[self.focused].turns
        at_us = turns.starts.at_us(turns.starts.row_of(places.start))
        return Position(at=places.start, last=tape.last, live=tape.live, ts=_time(at_us))

    def overview(self) -> Overview | None:
        """The chosen run at a glance; None until it is read."""
        return self._overviews[self.focused].shown

    def is_overview_due(self, index: int, slices: int, now_s: float) -> bool:
        """See `Overviews.due`."""
        return self._overviews[self.focused].due(self.position(index), slices, now_s)

    async def read_overview(
        self, index: int, slices: int, monotonic: Callable[[], float], progress: Progress
    ) -> None:
        """Read the chosen run at a glance, in so many slices.

        Raises:
            StoreError: The store cannot be read.
        """
        overview = self._overviews[self.focused]
        await overview.read(self.position(index), slices, _TURN_SLICES, monotonic)
        progress()

    def turn_of(self, place: int) -> int | None:
        """The turn that a place of the chosen run lies in, if in any."""
        if self.comparison is None:
            return None
        return self.comparison.runs[self.focused].turns.starts.turn_at(place)


async def _instant(tape: RunTape, places: range) -> Instant | None:
    return (await tape.view_at(places.stop - 1)).instant() if places else None


def _time(at_us: int) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    except OverflowError:
        return None
