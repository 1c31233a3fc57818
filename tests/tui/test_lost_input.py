"""A terminal that can be read no more: the games end, and it is said why."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from tests.faults.accounts import FULL
from tests.tui.terminal import OpenTerminal, Terminal
from tests.tui.test_leaving import ARENA, GAME, MAIN_SCREEN, assert_whole_and_ended, printable
from tests.tui.test_terminal_input import LATE_ANSWERS

UNREADABLE = """
import errno, os, sys
from arena_tui.cli import main
from arena_tui.tui import driver

class Os:
    def __getattr__(self, name):
        return getattr(os, name)

    @staticmethod
    def read(descriptor, size):
        if b"!" in (data := os.read(descriptor, size)):
            raise OSError(errno.EIO, "Input/output error")
        return data

driver.os = Os()
sys.exit(main(sys.argv[1:]))
"""
BROKEN_PARSER = """
import sys
from arena_tui.cli import main
from arena_tui.tui import driver

class Parser(driver.XTermParser):
    def feed(self, data):
        if data == "!":
            raise ValueError("forced")
        return super().feed(data)

driver.XTermParser = Parser
sys.exit(main(sys.argv[1:]))
"""
RELEASES = ["\x1b[97;1:3u", "\x1b[100;1:3u", "\x1b[113;1:3u", "\x1b[1;1:3B", "\x1b[13;1:3u"]
INVALID = ["\x1b[1114112;1u", "\x1b[99999999999u", "\x1b[55296;1u", "\x1b[1;1:3A", "\x1b[E"]


def answers(seed: int) -> list[bytes]:
    """Several hundred answers of a terminal in a random order, each cut somewhere."""
    chosen = random.Random(seed)
    texts = [text for text in [*LATE_ANSWERS, *RELEASES, *INVALID] if len(text) < 1_000]
    for _ in range(60):
        fields = [str(chosen.randrange(300)) for _ in range(chosen.randrange(1, 6))]
        texts.append("\x1b[" + chosen.choice("?>=") + ";".join(fields) + chosen.choice("cndyqt"))
        texts.append("\x1b]" + ";".join([*fields, "dnq" * chosen.randrange(20)]) + "\x1b\\")
        texts.append("\x1bP" + ";".join(fields) + "dnq/s" + "\x1b\\")
    pieces: list[bytes] = []
    for text in chosen.sample(texts, len(texts)):
        raw = text.encode("utf-8", "surrogateescape")
        cut = chosen.randrange(1, len(raw))
        if raw[:cut] == b"\x1b":
            cut = 2  # a lone ESC that nothing follows in time is the key
        pieces += [raw[:cut], raw[cut:]] if chosen.random() < 0.5 else [raw]
    return pieces


def send(terminal: Terminal, pieces: list[bytes]) -> None:
    """Send each, and read what is drawn meanwhile."""
    for piece in pieces:
        terminal.press(piece)
        terminal.read_now()


@pytest.mark.parametrize("seed", [1, 2, 3] if FULL else [1])
def test_no_answer_of_a_terminal_acts_as_a_key(
    tmp_path: Path, open_terminal: OpenTerminal, seed: int
) -> None:
    db = tmp_path / "arena.duckdb"
    terminal = open_terminal([*ARENA, "--db", str(db), "--play", "tic_tac_toe random random"])
    terminal.wait_for("✓")
    send(terminal, answers(seed))
    terminal.press(b"t")
    terminal.wait_for("idle")
    live = terminal.text()
    terminal.press(b"2")
    terminal.wait_for("took")
    terminal.wait_for("tic_tac_toe")
    send(terminal, answers(-seed))
    terminal.press(b"/")
    terminal.wait_for("enter keep")
    terminal.press(b"zzz")
    terminal.wait_for("No run matches")
    history = terminal.text()
    terminal.press(b"\x1b")
    terminal.wait_for("-enter keep")
    terminal.press(b"q")

    assert terminal.wait() == 0
    assert "sorted by" not in live
    assert "Delete" not in history
    assert "started▼" in history
    assert not (tmp_path / "log").exists() or "ERROR" not in (tmp_path / "log").read_text()
    assert_whole_and_ended(db)


def test_a_kitty_key_with_an_event_type_is_that_key(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal([*ARENA, "--db", str(tmp_path / "arena.duckdb")])
    terminal.wait_for("No games are being played")
    terminal.press(b"\x1b[50;1:1u\x1b[50;1:3u")
    terminal.wait_for("Nothing is stored yet")
    terminal.press(b"\x1b[113;1:1u\x1b[113;1:3u")

    assert terminal.wait() == 0


def test_input_that_is_lost_ends_the_games_and_says_why(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db = tmp_path / "arena.duckdb"
    terminal = open_terminal([sys.executable, "-c", UNREADABLE, "--db", str(db), *GAME])
    terminal.wait_for("turn 2")
    terminal.press(b"!")

    assert terminal.wait() == 1
    assert printable(terminal.raw.rpartition(MAIN_SCREEN)[2]).replace("\r\n", "") == (
        f"arena-tui: no more keys can be read: [Errno {5}] {os.strerror(5)}"
    )
    assert "the terminal cannot be read any more" in (tmp_path / "log").read_text()
    assert_whole_and_ended(db)


def test_what_the_parser_cannot_take_is_logged_and_the_next_key_works(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal([sys.executable, "-c", BROKEN_PARSER, "--no-store"])
    terminal.wait_for("No games are being played")
    terminal.press(b"!q")

    assert terminal.wait() == 0
    assert "the terminal sent '!', which cannot be read" in (tmp_path / "log").read_text()
