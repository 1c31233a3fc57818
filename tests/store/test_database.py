"""A store that is locked, foreign, read-only or damaged: reported in one line, nothing deleted."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from arena_tui.errors import StoreError, StoreLockedError, StoreUnreadableError
from arena_tui.events import LogEvent
from arena_tui.store.database import Connection, Database
from arena_tui.store.history import read_runs
from arena_tui.store.schema import SCHEMA_VERSION
from arena_tui.store.verify import verify_store
from tests.envelopes import envelope
from tests.programs import OPENS_A_STORE, holding
from tests.store_fixture import problems, store
from tests.waiting import until

KILLED_WRITER = """
import asyncio, os, signal, sys
from arena_tui.events import LogEvent
from arena_tui.store.database import Database
from arena_tui.consumers.persister import Persister
from tests.envelopes import envelope

async def main():
    persister = Persister(Database(sys.argv[1]))
    for batch in range(30):
        first = batch * 20 + 1
        await persister.handle(
            [envelope("run", 5, seq, LogEvent(text="x" * 40)) for seq in range(first, first + 20)]
        )
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""

FORMAT_1 = """
CREATE TABLE meta (schema_version INTEGER NOT NULL);
INSERT INTO meta VALUES (1);
CREATE TABLE runs (
    run_id VARCHAR PRIMARY KEY, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
    game VARCHAR, label VARCHAR, agents VARCHAR, tags VARCHAR, seed BIGINT, config VARCHAR,
    status VARCHAR, outcome VARCHAR, reason VARCHAR,
    turns BIGINT, events BIGINT, errors BIGINT, lost BIGINT,
    input_tokens BIGINT, output_tokens BIGINT, cost_usd DOUBLE,
    started_at TIMESTAMP, ended_at TIMESTAMP, last_at TIMESTAMP, parent_run_id VARCHAR
);
CREATE VIEW cursors AS SELECT run_id, epoch, seq FROM runs;
CREATE TABLE events (
    run_id VARCHAR NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
    turn BIGINT, kind VARCHAR NOT NULL, agent_id VARCHAR, ts TIMESTAMP NOT NULL,
    payload VARCHAR NOT NULL
);
CREATE TABLE gaps (
    run_id VARCHAR NOT NULL, epoch BIGINT NOT NULL, from_seq BIGINT NOT NULL,
    to_seq BIGINT NOT NULL, reason VARCHAR NOT NULL, noted_at TIMESTAMP NOT NULL
);
CREATE TABLE quarantine (
    run_id VARCHAR, epoch BIGINT, seq BIGINT, error VARCHAR NOT NULL, raw BLOB NOT NULL,
    noted_at TIMESTAMP NOT NULL
);
CREATE TABLE bookmarks (
    run_id VARCHAR NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
    note VARCHAR, created_at TIMESTAMP NOT NULL
);
INSERT INTO runs (run_id, epoch, seq, status, turns, events, errors, lost) VALUES
    ('old', 7, 1, 'running', 0, 1, 0, 0), ('short', 7, 1, 'running', 0, 1, 0, 0);
INSERT INTO events VALUES
    ('old', 7, 1, NULL, 'log', NULL, TIMESTAMP '2026-01-01', '{"kind":"log"}'),
    ('short', 7, 1, NULL, 'log', NULL, TIMESTAMP '2026-01-01', '{"kind":"log"}');
INSERT INTO gaps VALUES
    ('old', 7, 2, 1, 'reset', TIMESTAMP '2026-01-01'),
    ('short', 7, 2, 1, 'unknown', TIMESTAMP '2026-01-01');
"""
"""A store as the first format had it: a run whose stream was made anew, and one that lost more."""

TO_FORMAT_2 = """
UPDATE meta SET schema_version = 2;
ALTER TABLE runs ADD COLUMN lost_unknown BIGINT DEFAULT 0;
ALTER TABLE runs ADD COLUMN broker VARCHAR;
UPDATE runs SET lost_unknown = 1 WHERE run_id = 'short';
"""


