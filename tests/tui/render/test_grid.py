"""A board's text as cells: rows, what stands out, what changed, and the same with more room."""

from __future__ import annotations

import pytest

from arena_tui.tui.render.grid import changed, moved, read_grid, wide

CHESS = "8 r n b\n7 · · ·\n6 R N B\n  a b c"
LAKE = "SFF\nFHF\nFFG"
HEX = "  a b\n1 · x\n 2 · ·"
TILES = "┌────┬────┐\n│ 2  │ 16 │\n├────┼────┤\n│ 4  │    │\n└────┴────┘"
SPARSE = "x · ·\n│ o\nx\n│\n· o ·"
SMALL = "· · x │ o · ·\n──────┼──────\n· · · │ · · ·"
NOTED = f"Turn 7\n\n{CHESS}\nin hand Q"


@pytest.mark.parametrize(
    ("board", "rows"),
    [
        (CHESS, {0, 1, 2, 3}),
        (NOTED, {2, 3, 4, 5}),
        (SPARSE, {0, 1, 2, 3, 4}),
        ("I\nsee\n4 walls", set()),
        (SMALL, {0, 2}),
        ("2 4 8 2\n0 16 4 8\n2 2 4 4", {0, 2}),
    ],
)
def test_rows_are_lines_of_single_signs_and_the_sparse_ones_among_them(
    board: str, rows: set[int]
) -> None:
    assert read_grid(board).rows == rows


@pytest.mark.parametrize(
    ("board", "lines"),
    [
        (CHESS, ["8  r  n  b", "7  ·  ·  ·", "6  R  N  B", "   a  b  c"]),
        (LAKE, ["S F F", "F H F", "F F G"]),
        (SMALL, ["·  ·  x  │  o  ·  ·", "─────────┼─────────", "·  ·  ·  │  ·  ·  ·"]),
        ("+---+\n|R: |\n+---+", ["+-------+", "| R :   |", "+-------+"]),
        (HEX, HEX.splitlines()),
        (TILES, TILES.splitlines()),
        ("p0  J\np1  K\np2  Q", ["p0  J", "p1  K", "p2  Q"]),
        ("x--\n---\n--o", ["x - -", "- - -", "- - o"]),
        ("a wall\na door", ["a wall", "a door"]),
    ],
)
def test_a_wide_board_has_a_blank_after_each_cell_and_keeps_its_columns(
    board: str, lines: list[str]
) -> None:
    assert list(wide(read_grid(board)).lines) == lines


def test_notes_around_a_wide_board_stay_as_they_are() -> None:
    lines = wide(read_grid(NOTED)).lines

    assert (lines[0], lines[2], lines[-1]) == ("Turn 7", "8  r  n  b", "in hand Q")


@pytest.mark.parametrize(
    ("before", "now", "cells"),
    [
        (CHESS, CHESS.replace("· · ·", "· N ·"), {(1, 4)}),
        (LAKE, "SFF\nFHF\nFFx", {(2, 2)}),
        (CHESS, CHESS, set()),
        (LAKE, "FSH\nHSG\nxxx", set()),
        (CHESS, CHESS + "\n· · ·", set()),
        (NOTED, NOTED.replace("Turn 7", "Turn 8"), set()),
        ("o\n· · x\n· · ·", "·\n· · x\n· · ·", {(0, 0)}),
    ],
)
def test_cells_that_changed_are_found_unless_all_is_different(
    before: str, now: str, cells: set[tuple[int, int]]
) -> None:
    assert changed(read_grid(now), read_grid(before)) == cells


def test_a_changed_cell_is_found_again_in_the_wide_board() -> None:
    grid = read_grid(CHESS.replace("· · ·", "· N ·"))
    ((line, column),) = moved(grid, changed(grid, read_grid(CHESS)))

    assert wide(grid).lines[line][column] == "N"


def test_only_the_end_of_a_long_text_is_read() -> None:
    grid = read_grid("line of a transcript\n" * 10_000 + CHESS)

    assert grid.lines[-4:] == tuple(CHESS.splitlines())
    assert grid.above + len(grid.lines) == 10_004


def test_what_stands_out_is_known_by_its_place_and_moves_with_the_wide_board() -> None:
    grid = read_grid("SFF\n\x1b[41mF\x1b[0mHF\nFFG")
    ((line, first, end, emphasis),) = wide(grid).spans

    assert (line, first, end, emphasis.ground) == (1, 0, 1, True)
    assert wide(grid).lines == ("S F F", "F H F", "F F G")
