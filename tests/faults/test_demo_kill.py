"""The demo on a real terminal, killed with SIGKILL at any moment, again and again on one store."""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import pytest

from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from arena_tui.store.verify import verify_store
from tests.tui.terminal import OpenTerminal

KILLS = 20 if os.environ.get("ARENA_FULL") else 3


DENSE = ["--play", "synth agents=4 rate=200", "connect_four mcts:200 random delay=0.1 games=9"]


@pytest.mark.parametrize("words", [["demo"], DENSE], ids=["demo", "dense"])
def test_a_killed_dashboard_leaves_a_whole_store(
    tmp_path: Path, words: list[str], open_terminal: OpenTerminal
) -> None:
    db = tmp_path / "arena.duckdb"
    chance = random.Random(20_260_314)
    stored = 0
    for number in range(KILLS):
        terminal = open_terminal([sys.executable, "-m", "arena_tui", *words, "--db", str(db)])
        terminal.wait_for("turn 3 ")
        terminal.read(chance.randrange(5, 60))
        terminal.kill()
        killed_at = time.time()
        terminal.wait()

        database = Database(str(db))
        verdicts = database.read_now(verify_store)
        newest = max(run.last_at for run in database.read_now(read_runs) if run.last_at)
        database.close()

        assert not database.warnings.newest()
        assert [verdict for verdict in verdicts if verdict.problems] == []
        events = sum(verdict.events for verdict in verdicts)
        assert events >= stored
        missing_ms = (killed_at - newest.timestamp()) * 1_000
        print(
            f"kill {number + 1:>2}: {len(verdicts):>3} runs, {events - stored:>5} events stored, "
            f"newest {missing_ms:.0f} ms before the kill, all whole"
        )
        stored = events