def count(database: Database) -> int:
    return int(
        database.read_now(lambda c: c.execute("SELECT count(*) FROM events").fetchall())[0][0]
    )


def damaged(path: str) -> list[Path]:
    return sorted(Path(path).parent.glob("*.damaged-*"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 600 events whose writer was killed: everything is in the write-ahead log."""
    path = tmp_path_factory.mktemp("killed") / "arena.duckdb"
    done = subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert Path(f"{path}.wal").stat().st_size > 20_000
    return path


@pytest.fixture
def copy(killed: Path, path: str) -> str:
    shutil.copy(killed, path)
    shutil.copy(f"{killed}.wal", f"{path}.wal")
    return path


@pytest.fixture
def owner(path: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the store open."""
    with holding(path) as process:
        yield process


def test_another_process_is_named_in_one_line(owner: subprocess.Popen[str], path: str) -> None:
    with pytest.raises(StoreLockedError) as raised:
        Database(path)

    assert raised.value.pid == owner.pid
    assert f"process {owner.pid}" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert damaged(path) == []


def test_asking_for_a_locked_store_does_not_free_its_lock(
    owner: subprocess.Popen[str], path: str
) -> None:
    for _ in range(2):
        with pytest.raises(StoreLockedError):
            Database(path)


def test_one_s_own_lock_outlives_a_second_look(path: str) -> None:
    """Closing a file anew would let go of all locks that its process has on it."""
    mine = Database(path)
    with pytest.raises(StoreLockedError, match="is open in this process"):
        Database(path)
    other = subprocess.run(
        [sys.executable, "-c", OPENS_A_STORE, path],
        input="",
        capture_output=True,
        text=True,
        check=False,
    )

    assert "StoreLockedError" in other.stderr
    mine.close()


def test_everything_committed_before_a_kill_is_there(copy: str) -> None:
    database = Database(copy)

    assert (count(database), database.warnings.newest(), problems(database)) == (600, (), [])
    database.close()
    assert not Path(f"{copy}.wal").exists()


@pytest.mark.parametrize("seed", range(4))
def test_a_log_cut_short_opens_at_its_last_whole_transaction(copy: str, seed: int) -> None:
    wal = Path(f"{copy}.wal")
    whole = wal.read_bytes()
    length = random.Random(seed).randrange(len(whole))
    wal.write_bytes(whole[:length])

    database = Database(copy)

    assert count(database) % 20 == 0
    assert problems(database) == []
    database.close()


def test_an_end_that_is_silently_cut_off_is_told_and_kept(copy: str) -> None:
    wal = Path(f"{copy}.wal")
    whole = bytearray(wal.read_bytes())
    ends = [at for at in range(len(whole)) if whole.startswith(whole[-21:], at)]
    whole[ends[-4] + 21 + 2] = 0xFF  # length of the entry after the fourth commit from the end
    wal.write_bytes(whole)

    database = Database(copy)

    assert count(database) == 540
    assert problems(database) == []
    (warned,) = database.warnings.newest()
    assert "could not be read" in str(warned)
    assert [kept.read_bytes() for kept in damaged(copy)] == [bytes(whole)]
    database.close()


@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_bit_in_the_log_costs_what_comes_after_it_only(copy: str, seed: int) -> None:
    wal = Path(f"{copy}.wal")
    whole = bytearray(wal.read_bytes())
    at = random.Random(seed).randrange(len(whole))
    whole[at] ^= 1 << seed
    wal.write_bytes(whole)
    shutil.copy(copy, f"{copy}.cut")
    Path(f"{copy}.cut.wal").write_bytes(whole[:at])
    cut = Database(f"{copy}.cut")
    whole_before_the_flip = count(cut)
    cut.close()

    database = Database(copy)

    assert count(database) >= whole_before_the_flip
    assert problems(database) == []
    (warned,) = database.warnings.newest()
    (kept,) = damaged(copy)
    assert str(kept) in str(warned)
    assert kept.read_bytes() == whole
    database.close()
    again = Database(copy)
    assert (again.warnings.newest(), count(again) >= whole_before_the_flip) == ((), True)
    again.close()


@pytest.mark.parametrize("garbage", [b"\xff" * 64, b"\x00" * 64, b"\x10" + b"\xff" * 63])
def test_a_log_that_is_damaged_at_its_start_is_kept_beside(copy: str, garbage: bytes) -> None:
    wal = Path(f"{copy}.wal")
    whole = bytearray(wal.read_bytes())
    whole[:64] = garbage
    wal.write_bytes(whole)

    database = Database(copy)

    assert count(database) == 0
    assert [kept.read_bytes() for kept in damaged(copy)] == [bytes(whole)]
    assert len(database.warnings.newest()) == 1
    database.close()


@pytest.mark.parametrize("at", [100, 4_200, 12_400, -5_000])
@pytest.mark.parametrize("with_log", [True, False])
def test_a_flipped_bit_in_the_file_begins_a_new_one(copy: str, at: int, with_log: bool) -> None:
    if not with_log:
        Database(copy).close()
    main = bytearray(Path(copy).read_bytes())
    log = Path(f"{copy}.wal").read_bytes() if with_log else b""
    main[at % len(main)] ^= 4
    Path(copy).write_bytes(main)

    database = Database(copy)

    if database.warnings.newest():
        (warned,) = database.warnings.newest()
        kept = {each.suffix: each.read_bytes() for each in damaged(copy)}
        assert "moved to" in str(warned)
        assert bytes(main) in kept.values()
        assert not with_log or log in kept.values()
        assert count(database) == 0
    else:
        assert count(database) == 600  # the bit was in unused space
    assert problems(database) == []
    database.close()


def test_a_file_cut_short_begins_a_new_one(copy: str) -> None:
    Database(copy).close()
    Path(copy).write_bytes(Path(copy).read_bytes()[:20_000])

    database = Database(copy)

    assert (count(database), len(database.warnings.newest()), len(damaged(copy))) == (0, 1, 1)
    database.close()


def test_damaged_events_do_not_take_the_rest_with_them(path: str) -> None:
    database = Database(path)
    asyncio.run(fill(database, 40_000))
    database.close()
    main = bytearray(Path(path).read_bytes())
    main[len(main) // 2] ^= 1
    Path(path).write_bytes(main)

    database = Database(path)

    assert database.warnings.newest() == ()
    with pytest.raises(StoreError, match="cannot read the store: Corrupt"):
        database.read_now(lambda c: c.execute("SELECT sum(length(payload)) FROM events").fetchall())
    asyncio.run(store(database, [envelope("more", 1, 1, LogEvent())]))
    database.close()


async def fill(database: Database, events: int) -> None:
    await store(
        database,
        [
            envelope("run", 5, seq, LogEvent(text=os.urandom(40).hex()))
            for seq in range(1, events + 1)
        ],
    )


def test_two_damages_in_a_second_do_not_overwrite_each_other(copy: str) -> None:
    for _ in range(3):
        Path(copy).write_bytes(Path(copy).read_bytes()[:9_000])
        Database(copy).close()

    assert len([each for each in damaged(copy) if each.suffix != ".wal"]) == 3


@pytest.mark.parametrize(
    "content", [b"just a text", b"\x00" * 20_000, b"SQLite format 3\x00" + b"\x00" * 90]
)
def test_a_file_of_something_else_is_refused_untouched(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)

    with pytest.raises(StoreUnreadableError, match="not a store"):
        Database(path)

    assert Path(path).read_bytes() == content
    assert damaged(path) == []


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE mine (a INT)", "CREATE TABLE meta (key INT)", "CREATE SCHEMA s"]
)
def test_somebody_else_s_database_is_refused_untouched(path: str, statement: str) -> None:
    with duckdb.connect(path) as connection:
        connection.execute(statement)
        if "SCHEMA" in statement:
            connection.execute("CREATE TABLE s.mine (a INT)")

    with pytest.raises(StoreUnreadableError, match="something else"):
        Database(path)

    with duckdb.connect(path) as connection:
        tables = connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone()
    assert tables == (1,)


def test_a_newer_format_is_refused_untouched(path: str) -> None:
    Database(path).close()
    with duckdb.connect(path) as connection:
        connection.execute("UPDATE meta SET schema_version = ?", [SCHEMA_VERSION + 1])

    with pytest.raises(StoreUnreadableError, match="upgrade arena-tui"):
        Database(path)

    assert damaged(path) == []


def test_an_older_store_is_migrated_and_counts_its_losses_of_unknown_length(path: str) -> None:
    with duckdb.connect(path) as connection:
        connection.execute(FORMAT_1)

    for _ in range(2):
        database = Database(path)
        runs = database.read_now(lambda c: read_runs(c, sort="run_id", descending=False))
        verdicts = database.read_now(verify_store)
        database.close()

    assert [(each.run_id, each.lost, each.lost_unknown) for each in runs] == [
        ("old", 0, 0), ("short", 0, 1),
    ]  # fmt: skip
    assert [(each.run_id, each.ok, each.problems) for each in verdicts] == [
        ("old", True, ()), ("short", False, ()),
    ]  # fmt: skip


def test_an_empty_file_becomes_a_store(path: str) -> None:
    Path(path).touch()

    database = Database(path)

    assert (count(database), database.warnings.newest()) == (0, ())
    database.close()


def test_places_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(StoreError, match="is a folder"):
        Database(str(tmp_path))
    with pytest.raises(StoreError, match="cannot use"):
        Database(str(tmp_path / "file" / "a.duckdb"))
    with pytest.raises(StoreError, match="cannot use"):
        Database("/proc/nowhere/a.duckdb")


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    Database(str(tmp_path / "a" / "b" / "c.duckdb")).close()

    assert (tmp_path / "a" / "b" / "c.duckdb").exists()


def read_only(folder: Path, script: str) -> str:
    """The script's output with the folder mounted read-only, in a mount namespace of its own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root for a read-only mount")
    mount = f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c", script],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if "mount" in done.stderr:
        pytest.skip("mounting is not allowed here")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["none", "good", "damaged", "empty"])
def test_a_read_only_folder_is_said_and_left_alone(copy: str, kind: str) -> None:
    if kind == "none":
        for name in (copy, f"{copy}.wal"):
            os.unlink(name)
    elif kind == "damaged":
        Path(copy).write_bytes(Path(copy).read_bytes()[:9_000])
    elif kind == "empty":
        Path(copy).write_bytes(b"")
    files = {each: each.read_bytes() for each in Path(copy).parent.iterdir()}

    said = read_only(
        Path(copy).parent,
        "from arena_tui.store.database import Database\n"
        "from arena_tui.errors import StoreError\n"
        f"try: Database({copy!r})\n"
        "except StoreError as error: print(error)",
    )

    assert said.startswith("cannot write")
    assert said.count("\n") == 1
    assert {each: each.read_bytes() for each in Path(copy).parent.iterdir()} == files


@pytest.mark.parametrize(
    "message",
    [
        'IO Error: Cannot open file "a": Read-only file system',
        'IO Error: Failure while replaying WAL file "a": Could not write: No space left on device',
        "IO Error: Cannot open file: Too many open files",
        "Out of Memory Error: could not allocate block",
    ],
)
def test_circumstances_are_not_taken_for_damage(
    copy: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise duckdb.IOException(message)

    monkeypatch.setattr(duckdb, "connect", refuse)

    with pytest.raises(StoreError, match="cannot open"):
        Database(copy)

    assert damaged(copy) == []


async def test_a_transaction_is_whole_or_not_at_all(database: Database) -> None:
    def half(connection: Connection) -> None:
        connection.execute("INSERT INTO bookmarks VALUES ('a', 1, 1, '', TIMESTAMP '2026-01-01')")
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        await database.write(half)

    assert await database.read(lambda c: c.execute("FROM bookmarks").fetchall()) == []
    await database.write(lambda c: c.execute("DELETE FROM bookmarks"))


async def test_a_refused_statement_leaves_the_store_usable(database: Database) -> None:
    with pytest.raises(duckdb.Error):
        await database.write(lambda c: c.execute("INSERT INTO meta VALUES ('x')"))
    with pytest.raises(StoreError, match="cannot read the store"):
        await database.read(lambda c: c.execute("FROM nothing").fetchall())

    await store(database, [envelope("run", 1, 1, LogEvent())])

    assert count(database) == 1


async def test_after_a_fatal_error_the_store_is_opened_again(database: Database) -> None:
    def fatal(_: Connection) -> None:
        raise duckdb.FatalException("FATAL Error: database has been invalidated")

    with pytest.raises(StoreError, match="invalidated"):
        await database.write(fatal)
    await store(database, [envelope("run", 1, 1, LogEvent())])

    assert count(database) == 1


async def test_a_read_cancelled_before_its_query_begins_is_interrupted_in_it(
    database: Database,
) -> None:
    begun, cancelled, interrupted = (threading.Event() for _ in range(3))

    def work(connection: Connection) -> None:
        begun.set()
        cancelled.wait()
        try:
            connection.execute("SELECT count(*) FROM range(1000000000000)").fetchall()
        except duckdb.InterruptException:
            interrupted.set()

    reading = asyncio.create_task(database.read(work))
    await asyncio.to_thread(begun.wait)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    cancelled.set()

    await until(interrupted.is_set)


async def test_a_cancelled_read_stops_and_frees_its_thread(database: Database) -> None:
    endless = "SELECT count(*) FROM range(1000000000000) a, range(1000000) b"
    begun: list[Connection] = []

    def read(connection: Connection) -> object:
        begun.append(connection)
        return connection.execute(endless).fetchall()

    reads = [asyncio.create_task(database.read(read)) for _ in range(5)]
    async with asyncio.timeout(30):
        await until(lambda: len(begun) >= 3)
        for _ in range(3):
            for task in reads:
                task.cancel()
            await asyncio.wait(reads)
        async with asyncio.timeout(20):
            assert await database.read(lambda c: c.execute("SELECT 1").fetchone()) == (1,)


async def test_a_closed_store_says_so_and_closes_twice(path: str) -> None:
    database = Database(path)
    await database.aclose()
    await database.aclose()
    database.close()

    with pytest.raises(StoreError, match="is closed"):
        await database.read(lambda c: c.execute("SELECT 1").fetchone())
    with pytest.raises(StoreError, match="is closed"):
        await database.write(lambda c: c.execute("SELECT 1").fetchone())
    with pytest.raises(StoreError, match="cannot read"):
        database.read_now(lambda c: c.execute("SELECT 1").fetchone())


async def test_closing_waits_for_what_is_queued(path: str) -> None:
    database = Database(path)
    rows = [(number,) for number in range(20)]
    writes = [
        asyncio.ensure_future(
            database.write(lambda c, row=row: c.execute(
                "INSERT INTO bookmarks VALUES ('a', 1, ?, '', TIMESTAMP '2026-01-01')", row
            ))
        )
        for row in rows
    ]  # fmt: skip
    await asyncio.sleep(0)

    await database.aclose()
    await asyncio.gather(*writes)

    with duckdb.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM bookmarks").fetchone() == (20,)


async def test_memory_is_a_store_of_no_bytes() -> None:
    database = Database(":memory:")
    await store(database, [envelope("run", 1, 1, LogEvent())])

    assert (database.size_bytes, count(database), problems(database)) == (0, 1, [])
    database.close()
