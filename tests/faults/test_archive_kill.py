"""Exports, imports and deletions killed at any moment: every file and every store is whole."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from arena_tui.codec import encode_line
from arena_tui.events import Delivery, LogEvent, RunEnd
from arena_tui.store.archive_files import parquet_lines, zstd_lines
from arena_tui.store.database import Database
from tests.cli.test_commands import surroundings
from tests.envelopes import envelope
from tests.faults.accounts import FULL
from tests.ready import ARENA
from tests.store_fixture import problems, store
from tests.waiting import pause_blocking, until_blocking

RUNS = 8
EVENTS = 6_000
ROUNDS = 5 if FULL else 2
LASTS_S = 0.4
"""About as long as the work itself takes."""


def run_of(number: int) -> list[Delivery]:
    run_id = f"r{number}"
    padding = random.Random(number).randbytes(40).hex()
    events = (LogEvent(text=f"{padding}{seq}") for seq in range(1, EVENTS))
    return [
        *(envelope(run_id, 7, seq, event) for seq, event in enumerate(events, 1)),
        envelope(run_id, 7, EVENTS, RunEnd()),
    ]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of some runs, and all their lines in a file."""
    folder = tmp_path_factory.mktemp("filled")
    runs = [run_of(number) for number in range(RUNS)]
    with closing(Database(str(folder / "arena.duckdb"))) as database:
        asyncio.run(store(database, *runs))
    text = b"".join(encode_line(each) + b"\n" for run in runs for each in run)
    (folder / "all.jsonl").write_bytes(text)
    return folder


def kill_while(folder: Path, begun: str, words: list[str]) -> None:
    """Start the command, and kill it some time after a file of this pattern is there; or before."""
    command = subprocess.Popen(
        [*ARENA, *words], env=surroundings(folder), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with command:
        until_blocking(lambda: [*folder.glob(begun)] or command.poll() is not None)
        pause_blocking(random.uniform(0, LASTS_S))
        command.send_signal(signal.SIGKILL)


def finish(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [*ARENA, *words], env=surroundings(folder), capture_output=True, check=True, text=True
    )
    return done.stderr


def left(folder: Path) -> dict[str, int]:
    """The events of each run in the store, which is checked."""
    with closing(Database(str(folder / "arena.duckdb"))) as database:
        assert problems(database) == []
        query = "SELECT run_id, count(*) FROM events GROUP BY 1"
        return dict(database.read_now(lambda c: c.execute(query).fetchall()))


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.zst", "out.parquet"])
def test_a_killed_export_leaves_no_half_file(filled: Path, tmp_path: Path, name: str) -> None:
    given = (filled / "all.jsonl").read_bytes().splitlines()
    out = tmp_path / name
    words = ["export", "--db", str(filled / "arena.duckdb"), "--output", str(out)]
    read = {".zst": zstd_lines, ".parquet": parquet_lines}.get(out.suffix)

    for _ in range(ROUNDS):
        kill_while(tmp_path, f".{name}.*", words)
        if out.exists():
            found = out.read_bytes().splitlines() if read is None else [*read(str(out))]
            assert found == given
            out.unlink()
    finish(tmp_path, *words)

    assert [each.name for each in tmp_path.iterdir() if each.name.endswith(".partial")] == []
    assert left(filled) == {f"r{number}": EVENTS for number in range(RUNS)}


def test_a_killed_import_leaves_a_whole_store_and_is_completed(
    filled: Path, tmp_path: Path
) -> None:
    words = ["import", str(filled / "all.jsonl")]
    counts = [0]

    for _ in range(ROUNDS):
        kill_while(tmp_path, "arena.duckdb.wal", words)
        found = left(tmp_path)
        assert all(0 < each <= EVENTS for each in found.values())
        assert [each for each in found.values() if each < EVENTS][1:] == []  # one half at most
        counts.append(sum(found.values()))
    finish(tmp_path, *words)

    assert counts == sorted(counts)
    assert left(tmp_path) == {f"r{number}": EVENTS for number in range(RUNS)}
    finish(tmp_path, "export", "--output", str(tmp_path / "again.jsonl"))
    same = (tmp_path / "again.jsonl").read_bytes() == (filled / "all.jsonl").read_bytes()
    assert same
    kinds = {msgspec.json.decode(each)["kind"] for each in given_lines(tmp_path / "again.jsonl")}
    assert kinds == {"log", "run_end"}


def given_lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


@pytest.mark.parametrize(
    "words", [["delete", "--filter", "run:r", "--yes"], ["prune", "--keep-bytes", "1MB", "--yes"]]
)
def test_a_killed_deletion_leaves_whole_runs(
    filled: Path, tmp_path: Path, words: list[str]
) -> None:
    for _ in range(ROUNDS):
        shutil.copy(filled / "arena.duckdb", tmp_path)
        kill_while(tmp_path, ".arena.duckdb.*" if random.random() < 0.5 else "*.wal", words)

        assert set(left(tmp_path).values()) <= {EVENTS}
    full = os.path.getsize(filled / "arena.duckdb")
    # Only who has something to delete writes the file anew, and removes what others left of it.
    shutil.copy(filled / "arena.duckdb", tmp_path)
    finish(tmp_path, *words)

    assert os.path.getsize(tmp_path / "arena.duckdb") < full / 2
    assert [each.name for each in tmp_path.iterdir() if "partial" in each.name] == []
    assert set(left(tmp_path).values()) <= {EVENTS}
