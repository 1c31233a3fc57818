from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from arena_tui.bench.measure import BenchError
from arena_tui.bench.terminal import Terminal

ECHO = """
import os, signal, sys, tty
tty.setraw(0)
signal.signal(signal.SIGUSR1, lambda *_: os.write(int(sys.argv[1]), b"asked\\n"))
os.write(1, b"ready %d %d" % os.get_terminal_size())
while True:
    os.write(1, b"<" + os.read(0, 1) + b">")
"""


def text(literal: bytes) -> re.Pattern[bytes]:
    return re.compile(re.escape(literal))


def test_a_key_is_timed_until_its_effect_arrives(tmp_path: Path) -> None:
    with Terminal([sys.executable, "-c", ECHO, "{report}"], tmp_path, (90, 30)) as terminal:
        terminal.wait_for(text(b"ready 90 30"))

        assert terminal.press(b"x", text(b"<x>")) > 0
        assert terminal.ask() == "asked"


LONG = """
import os, tty
tty.setraw(0)
os.write(1, b"ready")
while True:
    number = ord(os.read(0, 1))
    os.write(1, b"." * (4_060 + number) + b"<%d>" % number)
"""


def test_a_text_is_found_wherever_the_terminal_splits_it(tmp_path: Path) -> None:
    with Terminal([sys.executable, "-c", LONG], tmp_path) as terminal:
        terminal.wait_for(text(b"ready"))

        for number in range(20, 40):  # Linux hands out 4,095 bytes at a time
            assert terminal.press(bytes([number]), text(b"<%d>" % number)) > 0


def test_a_program_that_ends_is_an_error_that_says_what_it_said(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('\\x1b[31mno such luck')"]

    with Terminal(command, tmp_path) as terminal, pytest.raises(BenchError, match="no such luck"):
        terminal.wait_for(text(b"ready"))


def test_patience_ends_although_the_program_goes_on_showing_other_things(tmp_path: Path) -> None:
    chatter = "while True: print('busy', flush=True)"

    with (
        Terminal([sys.executable, "-c", chatter], tmp_path, timeout_s=0.3) as terminal,
        pytest.raises(BenchError, match=r"within 0.3 s: .*busy"),
    ):
        terminal.wait_for(text(b"ready"))


def test_the_users_settings_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARENA_DB", "/somewhere/mine.duckdb")
    show = "import os; print(sorted(key for key in os.environ if key.startswith('ARENA_')))"

    with Terminal([sys.executable, "-c", show], tmp_path) as terminal:
        terminal.wait_for(text(b"['ARENA_CONFIG', 'ARENA_LOG']"))
