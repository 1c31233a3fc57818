"""A whole run at a glance, or a part of its time: when it is to be read, and what was. Draws
nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from arena_tui.folds.density import Density, Within
from arena_tui.folds.series import Series
from arena_tui.services.playback.playhead import Position
from arena_tui.services.playback.tape import RunTape

ZOOM: Final = 4.0
"""Times as much is seen of a part as before with one step."""

_LEAST: Final = timedelta(milliseconds=10)
_SILENCE_S: Final = 30.0
"""What is marked as a long silence: models as a rule answer sooner."""
_SILENCES_MAX: Final = 200
_EVERY_S: Final = 1.0
_REST: Final = 4.0
"""Times as long as reading took, a live run is not read again."""


class Overview(NamedTuple):
    """A run's events over time; a figure of each agent over its turns, if any; the places of all
    its bookmarks, and of the events that end long silences."""

    density: Density
    series: Series | None
    bookmarks: frozenset[int]
    silences: tuple[int, ...]


class Overviews:
    """The overview of one run. While it is `due`, `read` it, which may be cancelled.

    Attributes:
        shown: What was read last; None before.
        part: The part of the run's time that is to be shown; None: all of it.
    """

    def __init__(self, tape: RunTape) -> None:
        self.shown: Overview | None = None
        self.part: Within | None = None
        self._tape = tape
        self._whole: Within | None = None
        self._series_of: tuple[int, bool, int] | None = None
        self._read_of: tuple[tuple[int, bool], int, Within | None] | None = None
        self._due_at_s = 0.0
        self._reading = 0

    @property
    def zoom(self) -> float:
        """How many times the part fits into the whole; 1 without one."""
        if self.part is None or self._whole is None:
            return 1.0
        part, whole = self.part, self._whole
        return (whole.last_at - whole.first_at) / (part.last_at - part.first_at)

    def due(self, position: Position, slices: int, now_s: float) -> bool:
        """Whether to read it, in so many slices: something has changed, or, of a live run, some
        time ago; `now_s` is of a monotonic clock, in seconds."""
        reach = position.last, position.live
        if not position.last or (reach, slices, self.part) == self._read_of:
            return False
        if self._read_of is None or (slices, self.part) != self._read_of[1:]:
            return True
        return not self._reading and (not position.live or now_s >= self._due_at_s)

    async def read(
        self, position: Position, slices: int, turn_slices: int, monotonic: Callable[[], float],
        progress: Callable[[Overview], None] = lambda _: None,
    ) -> Overview:  # fmt: skip
        """Read it anew: so many slices of time, and at most so many of the run's turns.

        Args:
            progress: Given what was read so far; the density comes first.

        Raises:
            StoreError: The store cannot be read.
        """
        reach, began_s, part = (position.last, position.live), monotonic(), self.part
        self._read_of = mine = reach, slices, part
        self._due_at_s = began_s + _EVERY_S
        self._reading += 1
        try:
            density = await self._tape.density(slices, part)
            series = None if self.shown is None else self.shown.series
            silences = () if self.shown is None else self.shown.silences
            bookmarks = frozenset(await self._tape.bookmarks())
            if part is None and density.first_at is not None and density.last_at is not None:
                self._whole = Within(density.first_at, density.last_at)
            self.shown = Overview(density, series, bookmarks, silences)
            progress(self.shown)
            if self._series_of != (*reach, turn_slices):
                series = await self._tape.series(turn_slices)
                silences = tuple(await self._tape.seek.silences(_SILENCE_S, _SILENCES_MAX))
                self._series_of = *reach, turn_slices
        except asyncio.CancelledError:
            if self._read_of == mine:
                self._read_of = None
            raise
        finally:
            self._reading -= 1
        self._due_at_s = began_s + max(_EVERY_S, _REST * (monotonic() - began_s))
        self.shown = Overview(density, series, bookmarks, silences)
        return self.shown

    def mark_anew(self) -> None:
        """Read it again, as its marks have changed."""
        self._read_of = None

    def time_of(self, position: Position) -> datetime | None:
        """The time of a position, about, also while its event is still to be read."""
        if position.ts is not None or self.shown is None:
            return position.ts
        density = self.shown.density
        if density.first_at is None or density.last_at is None:
            return None
        share = density.slice_of(position.at) / len(density.counts)
        return density.first_at + (density.last_at - density.first_at) * share

    def zoom_by(self, factor: float, at: datetime) -> None:
        """Show a part that many times shorter, or longer below 1, around a time."""
        if (whole := self._whole) is None:
            return
        part = (self.part or whole).zoomed(factor, at)
        if part.last_at - part.first_at >= whole.last_at - whole.first_at:
            self.part = None
        elif part.last_at - part.first_at >= _LEAST:
            self.part = part.inside(whole)

    def follow(self, at: datetime | None) -> None:
        """Move the part to where the position is now, if it has left it."""
        part, whole = self.part, self._whole
        if at is None or part is None or whole is None or part.first_at <= at <= part.last_at:
            return
        self._whole = whole = Within(min(whole.first_at, at), max(whole.last_at, at))
        half = (part.last_at - part.first_at) / 2
        self.part = Within(at - half, at + half).inside(whole)
