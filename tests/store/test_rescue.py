"""A store whose file goes away: written anew where that can be, and never said to be stored."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from arena_tui.errors import StoreError
from arena_tui.events import LogEvent
from arena_tui.store.database import Connection, Database
from tests.envelopes import envelope
from tests.store.test_database import count
from tests.store_fixture import problems, store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "arena's.duckdb"


@pytest.fixture
def database(path: Path) -> Database:
    """A store with events in its file, and one in its log."""
    before = Database(str(path))
    add(before, 1, 2)
    before.close()
    path.chmod(0o600)
    database = Database(str(path))
    add(database, 3)
    return database


def add(database: Database, *seqs: int) -> None:
    asyncio.run(store(database, [envelope("run", 5, seq, LogEvent()) for seq in seqs]))


def folder_deleted(path: Path) -> None:
    shutil.rmtree(path.parent)


def file_deleted(path: Path) -> None:
    path.unlink()


def file_and_log_deleted(path: Path) -> None:
    path.unlink()
    Path(f"{path}.wal").unlink()


def file_renamed(path: Path) -> None:
    path.rename(path.with_name("moved"))


def folder_renamed(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


GONE = [folder_deleted, file_deleted, file_and_log_deleted, file_renamed, folder_renamed]


@pytest.mark.parametrize("go", GONE)
@pytest.mark.parametrize("then", ["write", "close"])
def test_a_file_that_is_gone_is_written_anew_with_all_it_held(
    database: Database, path: Path, go: Callable[[Path], None], then: str
) -> None:
    go(path)
    if then == "write":
        add(database, 4, 5)
    database.close()

    (warned,) = database.warnings.newest()
    again = Database(str(path))
    assert "was written anew" in str(warned)
    assert (count(again), problems(again)) == (5 if then == "write" else 3, [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again.close()
    assert [each.name for each in path.parent.iterdir() if each.name != "moved"] == [path.name]


def test_one_that_goes_again_and_again_is_written_again_and_again(
    database: Database, path: Path
) -> None:
    for seq in range(4, 8):
        GONE[seq % 3](path)
        add(database, seq)
    database.close()

    again = Database(str(path))
    assert (count(again), problems(again)) == (7, [])
    again.close()


def test_one_that_goes_during_a_commit_is_there_after_it(database: Database, path: Path) -> None:
    def bookmark(connection: Connection) -> None:
        connection.execute("INSERT INTO bookmarks VALUES ('a', 1, 1, '', TIMESTAMP '2026-01-01')")
        path.unlink()

    asyncio.run(database.write(bookmark))

    assert path.exists()
    database.close()
    again = Database(str(path))
    assert again.read_now(lambda c: c.execute("SELECT count(*) FROM bookmarks").fetchall()) == [
        (1,)
    ]
    again.close()


def test_what_is_moved_away_is_whole(database: Database, path: Path) -> None:
    moved = path.with_name("moved")
    path.rename(moved)
    add(database, 4)
    database.close()

    assert count(Database(str(moved), only_read=True)) == 3


async def test_a_read_under_way_is_ended_and_later_ones_see_all(
    database: Database, path: Path
) -> None:
    begun = threading.Event()

    def endless(connection: Connection) -> object:
        begun.set()
        return connection.execute(
            "SELECT count(*) FROM range(1000000000000) a, range(1000000) b"
        ).fetchall()

    reading = asyncio.create_task(database.read(endless))
    await asyncio.to_thread(begun.wait)
    path.unlink()
    await store(database, [envelope("run", 5, 4, LogEvent())])

    with pytest.raises(StoreError, match="cannot read"):
        await reading
    assert count(database) == 4
    database.close()


@pytest.mark.parametrize("log", [None, b"theirs"])
async def test_another_file_in_its_place_is_neither_written_nor_hurt(
    database: Database, path: Path, log: bytes | None
) -> None:
    fresh = path.with_name("theirs")
    fresh.write_bytes(b"another file")
    os.replace(fresh, path)
    if log is not None:
        Path(f"{path}.wal").unlink()
        Path(f"{path}.wal").write_bytes(log)

    with pytest.raises(StoreError, match="replaced by another file"):
        await store(database, [envelope("run", 5, 4, LogEvent())])
    with pytest.raises(StoreError, match=r"what it held is in .*kept-") as raised:
        await database.aclose()
    database.close()

    kept = str(raised.value).partition("what it held is in ")[2]
    assert path.read_bytes() == b"another file"
    assert log is None or Path(f"{path}.wal").read_bytes() == log
    assert count(Database(kept, only_read=True)) == 3


def test_once_the_other_file_is_away_it_goes_on(database: Database, path: Path) -> None:
    path.unlink()
    path.write_bytes(b"another file")
    with pytest.raises(StoreError, match="replaced"):
        add(database, 4)
    path.unlink()

    add(database, 4)
    database.close()

    assert count(Database(str(path), only_read=True)) == 4


def test_one_that_cannot_be_written_anew_is_said_to_be_lost(database: Database, path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("a file where the folder was")

    with pytest.raises(StoreError, match="cannot write"):
        add(database, 4)
    with pytest.raises(StoreError, match="what it held is lost"):
        database.close()
