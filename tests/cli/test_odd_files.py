"""Files that are not what a command takes them for: one line says so, and no run is lost."""

from __future__ import annotations

import gzip
import os
import subprocess
import zlib
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from arena_tui.store.database import Database
from tests.cli.test_archive import made, run_of
from tests.cli.test_commands import arena, surroundings
from tests.ready import ARENA

LOG = "is where the store keeps its log: give another name"
ITSELF = "is the store itself: give another name"


def stored(folder: Path) -> int:
    """How many events the store has."""
    with closing(Database(str(folder / "arena.duckdb"), only_read=True)) as database:
        row = database.read_now(lambda c: c.execute("SELECT count(*) FROM events").fetchone())
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("words", "name", "code", "said"),
    [
        ("export --output", "arena.duckdb.wal", 2, LOG),
        ("export --output", "linked.wal", 2, LOG),
        ("export --format parquet --output", "arena.duckdb.wal.recovery", 2, LOG),
        ("play tic_tac_toe random random --record", "arena.duckdb.wal", 3, LOG),
        ("play tic_tac_toe random random --record", "arena.duckdb", 3, ITSELF),
        ("watch --metrics", "arena.duckdb", 2, ITSELF),
        ("serve --port 0 --metrics", "arena.duckdb.wal", 2, LOG),
        ("persist --broker redis://127.0.0.1:1 --metrics", "arena.duckdb", 2, ITSELF),
    ],
)
def test_what_belongs_to_the_store_is_not_written_over(
    tmp_path: Path, words: str, name: str, code: int, said: str
) -> None:
    made(tmp_path, run_of("a"))
    (tmp_path / "linked.wal").symlink_to(tmp_path / "arena.duckdb.wal")

    done = arena(tmp_path, *words.split(), str(tmp_path / name))

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1)
    assert said in done.stderr
    assert stored(tmp_path) == 50
    assert not (tmp_path / "arena.duckdb.wal").exists()


@pytest.mark.parametrize("rest", [b"", b"no gzip at all"])
def test_what_comes_before_the_damage_is_imported(tmp_path: Path, rest: bytes) -> None:
    made(tmp_path, run_of("a", 400), name="from.duckdb")
    out, cut = tmp_path / "whole.jsonl.gz", tmp_path / "cut.jsonl.gz"
    arena(tmp_path, "export", "--output", str(out), "--db", str(tmp_path / "from.duckdb"))
    data = out.read_bytes()
    cut.write_bytes(data + rest if rest else data[: len(data) // 2])
    readable = zlib.decompressobj(31).decompress(cut.read_bytes()).count(b"\n")
    made(tmp_path)

    done = arena(tmp_path, "import", str(cut))

    assert done.returncode == 2
    assert "what was read until there is kept" in done.stderr
    assert 0 < readable <= len(gzip.decompress(data).splitlines())
    assert stored(tmp_path) >= readable - 2  # of the lines, one is the gap, one maybe cut


def test_a_table_of_something_else_is_said_to_be_none_of_ours(tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    duckdb.sql("SELECT 1 AS a").write_parquet(str(other))
    made(tmp_path)

    done = arena(tmp_path, "import", str(other))

    assert done.returncode == 2
    assert done.stderr.splitlines()[0].endswith(": give a file that export wrote")
    assert stored(tmp_path) == 0


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl.zst", "a.jsonl.gz", "a.jsonl"])
def test_where_a_file_finds_no_room_the_system_is_quoted(tmp_path: Path, name: str) -> None:
    made(tmp_path, run_of("a", 3_000, text=os.urandom(50).hex()))
    limited = ["sh", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh", *ARENA]

    done = subprocess.run(
        [*limited, "export", "--output", str(tmp_path / name)], capture_output=True, text=True,
        timeout=60, check=False, env=surroundings(tmp_path) | {"ARENA_LOG": os.devnull},
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (
        3, f"arena-tui: cannot write {tmp_path / name}: File too large: give another name\n",
    )  # fmt: skip
    assert [each.name for each in tmp_path.iterdir() if "partial" in each.name] == []
