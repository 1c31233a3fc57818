"""Neighbours of one look are one piece, and the line looks as before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from arena_tui.tui.render.canvas import Piece, joined

PLAIN, BOLD = Style(color="#d8dee4", bgcolor="#11151a"), Style(color="red", bold=True)
STYLES = (
    PLAIN, BOLD, PLAIN + Style(color="blue"), PLAIN + Style(underline=True),
    BOLD + Style(reverse=True), Style(strike=True), Style(overline=True), Style(underline2=True),
)  # fmt: skip

pieces_of_a_line = st.lists(st.tuples(st.sampled_from([" ", "   ", "x", "x ", "│"]),
                                      st.sampled_from(STYLES)))  # fmt: skip


def seen(pieces: list[Piece]) -> list[tuple[object, ...]]:
    """What one sees of each cell: of a blank its ground, and lines through it."""
    cells: list[tuple[object, ...]] = []
    for text, style in pieces:
        for character in text:
            lines = style.underline, style.underline2, style.strike, style.overline
            blank = (style.color if style.reverse else style.bgcolor, lines, style.reverse)
            cells.append((character, *(blank if character == " " and not any(lines) else (style,))))
    return cells


@given(pieces_of_a_line)
def test_a_line_looks_the_same_in_fewer_pieces(pieces: list[Piece]) -> None:
    assert seen(joined(pieces)) == seen(pieces)


def test_blanks_cost_no_piece_of_their_own() -> None:
    dots: list[Piece] = [(" ", PLAIN), (".", BOLD), (" ", BOLD), ("x", BOLD), (" ", BOLD)]

    assert joined(dots[1:]) == [(". x ", BOLD)]
    assert joined([(" ", PLAIN), ("x", STYLES[2]), (" ", PLAIN)]) == [(" x ", STYLES[2])]


def test_blanks_on_another_ground_stand_alone() -> None:
    pieces: list[Piece] = [(" ", PLAIN), ("x", BOLD), (" ", PLAIN)]

    assert joined(pieces) == pieces
