"""Scripts in a dashboard on a real terminal: what they take from it, show on it, and leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.tui.terminal import OpenTerminal, Terminal
from tests.waiting import until_blocking

ARENA = [sys.executable, "-m", "arena_tui"]

Play: TypeAlias = Callable[..., Terminal]


@pytest.fixture
def play(tmp_path: Path, open_terminal: OpenTerminal) -> Play:
    """Opens a dashboard that plays a script of this text, `agent.py`, with these arguments."""

    def start(text: str, arguments: str = "") -> Terminal:
        script = tmp_path / "agent.py"
        script.write_text(text)
        db = str(tmp_path / "arena.duckdb")
        return open_terminal([*ARENA, "--db", db, "--play", f"{script} {arguments}".strip()])

    return start


def leave(terminal: Terminal) -> int:
    terminal.press(b"q")
    terminal.wait_for("1 script is still running here")
    terminal.press(b"y")
    return terminal.wait()


ASKING = """
import argparse, json, sys
parser = argparse.ArgumentParser()
parser.add_argument("--model")
parser.add_argument("--report")
arguments = parser.parse_args()
open(arguments.report + ".asked", "w").close()
told = []
for _ in range(20):
    try:
        told.append(input(f"name of {arguments.model}? "))
    except EOFError:
        told.append("EOF")
json.dump(told, open(arguments.report, "w"))
"""


def test_it_has_its_own_arguments_and_no_key_of_the_dashboard(play: Play, tmp_path: Path) -> None:
    report = tmp_path / "report"
    terminal = play(ASKING, f"--model x --report {report}")
    until_blocking(report.with_suffix(".asked").exists)
    for _ in range(5):
        terminal.press(b"hjkl\r")
    terminal.wait_for("exited 0")
    terminal.press(b"\x1b")
    terminal.wait_for("name of x? ")
    terminal.wait_for("new game")
    terminal.press(b"q")

    assert terminal.wait() == 0
    assert json.loads(report.read_text()) == ["EOF"] * 20


CRASHING = """
import pathlib
times = pathlib.Path(__file__).with_name("times")
times.write_text(times.read_text() + "x" if times.exists() else "x")
for number in range(100):
    print("line", number, "of time", len(times.read_text()))
def load(name):
    raise FileNotFoundError("no weights " + name)
load("here")
"""


def test_a_crash_before_the_first_event_is_a_pane_and_r_runs_it_again(
    play: Play, tmp_path: Path
) -> None:
    terminal = play(CRASHING)
    terminal.wait_for("✗ exited 1")
    terminal.wait_for("✗ FileNotFoundError: no weights here")
    terminal.wait_for("agent.py, line 8")
    terminal.wait_for("agent.py failed: FileNotFoundError: no weights here: see the log")
    terminal.wait_for("1 script failed")
    terminal.wait_for("line 99 of time 1")
    terminal.press(b"?")
    terminal.wait_for_pattern(r"r +run again")
    terminal.press(b"\x1b")
    terminal.wait_for("-Keys")
    terminal.press(b"r")
    terminal.wait_for("line 99 of time 2")
    terminal.wait_for("✗ exited 1")
    terminal.press(b"q")

    assert terminal.wait() == 0
    log = (tmp_path / "log").read_text()
    assert "arena_tui.script: agent.py: line 7 of time 2" in log
    assert "arena_tui.script: agent.py: FileNotFoundError: no weights here" in log


def test_all_of_its_output_can_be_read_and_searched(play: Play) -> None:
    terminal = play(CRASHING)
    terminal.wait_for("✗ exited 1")
    terminal.press(b"o")
    terminal.wait_for("✗ exited 1   agent.py   106 lines printed")
    terminal.wait_for("Traceback")
    terminal.press(b"\x1b[H")
    terminal.wait_for("line 0 of time 1")
    terminal.press(b"/Line 77\r")
    terminal.wait_for("line 77 of time 1")
    terminal.press(b"r")
    terminal.wait_for("line 99 of time 2")
    terminal.press(b"o")
    terminal.wait_for("new game")
    terminal.press(b"q")

    assert terminal.wait() == 0


def test_a_segfault_ends_the_script_and_not_the_dashboard(play: Play) -> None:
    terminal = play("import ctypes\nprint('before')\nctypes.string_at(0)\n")
    terminal.wait_for("✗ killed by SIGSEGV")
    terminal.wait_for("before")
    terminal.press(b"2")
    terminal.wait_for("started▼")
    terminal.press(b"q")

    assert terminal.wait() == 0


FOR_EVER = """
import atexit, os, pathlib, signal
signal.signal(signal.SIGTERM, lambda *_: print("TERM"))
signal.signal(signal.SIGINT, lambda *_: print("INT"))
signal.alarm(300)  # else a test that fails leaves it behind
pathlib.Path(__file__).with_name("pid").write_text(str(os.getpid()))
def forever():
    print("at exit")
    while True:
        pass
