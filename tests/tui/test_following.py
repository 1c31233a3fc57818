"""`--follow` on a real terminal: a file is watched as it grows, and stored once."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from arena_tui.store.verify import verify_store
from tests.faults.accounts import FULL
from tests.tui.terminal import OpenTerminal

ARENA = [sys.executable, "-m", "arena_tui"]
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = 60_000
KILLS = 3 if FULL else 1


def line(turn: int, kind: str = "turn_start", **fields: object) -> str:
    ts = (BEGUN + timedelta(seconds=turn)).isoformat()
    return json.dumps({"run_id": "hanoi-1", "kind": kind, "ts": ts, "turn": turn, **fields}) + "\n"


def append(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(lines)


def stored(db: Path) -> dict[str, tuple[int, str]]:
    """Events and status of each run of a clean store."""
    database = Database(str(db))
    assert [verdict for verdict in database.read_now(verify_store) if verdict.problems] == []
    runs: dict[str, tuple[int, str]] = {
        each.run_id: (each.events, each.status) for each in database.read_now(read_runs)
    }
    database.close()
    return runs


def test_a_file_is_shown_as_it_grows_and_followed_again_is_stored_once(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db, path = tmp_path / "arena.duckdb", tmp_path / "x.jsonl"
    command = [*ARENA, "--db", str(db), "--follow", str(path)]

    first = open_terminal(command)
    first.wait_for("x.jsonl does not exist yet: waiting for it")
    append(path, line(0, "run_start", game="towers"), line(1))
    first.wait_for("towers")
    append(path, "no event\n", line(2))
    first.wait_for("turn 2")
    first.wait_for("x.jsonl line 3: not a JSON object")
    first.press(b"q")
    first_code = first.wait()
    after_first = stored(db)

    append(path, line(3))
    second = open_terminal(command)
    second.wait_for("turn 3")
    append(path, line(4, "run_end"))
    second.wait_for("finished")
    second.press(b"q")

    assert (first_code, second.wait()) == (0, 0)
    assert after_first == {"hanoi-1": (3, "running")}
    assert stored(db) == {"hanoi-1": (5, "finished")}


def test_killed_while_it_reads_a_big_file_it_goes_on_where_it_was(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db, path = tmp_path / "arena.duckdb", tmp_path / "x.jsonl"
    path.write_text("".join(line(turn) for turn in range(EVENTS)))
    command = [*ARENA, "--db", str(db), "--follow", str(path)]
    for _ in range(KILLS):
        terminal = open_terminal(command)
        terminal.press(b"a")
        terminal.wait_for_pattern(r"= stored [1-9]")
        terminal.kill()
        terminal.wait()
        assert stored(db)["hanoi-1"][0] > 0

    terminal = open_terminal(command)
    terminal.press(b"a")
    terminal.wait_for_pattern(
        rf"published {EVENTS:,} = stored [0-9,]+ \+ already stored [0-9,]+ \+"
        " in flight 0 "
    )
    terminal.wait_for(f"turn {EVENTS - 1}")
    terminal.press(b"q")

    assert terminal.wait() == 0
    assert stored(db) == {"hanoi-1": (EVENTS, "running")}


def test_a_run_that_its_file_left_open_can_be_deleted_in_history(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db, path = tmp_path / "arena.duckdb", tmp_path / "x.jsonl"
    append(path, line(0, "run_start", game="towers"), line(1))

    terminal = open_terminal([*ARENA, "--db", str(db), "--follow", str(path)])
    terminal.press(b"a")
    terminal.wait_for("= stored 2 + in flight 0")
    terminal.press(b"2")
    terminal.wait_for("▶ turn 1")
    terminal.press(b"d")
    terminal.wait_for("Delete towers")
    terminal.press(b"y")
    terminal.wait_for("Nothing is stored yet.")
    append(path, line(2))
    terminal.press(b"a")
    terminal.wait_for("= stored 3 + in flight 0")
    terminal.press(b"q")

    assert terminal.wait() == 0
    assert stored(db) == {"hanoi-1": (1, "running")}
