"""A table's columns, its header and its rows as strips. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from msgspec import Struct
from rich.style import Style
from textual.strip import Strip

from arena_tui.tui.render.canvas import Piece, fitted, line
from arena_tui.tui.render.clean import fit
from arena_tui.tui.render.palette import Palette

Cell: TypeAlias = tuple[str, str]
"""Clean text, and the name of the palette's style for it."""


class Marked(NamedTuple):
    """A cell of which a part stands out: the characters from `start` to before `end`."""

    text: str
    style: str
    start: int
    end: int


class Column(Struct, frozen=True, kw_only=True):
    """One column.

    Attributes:
        width: In cells; 0 takes what the others leave.
        right: Whether the cells are right-aligned.
        falls: Whether sorting by it begins with the largest.
        least: The column is left out of tables narrower than this.
    """

    name: str
    key: str
    width: int
    right: bool = False
    falls: bool = False
    least: int = 0


def layout(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """The columns that have room at this width, and how many cells each has."""
    shown = [column for column in columns if width >= column.least]
    spare = width - sum(column.width + 1 for column in shown if column.width)
    flexible = [column for column in shown if not column.width]
    each = max(6, spare // max(1, len(flexible)) - 1)
    return [(column, column.width or each) for column in shown]


def paint_header(
    columns: Sequence[tuple[Column, int]],
    sorted_by: tuple[str, bool] | None,
    palette: Palette,
    width: int,
) -> Strip:
    """The names of the columns; `sorted_by` is a column's key, and whether descending."""
    pieces: list[Piece] = []
    for column, cells in columns:
        name, style = column.name, palette.dim
        if sorted_by is not None and sorted_by[0] == column.key:
            name += "▼" if sorted_by[1] else "▲"
            style = palette.accent
        pieces += [(fit(name, cells, column.right), style), (" ", palette.dim)]
    return line(pieces, width, palette.dim)


def paint_row(
    columns: Sequence[tuple[Column, int]],
    cells: Sequence[Cell | Marked] | None,
    marked: bool,
    palette: Palette,
    width: int,
) -> Strip:
    """One row, `marked` if the cursor is on it; `cells` are those of the columns, or not known."""
    fill = palette.selected if marked else palette.text
    if cells is None:
        return line([(" …", palette.dim)], width, fill)
    pieces: list[Piece] = []
    for (column, room), cell in zip(columns, cells, strict=True):
        style: Style = getattr(palette, cell[1])
        style = style + fill if marked else style
        if isinstance(cell, Marked):
            pieces += fitted(_parts(cell, style, palette), room, style)
        else:
            pieces.append((fit(cell[0], room, column.right), style))
        pieces.append((" ", fill))
    return line(pieces, width, fill)


def _parts(cell: Marked, style: Style, palette: Palette) -> list[Piece]:
    stands_out = style + Style(color=palette.accent.color, bold=True, underline=True)
    start, end = cell.start, cell.end
    return [
        (cell.text[:start], style), (cell.text[start:end], stands_out), (cell.text[end:], style)
    ]  # fmt: skip