atexit.register(forever)
"""


@pytest.mark.parametrize("how", ["q", "ctrl+c", "SIGTERM"])
def test_an_endless_loop_at_exit_does_not_keep_the_dashboard(
    how: str, play: Play, tmp_path: Path
) -> None:
    terminal = play(FOR_EVER)
    terminal.wait_for("at exit")
    terminal.wait_for("1 script")
    pid = int((tmp_path / "pid").read_text())
    if how == "q":
        code = leave(terminal)
    elif how == "ctrl+c":
        terminal.press(b"\x03\x03")
        code = terminal.wait()
    else:
        os.kill(terminal.pid, signal.SIGTERM)
        code = terminal.wait()

    assert code == (128 + signal.SIGTERM if how == "SIGTERM" else 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    log = (tmp_path / "log").read_text()
    assert "agent.py: TERM" in log
    assert "agent.py: INT" not in log
    assert "failed" not in log


PLAYING_ON = """
import pathlib, time
folder = pathlib.Path(__file__).parent
(folder / "begun").touch()
while not (folder / "go").exists():
    time.sleep(0.01)
(folder / "done").touch()
"""


def test_it_plays_on_when_the_dashboard_is_killed(play: Play, tmp_path: Path) -> None:
    terminal = play(PLAYING_ON)
    until_blocking((tmp_path / "begun").exists)
    terminal.kill()
    terminal.wait()
    (tmp_path / "go").touch()

    until_blocking((tmp_path / "done").exists)


def test_the_dialog_for_new_games_takes_a_script_with_arguments(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    script = tmp_path / "agent.py"
    script.write_text("import sys; print('given', sys.argv[1:])")
    terminal = open_terminal([*ARENA, "--db", str(tmp_path / "arena.duckdb")])
    terminal.wait_for("No games are being played")
    terminal.press(b"n")
    terminal.press(f"{script} --model 'a b'\r".encode())
    terminal.wait_for("given ['--model', 'a b']")
    terminal.wait_for("✓ exited 0")
    terminal.press(b"c")
    terminal.wait_for("No games are being played")
    terminal.press(b"q")

    assert terminal.wait() == 0


def test_without_a_store_or_a_server_it_is_said_what_to_give(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    script = tmp_path / "agent.py"
    script.touch()
    terminal = open_terminal([*ARENA, "--no-store", "--play", str(script)])

    assert terminal.wait() == 2
    assert b"give a file with --db, or a server with --broker" in terminal.raw


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("synth a b --games 3", "--games is an option of arena-tui play: write games=3 instead"),
        ("nope.py --games 3", "no file nope.py"),
    ],
)
def test_a_word_that_is_none_of_a_game_is_said_in_one_line(spec: str, complaint: str) -> None:
    done = subprocess.run(
        [*ARENA, "--play", spec], check=False, capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
