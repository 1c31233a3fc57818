"""Lines of styled pieces, fitted to a width: the primitives of every painter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

Piece: TypeAlias = tuple[str, Style]
"""Clean text and its style."""


def width_of(pieces: Iterable[Piece]) -> int:
    """Cells the pieces take."""
    return sum(cell_len(text) for text, _ in pieces)


def line(pieces: Iterable[Piece], width: int, fill: Style) -> Strip:
    """A strip of exactly `width` cells: truncated, or padded with `fill`."""
    return strip(fitted(pieces, width, fill), width)


def strip(pieces: Iterable[Piece], width: int) -> Strip:
    """A strip of pieces that take exactly `width` cells."""
    return Strip([Segment(text, style) for text, style in pieces], width)


def fitted(pieces: Iterable[Piece], width: int, fill: Style) -> list[Piece]:
    """Pieces of exactly `width` cells: truncated, or padded with `fill`; neighbours of one style
    are joined."""
    runs: list[Piece] = []
    room = width
    for text, style in pieces:
        cells = len(text) if text.isascii() else cell_len(text)
        if cells > room:
            text, cells = set_cell_size(text, room), room  # noqa: PLW2901
        if not cells:
            continue
        if runs and runs[-1][1] is style:
            runs[-1] = (runs[-1][0] + text, style)
        else:
            runs.append((text, style))
        room -= cells
    if room:
        runs.append((" " * room, fill))
    return runs


def between(left: list[Piece], right: list[Piece], width: int, fill: Style) -> list[Piece]:
    """Left pieces, then a gap, then right ones ending at `width`; the right ones are never cut."""
    room = width - width_of(right)
    if room <= 0:
        return right
    kept: list[Piece] = []
    for text, style in left:
        cells = cell_len(text)
        if cells > room:
            kept.append((set_cell_size(text, max(0, room - 1)) + "…" if room else "", style))
            room = 0
            break
        kept.append((text, style))
        room -= cells
    return [*kept, (" " * room, fill), *right]
