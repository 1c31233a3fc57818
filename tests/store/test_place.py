"""What lies at a store's path: only a regular file is opened, and who reads changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
from pathlib import Path

import duckdb
import pytest

from arena_tui.cli import main
from arena_tui.errors import StoreError, StoreUnreadableError
from arena_tui.events import RunEnd
from arena_tui.store.database import Database
from tests.envelopes import envelope
from tests.other_user import as_other_user
from tests.store.test_database import FORMAT_1, TO_FORMAT_2, count
from tests.store_fixture import store

READERS = [["runs"], ["show", "run"], ["events"], ["verify"], ["doctor"]]


def made(path: Path) -> Path:
    database = Database(str(path))
    asyncio.run(store(database, [envelope("run", 1, 1, RunEnd())]))
    database.close()
    return path


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(each): (each.lstat().st_ino, each.read_bytes() if each.is_file() else b"")
        for each in folder.rglob("*")
    }


@pytest.fixture(params=["folder", "pipe", "socket", "device", "pipe for a log"])
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / "x"
    if request.param == "folder":
        path.mkdir()
    elif request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    elif request.param == "device":
        path.symlink_to("/dev/null")  # a device that can do no harm, reached by a link
    else:
        made(path)
        os.mkfifo(tmp_path / "x.wal")
    return str(path)


@pytest.mark.parametrize("words", [*READERS[:-1], ["play", "synth", "--max-turns", "1"]])
def test_what_is_no_file_is_said_and_left_alone(
    no_file: str, words: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("ARENA_LOG", str(tmp_path.with_name("log")))
    before, device = contents(tmp_path), os.stat("/dev/null").st_mode

    code = main([*words, "--db", no_file])
    said = capfd.readouterr().err

    assert (code, said.count("\n")) == (3, 1)
    assert "give another store with --db" in said
    assert contents(tmp_path) == before
    assert os.stat("/dev/null").st_mode == device


@pytest.mark.parametrize("words", READERS)
@pytest.mark.parametrize("kind", ["empty", "link to empty", "none", "dangling", "log only"])
def test_who_reads_creates_and_removes_nothing(
    words: list[str], kind: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "sub" / "x"
    if kind != "none":
        path.parent.mkdir()
    if "link" in kind or kind == "dangling":
        path.symlink_to(tmp_path / "target")
    if "empty" in kind:
        path.resolve().touch()
    if kind in ("log only", "empty"):
        path.with_name("x.wal").write_bytes(b"of a store that was moved")
    before = contents(tmp_path)

    code = main([*words, "--db", str(path)])
    said = capfd.readouterr()

    assert contents(tmp_path) == before
    if words in (["runs"], ["events"], ["verify"]):
        assert code == (0 if "empty" in kind else 3)
        assert said.err.count("\n") == (0 if "empty" in kind else 1)


def test_an_empty_store_is_said_to_be_empty(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "x").touch()

    assert main(["runs", "--db", str(tmp_path / "x")]) == 0
    for_people = capfd.readouterr()
    assert main(["runs", "--json", "--db", str(tmp_path / "x")]) == 0
    for_programs = capfd.readouterr()

    assert for_people.out == "no runs yet\n"
    assert for_programs.out == ""


@pytest.mark.parametrize("link", [False, True])
def test_an_empty_file_becomes_a_store_where_it_is_with_its_permissions(
    tmp_path: Path, link: bool
) -> None:
    target, path = tmp_path / "target", tmp_path / "path"
    target.touch(0o600)
    path.symlink_to(target) if link else target.rename(path)

    made(path)

    assert path.is_symlink() == link
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {each.name for each in tmp_path.iterdir()} <= {"path", "target"}
    assert count(Database(str(path), only_read=True)) == 1


def test_a_store_behind_a_link_is_written_at_its_target(tmp_path: Path) -> None:
    (tmp_path / "path").symlink_to(tmp_path / "target")

    made(tmp_path / "path")

    assert (tmp_path / "path").is_symlink()
    assert count(Database(str(tmp_path / "target"), only_read=True)) == 1


def test_a_damaged_store_keeps_its_permissions(tmp_path: Path) -> None:
    path = made(tmp_path / "x")
    path.write_bytes(path.read_bytes()[:9_000])
    path.chmod(0o600)

    Database(str(path)).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_store_is_left_as_it_is_by_who_reads(tmp_path: Path) -> None:
    path = made(tmp_path / "x")
    path.write_bytes(path.read_bytes()[:9_000])
    before = contents(tmp_path)

    with pytest.raises(StoreUnreadableError, match="damaged"):
        Database(str(path), only_read=True)

    assert contents(tmp_path) == before


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_the_log_of_a_store_that_was_moved_away_is_kept(tmp_path: Path, left: str) -> None:
    path, log = tmp_path / "x", tmp_path / "x.wal"
    log.write_bytes(b"transactions of the other")
    if left != "nothing":
        path.touch()

    database = Database(str(path))
    (warned,) = database.warnings.newest()
    database.close()

    (kept,) = tmp_path.glob("x.left-*.wal")
    assert kept.read_bytes() == b"transactions of the other"
    assert str(kept) in str(warned)


@pytest.mark.parametrize("words", [*READERS[:-1], ["runs", "--json"]])
def test_a_store_that_may_only_be_read_is_read(by_another_user: Path, words: list[str]) -> None:
    path = by_another_user / "x"
    made(path).chmod(0o444)
    before = contents(by_another_user)

    done = as_other_user(*words, "--db", str(path))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert contents(by_another_user) == before


def test_one_that_was_killed_is_read_with_its_log(by_another_user: Path) -> None:
    path = made(by_another_user / "x")
    with duckdb.connect(str(path)) as writing:
        writing.execute("CREATE OR REPLACE VIEW cursors AS SELECT run_id, epoch, seq FROM runs")
        writing.execute("UPDATE runs SET game = 'in the log'")
        shutil.copy(path, f"{path}.copy")
        shutil.copy(f"{path}.wal", f"{path}.copy.wal")

    done = as_other_user("runs", "--db", f"{path}.copy")

    assert "in the log" in done.stdout


@pytest.mark.parametrize("words", [["runs"], ["show", "short"], ["events"], ["verify"], ["doctor"]])
@pytest.mark.parametrize("script", [FORMAT_1, FORMAT_1 + TO_FORMAT_2], ids=["1", "2"])
def test_an_older_one_is_read_and_left_as_it_is(
    words: list[str], script: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "it's old"
    with duckdb.connect(str(path)) as connection:
        connection.execute(script)
    before = contents(tmp_path)

    code = main([*words, "--db", str(path)])

    said = capfd.readouterr()
    assert (code, said.err) == (1 if words == ["verify"] else 0, "")
    assert said.out
    assert contents(tmp_path) == before


def test_an_older_one_that_may_only_be_read_is_read(by_another_user: Path) -> None:
    path = by_another_user / "x"
    with duckdb.connect(str(path)) as connection:
        connection.execute(FORMAT_1)

    done = as_other_user("runs", "--db", str(path))

    assert (done.returncode, done.stderr) == (0, "")
    assert "hort  –" in done.stdout


def test_writing_to_one_that_is_only_read_is_refused(tmp_path: Path) -> None:
    database = Database(str(made(tmp_path / "x")), only_read=True)

    with pytest.raises(StoreError, match="cannot write the store"):
        asyncio.run(store(database, [envelope("other", 1, 1, RunEnd())]))

    database.close()


DASHBOARD = """
import asyncio, concurrent.futures.thread, os, sys
from arena_tui.config import Config
from arena_tui.errors import ArenaError
from arena_tui.games.specs import GameSpec
from arena_tui.services.session import Session
from arena_tui.store import database, history, verify
from arena_tui.consumers import persister

async def main(playables):
    session = Session(Config(db=sys.argv[1]), playables)
    await session.begin(lambda: 0.0)
    try:
        await session.open()
        frame = await session.sample()
        runs = await session.history.runs()
        print(session.note, frame.truth.store, [run.run_id for run in runs])
        await session.history.delete("run")
    except ArenaError as error:
        print(error)
    await session.aclose(5)

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
asyncio.run(main([GameSpec(game="synth")] if sys.argv[2:] else []))
"""


def test_a_dashboard_shows_what_is_in_a_store_that_may_only_be_read(by_another_user: Path) -> None:
    path = by_another_user / "x"
    made(path).chmod(0o444)

    shown = as_other_user(str(path), script=DASHBOARD).stdout.splitlines()
    with_games = as_other_user(str(path), "playing", script=DASHBOARD).stdout.splitlines()

    assert shown == [
        f"the store {path} may only be read: nothing is stored off ['run']",
        f"cannot write the store {path}: it is open to be read",
    ]
    assert [line.partition(":")[0] for line in with_games] == [f"cannot write {path}"]
