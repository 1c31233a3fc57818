"""The help, as lines."""

from __future__ import annotations

from rich.cells import cell_len

from arena_tui.tui.keys import KeyRow
from arena_tui.tui.render.help import LEGEND, help_lines

ROWS = [
    KeyRow(task="leave", keys=(("q",),), what="quit"),
    KeyRow(task="move", keys=(("↑", "k"), ("↓", "j")), what="up, down"),
    KeyRow(task="move", keys=(("home",),), what="the first of all events there are in the run"),
    KeyRow(task="find", keys=(("/",),), what="filter"),
]


def plain(width: int) -> list[str]:
    return [line.plain.rstrip() for line in help_lines(ROWS, width)]


def test_keys_stand_by_task_in_two_columns_below_the_legend() -> None:
    lines = plain(76)

    assert lines[lines.index("") + 1 :] == [
        "move                                   find",
        " ↑ k  ↓ j  up, down                     /  filter",
        " home      the first of all events     leave",
        "           there are in the run         q  quit",
    ]


def test_in_a_narrow_terminal_one_column_is_left() -> None:
    lines = plain(30)

    assert lines[lines.index("") + 1 :] == [
        "move",
        " ↑ k  ↓ j  up, down",
        " home      the first of all",
        "           events there are in",
        "           the run",
        "find",
        " /  filter",
        "leave",
        " q  quit",
    ]


def test_no_line_is_wider_than_the_room_and_no_sign_is_torn_from_its_meaning() -> None:
    lines = plain(76)
    legend = lines[: lines.index("")]

    assert max(map(cell_len, lines)) <= 76
    assert [each for line in legend for each in line.split("   ")] == list(LEGEND)
