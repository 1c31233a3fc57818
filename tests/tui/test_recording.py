"""`--record` on a real terminal: what is watched is in the file, too."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.tui.terminal import Terminal

ARENA = [sys.executable, "-m", "arena_tui"]


def test_what_is_watched_is_recorded_and_goes_on_the_next_time(tmp_path: Path) -> None:
    source, path = tmp_path / "x.jsonl", tmp_path / "all.jsonl"
    command = [*ARENA, "--no-store", "--follow", str(source), "--record", str(path)]
    turns = [{"run_id": "r", "kind": "turn_start", "turn": turn} for turn in range(1, 6)]

    for last in (3, 5):
        source.write_text("".join(json.dumps(turn) + "\n" for turn in turns[:last]))
        terminal = Terminal(command, tmp_path)
        terminal.wait_for(f"turn {last}")
        terminal.press(b"q")
        assert terminal.wait() == 0

    recorded = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(each["seq"], each["turn"]) for each in recorded] == [(n, n) for n in range(1, 6)]


def test_a_file_that_is_no_recording_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")

    terminal = Terminal([*ARENA, "--no-store", "--record", str(path)], tmp_path)

    assert terminal.wait() == 3
    assert "notes.txt is not a recording" in terminal.text()
    assert path.read_text() == "mine"
