"""A board as styled lines: sides, marks, the last move, and what does not fit."""

from __future__ import annotations

import pytest
from rich.style import Style

from arena_tui.tui.render.board import board_part, board_size
from arena_tui.tui.render.canvas import Piece, width_of
from arena_tui.tui.render.palette import Palette

PALETTE = Palette(
    text=Style(color="color(1)"), dim=Style(color="color(2)"), strong=Style(color="color(3)"),
    first=Style(color="color(4)"), second=Style(color="color(5)"), warn=Style(color="color(6)"),
    accent=Style(color="color(7)"),
)  # fmt: skip
LAKE = "SFF\n\x1b[41mF\x1b[0mHF\nFFG"
GO = "\n".join(f"{19 - row:>2} " + " ".join("·" * 19) for row in range(19))


def texts(lines: list[list[Piece]]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def style_of(lines: list[list[Piece]], line: int, column: int) -> Style:
    """Of one cell."""
    return [style for text, style in lines[line] for _ in text][column]


def painted(board: str, **how: object) -> list[list[Piece]]:
    return board_part(board, PALETTE, 40, 20, **how).lines  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("board", "line", "column", "role"),
    [
        ("· x o\n· · ·", 0, 2, "first"),
        ("· x o\n· · ·", 0, 4, "second"),
        ("· · x │ o · ·\nx     │\n      │ o", 1, 0, "first"),
        ("· · x │ o · ·\nx     │\n      │ o", 2, 8, "second"),
        ("2 4 8 2\n2 2 4 4", 0, 0, "text"),
        ("2 4 8 2\n0 16 4 8", 1, 0, "text"),
        ("8 r n b\n7 R N B", 0, 0, "dim"),
        ("8 r n b\n7 R N B", 1, 2, "first"),
        ("· · x\n0 1 2", 1, 0, "dim"),
        ("0 1 2\n· · x", 0, 4, "dim"),
        ("· 7 x\n· · ·", 0, 2, "text"),
    ],
)
def test_pieces_have_the_colour_of_their_side_and_numbers_that_of_what_they_are(
    board: str, line: int, column: int, role: str
) -> None:
    assert style_of(painted(board), line, column) == getattr(PALETTE, role)


def test_a_cell_that_stands_out_by_its_ground_is_reversed_without_the_colour() -> None:
    lines = painted(LAKE)

    assert texts(lines) == ["SFF", "FHF", "FFG"]
    assert style_of(lines, 1, 0) == PALETTE.text + Style(bold=True, reverse=True)
    assert style_of(lines, 1, 1) == PALETTE.text


def test_a_blank_cell_that_stands_out_has_a_sign() -> None:
    assert texts(painted("|R:\x1b[43m \x1b[0m|\n|G: |")) == ["|R:■|", "|G: |"]


def test_a_coloured_cell_is_underlined_too() -> None:
    lines = painted("|\x1b[35mG\x1b[0m: |")

    assert style_of(lines, 0, 1) == PALETTE.second + Style(underline=True)


@pytest.mark.parametrize(
    ("fresh", "mark"),
    [(True, Style(bold=True, reverse=True)), (False, Style(bold=True, underline=True))],
)
def test_the_last_move_is_bright_while_it_is_fresh_and_stays_marked(
    fresh: bool, mark: Style
) -> None:
    lines = painted("· x o\n· x ·", before="· x o\n· · ·", fresh=fresh)

    assert style_of(lines, 1, 2) == PALETTE.first + mark
    assert style_of(lines, 0, 2) == PALETTE.first


def test_a_piece_that_left_the_end_of_a_line_leaves_a_mark() -> None:
    lines = painted("· x\n· · x\n· · ·", before="· x o\n· · x\n· · ·")

    assert style_of(lines, 0, 4).underline


def test_the_end_of_a_long_text_is_shown_and_how_much_is_above_it() -> None:
    board = "\n".join(f"line {number}" for number in range(30))

    part = board_part(board, PALETTE, 40, 2)

    assert (part.beyond, texts(part.lines)) == ("↑ 28 more lines", ["line 28", "line 29"])
    assert board_size(board) == (7, 30)
    assert board_size("word\n" * 1_000) == (4, 401)


def test_a_line_that_is_cut_ends_with_an_ellipsis() -> None:
    (line,) = board_part("漢字漢字漢字", PALETTE, 8, 1).lines

    assert (texts([line]), width_of(line)) == (["漢字漢…"], 7)
    assert texts(board_part("· · x", PALETTE, 5, 1).lines) == ["· · x"]
    assert texts(board_part("· · x", PALETTE, 4, 1).lines) == ["· ·…"]


def test_a_part_of_a_board_says_what_is_beyond_it() -> None:
    part = board_part(GO, PALETTE, 20, 10)

    assert part.beyond == "↑9 →20"
    assert len(part.lines) == 10
    assert texts(part.lines)[0].startswith("10 · ·")


def test_a_board_is_scrolled_to_its_edges_and_no_further() -> None:
    part = board_part(GO, PALETTE, 20, 10, up=100, left=100)

    assert (part.above, part.below, part.left, part.right) == (0, 9, 20, 0)
    assert texts(part.lines)[0] == " ".join("·" * 10).rjust(20)
    assert all(width_of(line) <= 20 for line in part.lines)


def test_cells_are_wide_where_all_of_the_board_has_room() -> None:
    def first(width: int) -> str:
        part = board_part("· x o\n· · ·", PALETTE, width, 5, roomy=True, before="· · o\n· · ·")
        assert sum(style.underline or False for _, style in part.lines[0]) == 1
        return texts(part.lines)[0]

    assert first(7) == "·  x  o"
    assert first(6) == "· x o"


def test_players_have_four_colours() -> None:
    styles = [Palette(third=Style(color="color(8)")).player(index) for index in range(6)]

    assert styles[2] == Style(color="color(8)")
    assert styles[4:] == [Style(), Style()]
