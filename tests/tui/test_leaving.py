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
from arena_tui.store.verify import verify_store
from tests.tui.terminal import OpenTerminal

ARENA = [sys.executable, "-m", "arena_tui"]
GAME = ["--play", "go(board_size=19) random random delay=0.2 max_turns=500"]
MAIN_SCREEN = b"\x1b[?1049l"
CURSOR_SHOWN = b"\x1b[?25h"


def printable(raw: bytes) -> str:
    """What is to be read of it."""
    return re.sub(rb"\x1b\[[?0-9;]*[a-zA-Z]", b"", raw).decode().strip()


def assert_whole_and_ended(db: Path) -> None:
    database = Database(str(db))
    verdicts = database.read_now(verify_store)
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
    assert printable(terminal.raw.rpartition(MAIN_SCREEN)[2]) == ""
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


def test_a_second_one_on_the_same_store_names_the_first_and_goes(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db = tmp_path / "arena.duckdb"
    first = open_terminal([*ARENA, "--db", str(db), *GAME])
    first.wait_for("stored 1")
    second = open_terminal([*ARENA, "--db", str(db)])
    code = second.wait()
    live = open_terminal([*ARENA, "--db", str(db), "--no-store"])
    live.wait_for("not stored")
    live.press(b"q")
    first.press(b"q")
    first.wait_for("still being played")
    first.press(b"y")

    said = second.raw.rpartition(MAIN_SCREEN)[2].decode()
    assert code == 3
    assert f"is open in process {first.pid}" in said
    assert "--no-store" in said
    assert live.wait() == 0
    assert first.wait() == 0
    assert_whole_and_ended(db)


def test_a_terminal_that_is_closed_ends_the_games_and_stores_them(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db = tmp_path / "arena.duckdb"
    terminal = open_terminal([*ARENA, "--db", str(db), *GAME])
    terminal.wait_for("turn 2")
    terminal.close()

    assert terminal.wait() == 128 + signal.SIGHUP
    assert_whole_and_ended(db)
