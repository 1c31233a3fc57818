"""The dashboard on a line that takes 20 kB a second: what a key does is seen within a second."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from arena_tui.bench.ui_child import ScreenLoad, command_of
from tests.tui.terminal import Terminal

SECOND = 20_000
"""Bytes that the line takes in a second."""
PANES = 24


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A busy dashboard at the far end of that line."""
    load = ScreenLoad(
        screen="arena", panes=PANES, rate_per_s=2_000, frame_s=0.1, low_bandwidth=True
    )
    command = [word.replace("{report}", "2") for word in command_of(load)]
    terminal = Terminal(command, tmp_path, (200, 60), bytes_per_s=SECOND)
    yield terminal
    terminal.kill()
    terminal.wait()


def bytes_to_effect(terminal: Terminal, key: bytes, effect: str) -> int:
    """How much is sent from a key to what it does."""
    before = len(terminal.raw)
    terminal.press(key)
    terminal.wait_for(effect)
    return len(terminal.raw) - before


def test_a_key_does_not_wait_behind_frames(terminal: Terminal) -> None:
    terminal.wait_for(f"p{PANES - 1:02} ·")
    terminal.read(40)  # the load runs, and the line is full

    used = [bytes_to_effect(terminal, b"/", "esc clear")]
    terminal.press(b"\x1b")
    used.append(bytes_to_effect(terminal, b"?", "╭─ help"))

    assert max(used) <= SECOND, used


def test_over_ssh_a_line_that_backs_up_is_spared_by_itself(tmp_path: Path) -> None:
    arena = [sys.executable, "-m", "arena_tui", "--no-store"]
    games = "synth a b games=12 parallel=12 rate=600"
    command = ["env", "SSH_CONNECTION=10.0.0.1 1 10.0.0.2 22", *arena, "--play", games]
    terminal = Terminal(command, tmp_path, bytes_per_s=6_000)
    try:
        terminal.wait_for("the line is slow: drawing less")
    finally:
        terminal.kill()
        terminal.wait()
