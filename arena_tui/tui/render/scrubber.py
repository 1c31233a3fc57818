"""The scrubber: a run's events over time in dots, what is worth seeing in it, and the position."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Final

from msgspec import Struct
from textual.strip import Strip

from arena_tui.folds.density import Density
from arena_tui.services.playback.playhead import Position
from arena_tui.tui.render.braille import braille
from arena_tui.tui.render.canvas import Piece, line
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.text import clock_time, time_or_day

BEFORE: Final = 11
"""Cells before the first one of the run."""
AROUND: Final = 22
"""Cells at both ends together."""
A_CELL: Final = 2
"""Slices of a run's time in one cell: dots in two columns."""

_NEAR: Final = timedelta(seconds=5)
_MARKS: Final = {
    "turn": ("╵", "dim"), "silence": ("▴", "warn"), "hit": ("*", "accent"),
    "bookmark": ("◆", "warn"), "error": ("!", "bad"), "gap": ("┆", "bad"),
}  # fmt: skip
"""The later one hides the one before."""


class Timeline(Struct, frozen=True, kw_only=True):
    """What a scrubber shows.

    Attributes:
        density: Of the run, or the part of it that is shown; `A_CELL` slices a cell.
        position: Where one stands.
        turns: Places where turns begin, if there is room to tell them apart.
        silences: Places of the events that end long silences.
        hits: Places of what was searched for, in order.
        zoom: How many times the part fits into the run; 1: it is all of it.
        pointed: The cell that the pointer is over, from 0; None if it is elsewhere.
        pointed_turn: The turn there.
    """

    density: Density | None = None
    position: Position = Position()
    turns: Sequence[int] = ()
    silences: Sequence[int] = ()
    hits: Sequence[int] = ()
    zoom: float = 1.0
    pointed: int | None = None
    pointed_turn: int | None = None

    def place_of(self, cell: int) -> int | None:
        """The place that a cell stands for; None before anything is known."""
        if self.density is None or not self.density.places:
            return None
        return self.density.places[max(0, min(len(self.density.places) - 1, cell * A_CELL))]

    def shows(self, place: int) -> bool:
        """Whether a place lies in the part that is shown."""
        if self.density is None or self.zoom == 1.0:
            return True
        return self.density.places[0] <= place <= self.density.places[-1]


def paint_scrubber(
    timeline: Timeline, palette: Palette, width: int, height: int, zone: tzinfo | None
) -> list[Strip]:
    """`12:01:10 ▕⣀⣠⣤!⣶┆⣤◆┃⣀⡀▏ 12:06:31` and, where there are two lines, the marks below."""
    density, position = timeline.density, timeline.position
    if density is None or density.first_at is None or density.last_at is None:
        return [line([(" no events yet", palette.dim)], width, palette.dim)] * height
    first = _end(density.first_at, density.last_at, zone)
    last = _end(density.last_at, density.first_at, zone)
    dots = braille([each or None for each in density.counts], 0, max(*density.counts, 1))
    here = _here(timeline)
    marks = _marks(timeline, len(dots))
    upper: list[Piece] = [(f" {first} ▕", palette.dim)]
    lower: list[Piece] = [(f" {_zoom(timeline):>{BEFORE - 2}} ", palette.accent)]
    for cell, dot in enumerate(dots):
        kind = marks.get(cell)
        style = palette.accent if here is None or cell < here else palette.dim
        if cell == here:
            upper.append(("┃", palette.bad if kind == "gap" else palette.strong))
        elif kind == "gap" or (height == 1 and kind not in (None, "turn")):
            upper.append(_sign(kind, palette))
        else:
            upper.append((" " if dot == "\u2800" else dot, style))
        lower.append((" ", palette.dim) if kind is None else _sign(kind, palette))
    is_now = position.live and timeline.zoom == 1.0
    upper += [("▏ ", palette.dim), ("now" if is_now else last, palette.dim)]
    rows = [upper, lower][:height]
    if timeline.pointed is not None:
        rows[-1] = _with_pointer(rows[-1], timeline, palette, len(dots), zone)
    return [line(row, width, palette.dim) for row in rows]


def _end(at: datetime, other: datetime, zone: tzinfo | None) -> str:
    """`12:03:14`; `03:14.27` where the other end is that near."""
    if abs(at - other) < _NEAR:
        return f"{clock_time(at, zone)[3:]}.{at.microsecond // 10_000:02}"
    return f"{time_or_day(at, other, zone):>8}"


def _here(timeline: Timeline) -> int | None:
    """The cell of the position; None if it is not in the part that is shown."""
    density, position = timeline.density, timeline.position
    if density is None or density.first_at is None or density.last_at is None:
        return None
    ts = position.ts
    if timeline.zoom > 1.0 and ts is not None and not density.first_at <= ts <= density.last_at:
        return None
    return density.slice_of(position.at) // A_CELL


def _marks(timeline: Timeline, cells: int) -> dict[int, str]:
    """The mark of each cell that has one."""
    density = timeline.density
    assert density is not None
    found: dict[str, set[int]] = {kind: set() for kind in _MARKS}
    for kind, places in (("turn", timeline.turns), ("silence", timeline.silences)):
        seen = (place for place in places if timeline.shows(place))
        found[kind].update(density.slice_of(place) // A_CELL for place in seen)
    found["hit"].update(_cells_with(timeline.hits, density, is_part=timeline.zoom > 1.0))
    for mark in density.marks:
        found[mark.kind].add(mark.slice // A_CELL)
    found["gap"] = {each // A_CELL for each in density.missing()}
    marks: dict[int, str] = {}
    for kind in _MARKS:
        marks.update(dict.fromkeys((cell for cell in found[kind] if cell < cells), kind))
    return marks


def _cells_with(places: Sequence[int], density: Density, is_part: bool) -> Iterator[int]:
    """The cells with any of these places, which may be thousands: looked for cell by cell.

    Args:
        is_part: Whether the run goes on after the last cell.
    """
    end = density.places[-1] + max(1, density.counts[-1])
    after = len(places) if not is_part else bisect_left(places, end)
    ats = [bisect_left(places, start) for start in density.places[::A_CELL]]
    for cell, (at, until) in enumerate(pairwise([*ats, after])):
        if at < until:
            yield cell


def _sign(kind: str | None, palette: Palette) -> Piece:
    sign, style = _MARKS[kind or "turn"]
    return sign, getattr(palette, style)


def _zoom(timeline: Timeline) -> str:
    return "" if timeline.zoom == 1.0 else f"zoom {timeline.zoom:,.0f}x"[: BEFORE - 2]


def _with_pointer(
    row: list[Piece], timeline: Timeline, palette: Palette, cells: int, zone: tzinfo | None
) -> list[Piece]:
    """The line with the time and the turn under the pointer beside it, in place of what is
    there."""
    density, cell = timeline.density, timeline.pointed
    assert density is not None
    assert density.first_at is not None
    assert density.last_at is not None
    assert cell is not None
    at = density.first_at + (density.last_at - density.first_at) * (cell + 0.5) / max(1, cells)
    fine = density.last_at - density.first_at < timedelta(minutes=1)
    turn = "" if timeline.pointed_turn is None else f" turn {timeline.pointed_turn}"
    text = f" {clock_time(at, zone, tenths=fine)}{turn} "[:cells]
    start = cell + 1 if cell + 1 + len(text) <= cells else max(0, cell - len(text))
    begin = 1 + start
    return [*row[:begin], (text, palette.strong), *row[begin + len(text) :]]
