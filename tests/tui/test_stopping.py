"""A dashboard that is stopped and goes on: it looks as before, obeys its keys, and ends."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.faults.accounts import FULL
from tests.redis_fixture import MakeRedis
from tests.tui.terminal import OpenTerminal

ARENA = [sys.executable, "-m", "arena_tui"]
TIMES = 20 if FULL else 2


@pytest.mark.parametrize("where", ["in process", "on a server"])
def test_a_dashboard_that_was_stopped_obeys_its_keys(
    tmp_path: Path, where: str, open_terminal: OpenTerminal, make_redis: MakeRedis
) -> None:
    broker = ["--broker", make_redis().url] if where == "on a server" else []
    for number in range(TIMES):
        terminal = open_terminal([*ARENA, *broker, "--db", str(tmp_path / f"{number}.duckdb")])
        terminal.wait_for("no events yet")
        terminal.stop()
        terminal.resume()
        terminal.press(b"?")
        terminal.wait_for("published = stored")
        terminal.press(b"?")
        terminal.wait_for("-published = stored")
        terminal.press(b"q")

        assert terminal.wait() == 0
        assert terminal.modes_after == terminal.modes_before


def test_a_key_typed_while_it_is_stopped_is_obeyed(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    for number in range(TIMES):
        terminal = open_terminal([*ARENA, "--db", str(tmp_path / f"{number}.duckdb")])
        terminal.wait_for("no events yet")
        terminal.stop()
        terminal.press(b"q")
        terminal.resume()

        assert terminal.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTSTP])
def test_what_the_shell_made_of_the_terminal_meanwhile_is_undone(
    tmp_path: Path, number: int, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal([*ARENA, "--db", str(tmp_path / "arena.duckdb")])
    terminal.wait_for("no events yet")
    terminal.stop(number)
    terminal.take_over()
    terminal.resume()
    terminal.wait_for("q quit")
    terminal.wait_for("1 Live")
    terminal.press(b"q")

    assert terminal.wait() == 0
