"""A process that follows files is killed at any moment: in the end each line is stored once."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from arena_tui.store.database import Database
from arena_tui.store.verify import verify_store
from tests.faults.accounts import FULL

ROUNDS = 25 if FULL else 8
LOOKS_MAX = 40
FINAL_LOOKS_MAX = 12_000

FOLLOWER = """
import asyncio, sys
from pathlib import Path
from arena_tui.broker.protocol import STORE
from arena_tui.config import Config
from arena_tui.services.runtime import Runtime

async def main(db, *paths):
    runtime = Runtime(Config(db=db))
    await runtime.open()
    runtime.following.add([Path(path) for path in paths])
    while True:
        store = runtime.running(STORE).info()
        account = store.account((await runtime.broker.stats()).published)
        print(account.stored, account.in_flight, account.lost, flush=True)
        await asyncio.sleep(0.005)

asyncio.run(main(*sys.argv[1:]))
"""


class Files:
    """One run in two files, runs that begin again and again in a third, which is rotated."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.paths = [folder / "one.jsonl", folder / "two.jsonl", folder / "games.jsonl"]
        self.written: Counter[tuple[str, int]] = Counter()
        self._turn = 0

    def write(self, lines: int) -> None:
        """Append so many lines to each file; the games have no times."""
        for path in self.paths[:2]:
            self._append(path, ["both"] * lines)
        games = ["game"] * lines + [f"game-{self._turn}"] * lines
        self._append(self.paths[2], games, start="game")

    def rotate(self) -> None:
        """Both the old file and the new one are followed from now on."""
        moved = self._folder / f"games.jsonl.{self._turn}"
        if self.paths[2].exists():
            self.paths[2].rename(moved)
            self.paths.append(moved)

    def _append(self, path: Path, runs: list[str], start: str = "") -> None:
        data = ""
        for run_id in runs:
            self._turn += 1
            kind = "run_start" if run_id == start else "log"
            start = start if kind == "log" else ""
            data += json.dumps({"run_id": run_id, "kind": kind, "turn": self._turn}) + "\n"
            self.written[run_id, self._turn] += 1
        with path.open("a") as file:
            file.write(data)


def follow_and_kill(db: Path, files: Files, choose: random.Random) -> None:
    """Follow while more is written, and kill after a number of looks at the account."""
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOWER, str(db), *map(str, files.paths)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for _ in range(choose.randint(1, LOOKS_MAX)):
            process.stdout.readline()
            files.write(choose.randint(0, 60))
        process.kill()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors


def follow_to_the_end(db: Path, files: Files) -> None:
    """Follow until as much is stored as was written and is not stored yet."""
    missing = files.written.total() - stored(db).total()
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOWER, str(db), *map(str, files.paths)],
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        looks = 0
        while int(process.stdout.readline().split()[0]) < missing and looks < FINAL_LOOKS_MAX:
            looks += 1
        process.kill()


def stored(db: Path) -> Counter[tuple[str, int]]:
    database = Database(str(db))
    verdicts = database.read_now(verify_store)
    rows = database.read_now(lambda c: c.execute("SELECT run_id, turn FROM events").fetchall())
    database.close()
    assert [each for each in verdicts if not each.ok] == []
    return Counter(rows)


def test_each_line_of_followed_files_is_stored_once_however_often_it_is_killed(
    tmp_path: Path,
) -> None:
    db, files, choose = tmp_path / "arena.duckdb", Files(tmp_path), random.Random(7)

    for _ in range(ROUNDS):
        follow_and_kill(db, files, choose)
        assert stored(db) <= files.written
        if choose.random() < 0.5:
            files.rotate()
    assert stored(db)
    follow_to_the_end(db, files)

    assert stored(db) == files.written
