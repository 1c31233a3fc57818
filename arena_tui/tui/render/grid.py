"""A board's text as lines of cells: which are rows, what stands out, what changed. No styles."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from msgspec import Struct

from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.sgr import NONE, Emphasis, emphasised

_LINES_MAX: Final = 400
_LINE_MAX: Final = 400
_TAIL: Final = 16_000
"""Characters of a text that are looked at, its newest; a board stands at its end."""
_CELLS_MIN: Final = 3
_CHESS: Final = frozenset("KQRNP")
_DRAWN_RULES: Final = "─━═"
_RULES: Final = _DRAWN_RULES + "-="
"""In a line with corners; elsewhere these may be empty cells."""
_BLOCK_MIN: Final = 3
_FRAMES: Final = "│┌├└"
_WORD: Final = re.compile(r"\w\w")
"""In a frame, a cell of more than one character."""

Places: TypeAlias = frozenset[tuple[int, int]]
"""Cells, each by its line and character."""


class Grid(Struct, frozen=True, kw_only=True):
    """What a board's text is made of.

    Attributes:
        lines: Clean, without blanks at their ends.
        spans: What stands out: line, first character, the one after the last, and how.
        rows: Lines that are rows of cells with blanks between them.
        blocks: Lines of one length, several after each other, one character a cell.
        is_chess: Whether upper case is one side and lower case the other.
        above: How many more lines the text has above these.
    """

    lines: tuple[str, ...]
    spans: tuple[tuple[int, int, int, Emphasis], ...]
    rows: frozenset[int]
    blocks: frozenset[int]
    is_chess: bool
    above: int

    @property
    def columns(self) -> int:
        """Characters of the longest line."""
        return max(map(len, self.lines), default=0)


def is_row(words: Sequence[str]) -> bool:
    """Whether a line is a row of cells, perhaps after its number, so that its signs are pieces."""
    cells = words[1:] if words and words[0].isdigit() else words
    return len(words) >= _CELLS_MIN and all(len(cell) == 1 for cell in cells)


def read_grid(board: str) -> Grid:
    """The grid of a text; of a long one, of its end."""
    end = len(board.rstrip())
    start = max(0, end - _TAIL)
    if start:
        start = board.find("\n", start, end) + 1 or start
    return _read(board[start:end], board.count("\n", 0, start))


def wide(grid: Grid) -> Grid:
    """The same with a blank after each cell, where its rows allow it."""
    after = _stretched(grid)
    if not after:
        return grid
    inside = range(min(grid.rows | grid.blocks), max(grid.rows | grid.blocks) + 1)
    lines = [_stretch(line, after) if index in inside else line
             for index, line in enumerate(grid.lines)]  # fmt: skip
    spans = [
        (line, first + bisect_left(after, first), end + bisect_left(after, end - 1), emphasis)
        if line in inside else (line, first, end, emphasis)
        for line, first, end, emphasis in grid.spans
    ]  # fmt: skip
    return Grid(lines=tuple(lines), spans=tuple(spans), rows=grid.rows, blocks=grid.blocks,
                is_chess=grid.is_chess, above=grid.above)  # fmt: skip


def moved(grid: Grid, cells: Places) -> Places:
    """Where the cells of a grid are in `wide` of it."""
    after = _stretched(grid)
    return frozenset((line, column + bisect_left(after, column)) for line, column in cells)


@lru_cache(maxsize=256)
def changed(grid: Grid, before: Grid) -> Places:
    """The cells that differ from those of a grid of the same shape; none if most of them do."""
    if len(grid.lines) != len(before.lines):
        return frozenset()
    found: set[tuple[int, int]] = set()
    cells = 0
    for index in (grid.rows & before.rows) | (grid.blocks & before.blocks):
        new, old = grid.lines[index], before.lines[index]
        if index in grid.blocks and len(new) != len(old):
            return frozenset()
        width = max(len(new), len(old))
        pairs = enumerate(zip(new.ljust(width), old.ljust(width), strict=True))
        found.update((index, column) for column, (now, was) in pairs if now != was)
        cells += len(new.replace(" ", ""))
    return frozenset(found) if 2 * len(found) <= cells else frozenset()


@lru_cache(maxsize=256)
def _read(text: str, above: int) -> Grid:
    lines, spans = _cleaned(text)
    empty = next((index for index, line in enumerate(lines) if line), len(lines))
    dropped = max(empty, len(lines) - _LINES_MAX)
    above += dropped if dropped > empty or above else 0
    lines = lines[dropped:]
    spans = [(line - dropped, *rest) for line, *rest in spans if line >= dropped]  # type: ignore[misc]
    words = [line.split() for line in lines]
    rows = _rows(words)
    cells = [cell for index in rows for cell in words[index]]
    return Grid(
        lines=tuple(lines), spans=tuple(spans), rows=rows, blocks=_blocks(lines) - rows,
        is_chess=sum(cell in _CHESS for cell in cells) > 1, above=above,
    )  # fmt: skip


def _cleaned(text: str) -> tuple[list[str], list[tuple[int, int, int, Emphasis]]]:
    lines: list[str] = []
    spans: list[tuple[int, int, int, Emphasis]] = []
    emphasis = NONE
    for index, raw in enumerate(text.expandtabs(4).replace("\r\n", "\n").split("\n")):
        if "\x1b" not in raw and emphasis is NONE:
            lines.append(clean(raw, _LINE_MAX).rstrip())
            continue
        line = ""
        for piece, emphasis in emphasised(raw, emphasis):  # noqa: B020 - it goes on in the next line
            shown = clean(piece, max(1, _LINE_MAX - len(line))) if piece else ""
            if shown and emphasis != NONE:
                spans.append((index, len(line), len(line) + len(shown), emphasis))
            line += shown
        is_marked = bool(spans) and spans[-1][0] == index
        lines.append(line if is_marked else line.rstrip())
    return lines, spans


def _rows(words: Sequence[Sequence[str]]) -> frozenset[int]:
    """Rows, and lines of few cells among them."""
    rows = {index for index, each in enumerate(words) if is_row(each)}
    for order in (range(len(words)), reversed(range(len(words)))):
        for index in order:
            few = bool(words[index]) and all(len(word) == 1 for word in words[index])
            if few and ({index - 1, index + 1} & rows):
                rows.add(index)
    return frozenset(rows)


def _blocks(lines: Sequence[str]) -> frozenset[int]:
    """Lines that are framed, or have no blank, with others of the same length."""
    found: set[int] = set()
    start = 0
    for index in range(1, len(lines) + 1):
        if index == len(lines) or len(lines[index]) != len(lines[start]):
            block = lines[start:index]
            if (
                len(block) >= _BLOCK_MIN
                and len(block[0]) >= _CELLS_MIN
                and all(map(_is_dense, block))
            ):
                found.update(range(start, index))
            start = index
    return frozenset(found)


def _is_dense(line: str) -> bool:
    return " " not in line or not (line[0].isalnum() or line[-1].isalnum())


@lru_cache(maxsize=256)
def _stretched(grid: Grid) -> tuple[int, ...]:
    """The characters of a line that `wide` has a blank after; none where there is no room for one,
    or where a line between the rows is neither a row nor a rule."""
    cells = grid.rows | grid.blocks
    if not cells:
        return ()
    between = [grid.lines[index] for index in range(min(cells), max(cells)) if index not in cells]
    if any(line.strip(" │┼┬┴├┤─━═-=+|") for line in between):
        return ()
    dense = [grid.lines[index] for index in grid.blocks]
    if any(_WORD.search(line) for line in dense if " " in line or line[0] in _FRAMES):
        return ()
    if not grid.rows:
        return tuple(range(max(len(grid.lines[index]) for index in cells) - 1))
    used = {column for index in grid.rows for column in _used(grid.lines[index])}
    last = max(used)
    return tuple(sorted(column for column in used if column + 1 not in used and column < last))


def _used(line: str) -> Iterator[int]:
    return (column for column, char in enumerate(line) if char != " ")


def _stretch(line: str, after: Sequence[int]) -> str:
    rules = _RULES if "+" in line else _DRAWN_RULES
    places = set(after)
    stretched = ""
    for column, char in enumerate(line):
        stretched += char
        if column in places:
            beside = (char, line[column + 1 : column + 2])
            stretched += next((each for each in beside if each and each in rules), " ")
    return stretched.rstrip()
