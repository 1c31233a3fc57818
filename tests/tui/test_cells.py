"""What is sent of a screen that changes: all that changed, and little else."""

from __future__ import annotations

import pyte
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.tui.cells import Cells

ROWS, COLUMNS = 4, 12
ALL = 1_000_000

DRAWINGS = st.lists(
    st.tuples(
        st.integers(1, ROWS), st.integers(1, 4), st.sampled_from(["", "1", "38;5;9", "7;31"]),
        st.sampled_from(["a", "abcd", "    ", "─│█", "x─"]),
    ),
    max_size=12,
)  # fmt: skip


def drawn(row: int, column: int, style: str, text: str) -> str:
    """As Textual writes it."""
    styled = f"\x1b[{style}m{text}\x1b[0m" if style else text
    return f"\x1b[{row};{column}H{styled}\n\x1b[1;1H"


def shown(*sent: str) -> list[object]:
    """Every cell of a terminal that was sent this, with its looks."""
    screen = pyte.Screen(COLUMNS, ROWS + 1)  # a line feed on the last would scroll
    stream = pyte.Stream(screen)
    for each in sent:
        stream.feed(each)
    return [screen.buffer[row][column] for row in range(ROWS) for column in range(COLUMNS)]


@given(DRAWINGS, DRAWINGS)
def test_the_differences_make_the_screen_that_was_drawn(
    first: list[tuple[int, int, str, str]], second: list[tuple[int, int, str, str]]
) -> None:
    cells = Cells()
    whole = ["".join(drawn(*each) for each in some) for some in (first, second)]

    sent = []
    for each in whole:
        cells.draw(each)
        sent.append(cells.changes(ALL))

    assert shown(*sent) == shown(*whole)


def test_a_row_with_wide_characters_is_sent_whole() -> None:
    cells = Cells()
    cells.draw(drawn(1, 1, "1", "中文 a"))
    before = cells.changes(ALL)
    cells.draw(drawn(1, 1, "1", "中文 b"))
    after = cells.changes(ALL)

    assert "中文 b" in after
    assert shown(before, after) == shown(drawn(1, 1, "1", "中文 b"))


def test_what_stands_there_already_is_not_sent_again() -> None:
    cells = Cells()
    cells.draw(drawn(2, 1, "1", "turn 17"))
    cells.changes(ALL)
    cells.draw(drawn(2, 1, "1", "turn 17"))
    nothing = cells.changes(ALL)
    cells.draw(drawn(2, 1, "1", "turn 18"))

    assert nothing == ""
    assert cells.changes(ALL) == "\x1b[2;7H\x1b[0;1m8\x1b[m\x1b[1;1H"


def test_rows_drawn_last_are_sent_first() -> None:
    cells = Cells()
    cells.draw("".join(drawn(row, 1, "", f"row {row}") for row in (1, 2, 3)))
    cells.draw(drawn(2, 1, "", "key 2"))

    pieces = [cells.changes(1) for _ in range(4)]

    assert ["key 2" in pieces[0], "row 1" in pieces[1], "row 3" in pieces[2]] == [True] * 3
    assert pieces[3] == ""


def test_what_draws_nothing_is_passed_on_and_a_cleared_screen_is_sent_anew() -> None:
    cells = Cells()
    cells.draw(drawn(1, 1, "", "board"))
    cells.changes(ALL)

    assert cells.draw("\x1b[?2026h\x1b]52;c;YQ==\x07\x1b[?25l") == "\x1b]52;c;YQ==\x07\x1b[?25l"
    assert cells.draw("\x1b[?1049h") == "\x1b[?1049h"
    cells.draw(drawn(1, 1, "", "board"))
    assert "board" in cells.changes(ALL)


def test_what_a_multiplexer_is_to_hand_on_leaves_whole_and_draws_nothing() -> None:
    cells = Cells()
    passed = "\x1bPtmux;\x1b\x1b]52;c;bW92ZQ==\a\x1b\\"

    assert cells.draw(passed) == passed
    assert cells.changes(ALL) == ""
