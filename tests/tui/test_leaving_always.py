"""Leaving ends within ten seconds, whatever does not answer, and says what was not kept."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.redis_fixture import MakeRedis
from tests.servers import OwnServer
from tests.tui.terminal import OpenTerminal, Terminal
from tests.tui.test_leaving import CURSOR_SHOWN, MAIN_SCREEN, printable
from tests.waiting import until_blocking

ARENA = [sys.executable, "-m", "arena_tui"]
GAME = ["--play", "synth games=1 max_turns=100000 rate=50"]
STUCK = """
import sys, time
from pathlib import Path
from arena_tui.cli import main
from arena_tui.store.database import Database
from arena_tui.tui.app import ArenaApp

what, sign = sys.argv[1], Path(sys.argv[2])
owner, name = {"a commit": (Database, "_commit"), "the loop": (ArenaApp, "sample"),
               "the end": (ArenaApp, "on_unmount")}[what]
real = getattr(owner, name)

def stuck(*arguments):
    while sign.exists():
        sign.with_name("reached").touch()
        time.sleep(0.01)
    return real(*arguments)

setattr(owner, name, stuck)
sys.exit(main(sys.argv[3:]))
"""


def said(terminal: Terminal) -> str:
    """What stands below the prompt when the screen is gone."""
    return printable(terminal.raw.rpartition(MAIN_SCREEN)[2]).replace("\r\n", "")


def leave(terminal: Terminal) -> int:
    terminal.press(b"q")
    terminal.wait_for("1 game is still being played")
    terminal.press(b"y")
    return terminal.wait()


def stuck_dashboard(open_terminal: OpenTerminal, folder: Path, what: str, *words: str) -> Terminal:
    """A dashboard that plays a game, and in which this does not come back any more."""
    sign = folder / "stuck"
    terminal = open_terminal(
        [sys.executable, "-c", STUCK, what, str(sign), "--db", str(folder / "db"), *GAME, *words]
    )
    terminal.wait_for_pattern(r"[1-9] events, all stored")
    sign.touch()
    if what != "the end":
        until_blocking(sign.with_name("reached").exists)
    return terminal


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_leaving_without_a_server_says_how_many_events_were_not_published(
    how: str, tmp_path: Path, make_redis: MakeRedis, open_terminal: OpenTerminal
) -> None:
    server = make_redis()
    db = str(tmp_path / "arena.duckdb")
    terminal = open_terminal([*ARENA, "--broker", server.url, "--db", db, *GAME])
    terminal.wait_for_pattern(r"[1-9] events, all stored")
    lose(server, how)
    terminal.wait_for_pattern("no connection|does not answer")

    code = leave(terminal)

    assert code == 1
    assert re.match(
        r"arena-tui: [\d,]+ events could not be published: .*(no connection|does not answer)",
        said(terminal),
    )


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_leaving_at_the_moment_the_server_goes_ends_too(
    how: str, tmp_path: Path, make_redis: MakeRedis, open_terminal: OpenTerminal
) -> None:
    server = make_redis()
    terminal = open_terminal(
        [*ARENA, "--broker", server.url, "--db", str(tmp_path / "arena.duckdb")]
    )
    terminal.wait_for("forgets everything")  # said while it starts, once it is connected
    lose(server, how)
    terminal.press(b"q")

    assert terminal.wait() in {0, 3}, said(terminal)  # 3: it had not started yet


def lose(server: OwnServer, how: str) -> None:
    if how == "killed":
        server.kill()
    else:
        server.pause()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("in process", "could not be stored: not done within"),
        ("on a server", r"stay on redis 127.0.0.1:\d+, not stored yet: not done within"),
    ],
)
def test_a_store_stuck_in_a_commit_is_left_and_what_it_lacks_is_said(
    tmp_path: Path, where: str, expected: str, make_redis: MakeRedis, open_terminal: OpenTerminal
) -> None:
    broker = ["--broker", make_redis().url] if where == "on a server" else []
    terminal = stuck_dashboard(open_terminal, tmp_path, "a commit", *broker)

    code = leave(terminal)

    assert code == 1
    assert re.match(rf"arena-tui: [\d,]+ events {expected}", said(terminal))


@pytest.mark.parametrize(
    "number", [None, signal.SIGTERM, signal.SIGHUP], ids=["q", "SIGTERM", "SIGHUP"]
)
def test_what_cannot_close_is_ended_and_the_terminal_given_back(
    tmp_path: Path, number: int | None, open_terminal: OpenTerminal
) -> None:
    what = "the end" if number is None else "the loop"
    terminal = stuck_dashboard(open_terminal, tmp_path, what)
    if number is None:
        code = leave(terminal)
    else:
        os.kill(terminal.pid, number)
        code = terminal.wait()

    assert code == 1
    assert said(terminal).startswith("arena-tui: did not end within 9 s and was ended")
    assert terminal.modes_after == terminal.modes_before
    assert terminal.raw.rindex(CURSOR_SHOWN) > terminal.raw.rindex(b"\x1b[?25l")
