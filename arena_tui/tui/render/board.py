"""A board's text as styled lines: the sides differ in style, and the last move is marked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

from msgspec import Struct
from rich.cells import cell_len
from rich.style import Style

from arena_tui.tui.render.canvas import Piece, joined, width_of
from arena_tui.tui.render.grid import Grid, Places, changed, moved, read_grid, wide
from arena_tui.tui.render.palette import Palette

_FIRST: Final = frozenset("xXb●")
_SECOND: Final = frozenset("oOw○")
_EMPTY: Final = frozenset("·.-+|~│")
_TOKEN: Final = re.compile(r"\s+|\S+")
_ROWS_KEPT: Final = 4_096
"""Most rows of a board are as they were before the last move."""
_COLOURED: Final = Style(underline=True)
_BRIGHT: Final = Style(bold=True, reverse=True)
_QUIET: Final = Style(bold=True, underline=True)
_BLANK_SIGN: Final = "■"
"""A blank cell that stands out by its ground only: it is seen in any copy of the text, too."""


class Shown(Struct, frozen=True, kw_only=True):
    """A part of a board, and what is beyond it.

    Attributes:
        lines: At most as many, and as wide, as there is room for.
        above, below: Lines that are not shown; left, right: columns.
    """

    lines: list[list[Piece]]
    above: int
    below: int
    left: int
    right: int

    @property
    def beyond(self) -> str:
        """`→ 5 more columns`, or `↑12 →5` on several sides; empty when all is shown."""
        sides = (("↑", self.above, "line"), ("↓", self.below, "line"),
                 ("←", self.left, "column"), ("→", self.right, "column"))  # fmt: skip
        told = [side for side in sides if side[1]]
        if len(told) == 1:
            ((sign, count, noun),) = told
            return f"{sign} {count:,} more {noun}{'' if count == 1 else 's'}"
        return " ".join(f"{sign}{count:,}" for sign, count, _ in told)


def board_size(board: str) -> tuple[int, int]:
    """Columns and lines the board takes; with one for the mark that more is above."""
    grid = read_grid(board)
    return max(map(cell_len, grid.lines), default=0), len(grid.lines) + (grid.above > 0)


def board_part(
    board: str, palette: Palette, width: int, height: int, *, before: str = "",
    fresh: bool = False, up: int = 0, left: int = 0, roomy: bool = False,
) -> Shown:  # fmt: skip
    """What of a board fits, scrolled `up` from its end and `left` columns.

    Args:
        before: The board before the last move, whose cells are marked.
        fresh: Whether that was just now, so that the mark is bright.
        roomy: Whether cells are two wide, if all of it fits then.
    """
    grid = read_grid(board)
    move = _move(grid, before)
    if roomy and (stretched := wide(grid)).columns <= width:
        grid, move = stretched, moved(grid, move)
    columns = max(map(cell_len, grid.lines), default=0)
    last = max(min(height, len(grid.lines)), len(grid.lines) - max(0, up))
    first = max(0, last - height)
    left = max(0, min(left, columns - width))
    lines = [_styled(grid, index, move, fresh, palette) for index in range(first, last)]
    if left or columns > width:
        lines = [_cut(row, left + width, left) for row in lines]
    return Shown(lines=lines, above=grid.above + first, below=len(grid.lines) - last,
                 left=left, right=max(0, columns - left - width))  # fmt: skip


def rulers(board: str) -> int:
    """How many of the board's last lines only name its columns: none or one."""
    grid = read_grid(board)
    last = len(grid.lines) - 1
    if last not in grid.rows:
        return 0
    return int(_is_ruler(grid.lines[last].split(), _is_at_end(grid, last)))


def _move(grid: Grid, before: str) -> Places:
    return changed(grid, read_grid(before)) if before else frozenset()


def _styled(grid: Grid, index: int, move: Places, fresh: bool, palette: Palette) -> list[Piece]:
    pieces = _sides(grid, index, palette)
    spans = [span for span in grid.spans if span[0] == index]
    cells = {column for line, column in move if line == index}
    if not spans and not cells:
        return pieces
    chars = [(char, style) for text, style in pieces for char in text]
    chars += [(" ", palette.text)] * (max(cells, default=-1) + 1 - len(chars))
    for _, first, end, emphasis in spans:
        for column in range(first, min(end, len(chars))):
            char, style = chars[column]
            if emphasis.role:
                style = getattr(palette, emphasis.role) + _COLOURED
            if emphasis.bold:
                style += Style(bold=True)
            if emphasis.ground and char == " ":
                char, style = _BLANK_SIGN, palette.strong
            elif emphasis.ground:
                style += _BRIGHT
            chars[column] = char, style
    for column in cells:
        char, style = chars[column]
        chars[column] = char, style + (_BRIGHT if fresh else _QUIET)
    return joined(chars)


def _sides(grid: Grid, index: int, palette: Palette) -> list[Piece]:
    """The line with its pieces in the style of their side."""
    text = grid.lines[index]
    if index not in grid.rows:
        return [(text, palette.text)]
    roles = _roles(text, _is_at_end(grid, index), grid.is_chess)
    return [(token, getattr(palette, role)) for token, role in roles]


@lru_cache(maxsize=_ROWS_KEPT)
def _roles(text: str, is_at_end: bool, is_chess: bool) -> Sequence[tuple[str, str]]:
    """The parts of a row of cells, and what they are painted as."""
    words = text.split()
    if _is_ruler(words, is_at_end):
        return ((text, "dim"),)
    roles: list[tuple[str, str]] = []
    label = words[0] if not all(word.isdigit() for word in words) else None
    for token in _TOKEN.findall(text):
        role = "text"
        if token in _EMPTY or (token == label and token.isdigit()):
            role = "dim"
        elif is_chess and token.isalpha():
            role = "first" if token.isupper() else "second"
        elif token in _FIRST:
            role = "first"
        elif token in _SECOND:
            role = "second"
        if not token.isspace():
            label = None
        roles.append((token, role))
    return tuple(roles)


def _is_at_end(grid: Grid, index: int) -> bool:
    return index in (min(grid.rows), max(grid.rows))


def _is_ruler(words: list[str], is_at_end: bool) -> bool:
    """Whether a row of cells names the columns: by letters from `a`, or by ascending digits at an
    end of the rows, each one more than the one before."""
    if words != sorted(set(words)):
        return False
    if words[0] == "a":
        return True
    counts = all(word.isdigit() for word in words) and all(
        (int(after) - int(before)) % 10 == 1 for before, after in pairwise(words)
    )
    return counts and is_at_end


def _cut(pieces: list[Piece], end: int, first: int = 0) -> list[Piece]:
    """The pieces' columns from `first` to before `end`; `…` where something is cut at the end."""
    is_cut = width_of(pieces) > end
    if not (is_cut or first):
        return pieces
    shown: list[Piece] = []
    at = 0
    for text, style in pieces:
        kept = ""
        for char in text:
            cells = cell_len(char)
            if is_cut and at + cells >= end:
                return [*shown, (kept + "…", style)] if at >= first else [("…", style)]
            kept += char if at >= first else ""
            at += cells
        if kept:
            shown.append((kept, style))
    return shown
