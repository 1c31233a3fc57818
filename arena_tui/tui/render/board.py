"""A board's text as styled lines: the two sides told apart, everything else as it came."""

from __future__ import annotations

import re
from functools import lru_cache

from arena_tui.tui.render.canvas import Piece
from arena_tui.tui.render.clean import clean_lines
from arena_tui.tui.render.palette import Palette

__all__ = ["board_lines", "board_size"]

_FIRST = frozenset("xX●♔♕♖♗♘♙KQRBNPb")
_SECOND = frozenset("oO○♚♛♜♝♞♟kqrnpw")
_EMPTY = frozenset("·.-+|")
_TOKEN = re.compile(r"\s+|\S+")
_LINES_MAX = 60


@lru_cache(maxsize=512)
def _lines(board: str) -> tuple[str, ...]:
    lines = clean_lines(board.rstrip(), _LINES_MAX)
    while lines and not lines[0].strip():
        del lines[0]
    return tuple(line.rstrip() for line in lines)


def board_size(board: str) -> tuple[int, int]:
    """Columns and lines the board takes."""
    lines = _lines(board)
    return max(map(len, lines), default=0), len(lines)


def board_lines(board: str, palette: Palette, width: int, height: int) -> list[list[Piece]]:
    """The board in at most `height` lines; the middle stays when the sides must go."""
    lines = list(_lines(board))
    if len(lines) > height:
        lines = lines[:height]
    return [_styled(line[:width], palette) for line in lines]


def _styled(text: str, palette: Palette) -> list[Piece]:
    """Single signs between blanks are pieces on a board; words are words."""
    pieces: list[Piece] = []
    for token in _TOKEN.findall(text):
        style = palette.text
        if len(token) == 1:
            if token in _EMPTY:
                style = palette.dim
            elif token in _FIRST:
                style = palette.first
            elif token in _SECOND:
                style = palette.second
        elif set(token) <= _EMPTY:
            style = palette.dim
        pieces.append((token, style))
    return pieces
