"""Coming and going on a real terminal: what is left behind, and what is said."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from arena_tui.store.verify import Verdict, verify_store
from tests.tui.terminal import OpenTerminal, Terminal
from tests.waiting import until_blocking

ARENA = [sys.executable, "-m", "arena_tui"]
GAME = ["--play", "go(board_size=19) random random delay=0.2 max_turns=500"]
MAIN_SCREEN = b"\x1b[?1049l"
CURSOR_SHOWN = b"\x1b[?25h"


def printable(raw: bytes) -> str:
    """What is to be read of it."""
    return re.sub(rb"\x1b\[[?0-9;]*[a-zA-Z]", b"", raw).decode().strip()


def wait_for_next_turn(terminal: Terminal) -> None:
    """Read until a later turn is shown than now."""

    def shown() -> int:
        terminal.read_now()
        return max(map(int, re.findall(r"turn (\d+)", terminal.text())), default=0)

    before = shown()
    until_blocking(lambda: shown() > before)


def end_the_game(terminal: Terminal) -> None:
    """Quit, and end the game that is played here."""
    terminal.press(b"q")
    terminal.wait_for("still being played")
    terminal.press(b"y")
    assert terminal.wait() == 0


def verdicts_of(db: Path) -> list[Verdict]:
    database = Database(str(db))
    verdicts = list(database.read_now(verify_store))
    database.close()
    return verdicts


def assert_whole_and_ended(db: Path) -> None:
    verdicts = verdicts_of(db)
    database = Database(str(db))
    statuses = {run.status for run in database.read_now(read_runs)}
    database.close()
    assert verdicts
    assert [verdict for verdict in verdicts if verdict.problems] == []
    assert "running" not in statuses


def test_leaving_asks_ends_the_games_and_gives_the_terminal_back(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db = tmp_path / "arena.duckdb"
    terminal = open_terminal([*ARENA, "--db", str(db), *GAME])
    terminal.wait_for("turn 2")
    terminal.press(b"q")
    terminal.wait_for("1 game is still being played")
    terminal.press(b"y")

    assert terminal.wait() == 0
    said = printable(terminal.raw.rpartition(MAIN_SCREEN)[2]).splitlines()
    events = sum(verdict.events for verdict in verdicts_of(db))
    assert said == [
        f"1 run, {events:,} events, stored in {db}",
        f"see them again: arena-tui --db {db}, then 2 for History",
    ]
    assert terminal.raw.rindex(MAIN_SCREEN) > terminal.raw.rindex(b"\x1b[?1049h")
    assert terminal.raw.rindex(CURSOR_SHOWN) > terminal.raw.rindex(b"\x1b[?25l")
    assert_whole_and_ended(db)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_polite_kill_stores_what_was_played(
    tmp_path: Path, number: int, open_terminal: OpenTerminal
) -> None:
    db = tmp_path / "arena.duckdb"
    terminal = open_terminal([*ARENA, "--db", str(db), *GAME])
    terminal.wait_for("turn 2")
    os.kill(terminal.pid, number)

    assert terminal.wait() == 128 + number
    assert MAIN_SCREEN in terminal.raw
    assert_whole_and_ended(db)


def test_a_second_one_shows_the_games_of_the_first_and_leaves_them_alone(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db = tmp_path / "arena.duckdb"
    first = open_terminal([*ARENA, "--db", str(db), *GAME])
    wait_for_next_turn(first)
    second = open_terminal([*ARENA, "--db", str(db)])
    second.wait_for(f"attached to {first.pid}")
    wait_for_next_turn(second)
    first.wait_for("1 attached")
    second.press(b"q")

    assert second.wait() == 0
    assert printable(second.raw.rpartition(MAIN_SCREEN)[2]).startswith("1 run, ")
    first.wait_for("-1 attached")
    wait_for_next_turn(first)
    end_the_game(first)
    assert_whole_and_ended(db)


def test_a_second_one_has_the_store_once_the_first_has_left_and_its_own_game_goes_on(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db = tmp_path / "arena.duckdb"
    first = open_terminal([*ARENA, "--db", str(db)])
    first.wait_for("q quit")
    second = open_terminal([*ARENA, "--db", str(db), *GAME])
    second.wait_for(f"attached to {first.pid}")
    wait_for_next_turn(first)
    first.press(b"q")

    assert first.wait() == 0
    second.wait_for("-attached to")
    wait_for_next_turn(second)
    end_the_game(second)
    assert_whole_and_ended(db)


def test_one_that_does_not_store_stays_out_of_a_store_that_is_open(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db = tmp_path / "arena.duckdb"
    first = open_terminal([*ARENA, "--db", str(db)])
    first.wait_for("q quit")
    live = open_terminal([*ARENA, "--db", str(db), "--no-store", *GAME])
    wait_for_next_turn(live)
    live.wait_for("not stored")
    end_the_game(live)
    first.press(b"q")
    assert first.wait() == 0

    database = Database(str(db))
    assert database.read_now(read_runs) == []
    database.close()


def test_a_terminal_that_is_closed_ends_the_games_and_stores_them(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db = tmp_path / "arena.duckdb"
    terminal = open_terminal([*ARENA, "--db", str(db), *GAME])
    terminal.wait_for("turn 2")
    terminal.close()

    assert terminal.wait() == 128 + signal.SIGHUP
    assert_whole_and_ended(db)
