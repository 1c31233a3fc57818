"""A board's text as styled lines: the two sides differ in style, all else is unchanged."""

from __future__ import annotations

import re
from functools import lru_cache

from rich.cells import cell_len

from arena_tui.tui.render.canvas import Piece
from arena_tui.tui.render.clean import clean_lines, head
from arena_tui.tui.render.palette import Palette

_FIRST = frozenset("xXb●")
_SECOND = frozenset("oOw○")
_EMPTY = frozenset("·.-+|~")
_CHESS = frozenset("KQRNP")
_TOKEN = re.compile(r"\s+|\S+")
_LINES_MAX = 60
_CELLS_MIN = 3


@lru_cache(maxsize=512)
def _lines(board: str) -> tuple[str, ...]:
    lines = clean_lines(board.rstrip(), _LINES_MAX)
    while lines and not lines[0].strip():
        del lines[0]
    return tuple(line.rstrip() for line in lines)


def board_size(board: str) -> tuple[int, int]:
    """Cells and lines the board takes."""
    lines = _lines(board)
    return max(map(cell_len, lines), default=0), len(lines)


def board_lines(board: str, palette: Palette, width: int, height: int) -> list[list[Piece]]:
    """The board's first `height` lines."""
    lines = _lines(board)
    chess = _is_chess(lines)
    return [_styled(head(line, width), chess, palette) for line in lines[:height]]


def _is_chess(lines: tuple[str, ...]) -> bool:
    """Whether upper case is one side and lower case the other."""
    cells = [cell for line in lines if _is_row(line.split()) for cell in line.split()]
    return sum(cell in _CHESS for cell in cells) > 1


def _is_row(words: list[str]) -> bool:
    """Whether a line is a row of cells, perhaps after its number, so that its signs are pieces."""
    cells = words[1:] if words and words[0].isdigit() else words
    return len(cells) >= _CELLS_MIN and all(len(cell) == 1 for cell in cells)


def _styled(text: str, chess: bool, palette: Palette) -> list[Piece]:
    words = text.split()
    if not _is_row(words):
        return [(text, palette.text)]
    if words == sorted(set(words)) and (words[0] == "a" or all(word.isdigit() for word in words)):
        return [(text, palette.dim)]
    pieces: list[Piece] = []
    for token in _TOKEN.findall(text):
        style = palette.text
        if token in _EMPTY or token.isdigit():
            style = palette.dim
        elif chess and token.isalpha():
            style = palette.first if token.isupper() else palette.second
        elif token in _FIRST:
            style = palette.first
        elif token in _SECOND:
            style = palette.second
        pieces.append((token, style))
    return pieces
