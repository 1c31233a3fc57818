"""Keys in one burst, as a macro or a slow line sends them: each goes where it was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.accounts import FULL
from tests.tui.terminal import OpenTerminal, Terminal
from tests.tui.test_leaving import ARENA, GAME

FIRST_ROW = b"\x1b[<0;10;3M\x1b[<0;10;3m"
"""A click on the first row of a table; the cursor is on it already."""
PLAYED = ["--play", "tic_tac_toe random random", "connect_four random random"]
BURSTS = [
    (b"/tic\rt", "ev/s", "connect_four"),
    (b"/zzz\x1b", "connect_four", "enter keep"),
    (b"2/game:tic\r", "took", "connect_four"),
    (b"2/zzz\x1b1/con", "enter keep", "tic_tac_toe"),
    (b"2/game:tic\r\r", "connect_four · ", "took"),
    (b"2/game:tic\rdn/\x1bs", "game▲", "Delete"),
    (b"2/game:tic\rdy", "No run matches", "There is no way back"),
    (b"2\x1b[B\x1b[A/game:tic\r\x1b2", "tic_tac_toe", "enter keep"),
    (b"?q2", "took", "published = stored"),
    (b"nconnect_four wizard\r", "wizard", "took"),
    (b"2n\x1b1t", "ev/s", "New game"),
    (b"121212", "took", "╭"),
    (b"2\x10live\r/con", "enter keep", "tic_tac_toe"),
    (b"\x10new game\rchess wizard\r", "wizard", "took"),
    (b"2" + FIRST_ROW, "tic_tac_toe · ", "took"),
    (b"2n\x1b[200~pasted text\x1b[201~", "pasted text", "zzz"),
]
"""Keys, what stands on the screen then, and what does not."""
MORE_BURSTS = [
    (b"/tic", "enter keep", "connect_four"),
    (b"2/game:tic", "enter keep", "connect_four"),
    (b"2/game:tic\rd", "Delete tic_tac_toe", "Delete connect_four"),
    (b"2/game:con\rdy\x1b[A/\x1b", "tic_tac_toe", "connect_four"),
    (b"?\x1b2", "took", "published = stored"),
    (b"??2", "took", "published = stored"),
    (b"n\x1b2", "took", "New game"),
    (b"\x10history\r\x1b[B", "took", "╭"),
    (b"2/game:tic\r\x10delete\r", "Delete tic_tac_toe", "Delete connect_four"),
    (b"\x10help\x1b2", "took", "Help"),
]
"""Of the same kinds, in the full form."""
IN_A_RUN = [
    (b"g50%\r", r"event ([4-9]|1\d)/"),
    (b"g3\r\x1b[C\x1b[C", r"event 5/"),
    (b"/run_end\rg2\r", r"event 2/"),
    (b"\x1b[F\x1b[H", r"event 1/"),
    (b"g9\x1b\x1b[C", r"event 2/"),
    (b"g4\r\r\x1b\x1b2\rg6\r", r"event 6/"),
    (b"\x10go to\r8\r", r"event 8/"),
]
MORE_IN_A_RUN = [
    (b"g3\r", r"event 3/"),
    (b"/end", r"enter find"),
    (b"\x1b[F", r"event (\d+)/\1\b"),
    (b"g3\rg7\r", r"event 7/"),
    (b"?\x1bg4\r", r"event 4/"),
    (b"g4\r\r\x1b[D", r"event 3/"),
]


@pytest.fixture
def terminal(tmp_path: Path, open_terminal: OpenTerminal) -> Terminal:
    """Live, with two games that are over and stored."""
    opened = open_terminal([*ARENA, "--db", str(tmp_path / "arena.duckdb"), *PLAYED])
    opened.wait_for_pattern(r"0 live")
    opened.wait_for_pattern(r"tic_tac_toe[^╮]*[✓]")
    opened.wait_for_pattern(r"connect_four[^╮]*[✓]")
    opened.wait_for("all stored")
    return opened


@pytest.mark.parametrize(("burst", "there", "gone"), BURSTS + MORE_BURSTS * FULL, ids=ascii)
def test_a_burst_ends_where_the_same_keys_do_one_by_one(
    terminal: Terminal, burst: bytes, there: str, gone: str
) -> None:
    if b"tic\r\r" in burst:
        there, gone = "tic_tac_toe · ", "connect_four"
    terminal.press(burst)

    terminal.wait_for(there)
    terminal.wait_for(f"-{gone}")


@pytest.mark.parametrize(("burst", "there"), IN_A_RUN + MORE_IN_A_RUN * FULL, ids=ascii)
def test_keys_after_the_one_that_opens_a_run_are_for_the_run(
    terminal: Terminal, burst: bytes, there: str
) -> None:
    terminal.press(b"2/game:tic\r\r" + burst)

    terminal.wait_for_pattern(there)


def test_keys_after_escape_are_for_the_screen_below(terminal: Terminal) -> None:
    terminal.press(b"2/game:tic\r\rg5\r\x1bd")

    terminal.wait_for("Delete tic_tac_toe")


def test_a_new_game_is_started_by_what_is_typed_in_one_go(terminal: Terminal) -> None:
    terminal.press(b"nkuhn_poker random random\r2")

    terminal.wait_for("took")
    terminal.wait_for("kuhn_poker")


def test_the_box_is_filled_and_nothing_acts_below(terminal: Terminal) -> None:
    terminal.press(b"nchess random")

    terminal.wait_for("New game")
    terminal.wait_for("chess random ")
    terminal.press(b"\x1b")
    terminal.wait_for("-New game")
    assert "tic_tac_toe" in terminal.text()


def test_the_answer_to_the_last_question_goes_to_it(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal([*ARENA, "--db", str(tmp_path / "arena.duckdb"), *GAME])
    terminal.wait_for("turn 2")
    terminal.press(b"qnqnqy")

    assert terminal.wait() == 0


def test_a_long_line_in_one_burst_is_whole(terminal: Terminal) -> None:
    line = "".join(f"word{number} " for number in range(12)).strip()
    terminal.press(b"n" + line.encode())

    terminal.wait_for("word11")
    terminal.press(b"\x1b[H")
    terminal.wait_for(line[:40])
