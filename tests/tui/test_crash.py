"""A bug, wherever it strikes: the terminal is given back, and one line says where to look."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.tui.terminal import OpenTerminal
from tests.tui.test_leaving import MAIN_SCREEN, printable

BROKEN = """
import sys
from arena_tui.cli import main
from arena_tui.services.runtime import Runtime
from arena_tui.tui.app import ArenaApp

def broken(*arguments, **named):
    raise RuntimeError("forced")

setattr(*{"drawing": (ArenaApp, "sample"), "opening": (Runtime, "open"),
          "a key": (ArenaApp, "action_help")}[sys.argv.pop(1)], broken)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("where", ["drawing", "opening", "a key"])
def test_a_bug_ends_the_dashboard_with_one_line(
    tmp_path: Path, where: str, open_terminal: OpenTerminal
) -> None:
    command = [sys.executable, "-c", BROKEN, where, "--db", str(tmp_path / "arena.duckdb")]
    terminal = open_terminal(command)
    if where == "a key":
        terminal.wait_for("no events yet")
        terminal.press(b"?")

    assert terminal.wait() == 1
    assert printable(terminal.raw.rpartition(MAIN_SCREEN)[2]).replace("\r\n", "") == (
        f"arena-tui: an internal error, see {tmp_path / 'log'}: what was played is stored"
    )
    assert "RuntimeError: forced" in (tmp_path / "log").read_text()
