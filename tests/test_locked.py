"""Whoever cannot have a store is told why in one line: who has it, and what there is to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer

import pytest

from arena_tui.errors import StoreError, StoreForeignError, StoreLockedError
from arena_tui.locked import file_system, locked
from arena_tui.services.stored import reached
from arena_tui.store.database import Database
from arena_tui.store.remote import RemoteDatabase
from arena_tui.unix_socket import socket_path
from tests.cli.test_commands import arena
from tests.other_user import as_other_user
from tests.programs import holding

MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / {0} rw,relatime shared:1 - nfs4 server:/home rw
31 22 0:41 / {0}\\040of\\040mine rw - cifs //server/mine rw
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has a store open and shares it with nobody."""
    path = tmp_path / "arena.duckdb"
    with holding(str(path)) as process:
        path.chmod(0o644)
        yield process


def read(path: Path, patience_s: float = 0.0) -> object:
    def here(work: object) -> object:
        with closing(Database(str(path), only_read=True)) as database:
            return database.read_now(work)  # type: ignore[arg-type]

    remote = RemoteDatabase(str(path), patience_s=patience_s, open_here=here)
    return remote.read_now(lambda reader: reader.execute("SELECT 1").fetchall())


def test_a_process_that_does_not_share_it_is_named(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    with pytest.raises(StoreLockedError) as raised:
        read(tmp_path / "arena.duckdb")

    assert raised.value.pid == holder.pid
    assert str(raised.value) == (
        f"the store {tmp_path / 'arena.duckdb'} is open in process {holder.pid}, which does not "
        "share it (an older arena-tui, or another program?): quit that one, or give another store"
    )


def test_it_is_read_once_that_process_has_ended(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    ending = threading.Timer(0.1, holder.communicate, [""])
    ending.start()

    assert read(tmp_path / "arena.duckdb", patience_s=60) == [(1,)]
    ending.join()


def test_a_process_of_another_user_is_named_at_once(
    by_another_user: Path, holder: subprocess.Popen[str]
) -> None:
    told = as_other_user("runs", "--db", str(by_another_user / "arena.duckdb"))

    assert (told.returncode, told.stderr.count("\n")) == (3, 1)
    assert f"is open in process {holder.pid} of another user (root): have that one quit, or" in (
        told.stderr
    )
    assert told.stderr.endswith("give another store with --db\n")


def test_a_process_out_of_sight_is_not_taken_for_one_of_here(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root for a namespace of processes")
    script = "import sys; from arena_tui.cli import main; sys.exit(main())"
    told = subprocess.run(
        ["unshare", "-p", "-f", "--mount-proc", sys.executable, "-c", script, "runs", "--db",
         str(tmp_path / "arena.duckdb")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if "unshare" in told.stderr:
        pytest.skip("namespaces are not allowed here")

    assert (told.returncode, told.stderr.count("\n")) == (3, 1)
    assert "is open in a process that cannot be seen from here" in told.stderr


def test_a_file_system_of_several_machines_is_told(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(tmp_path / "home"))

    told = locked(str(tmp_path / "home" / "a.duckdb"), None, mounts=mounts)

    assert "is open on another machine (it lies on nfs4): use it there, or give" in str(told)
    assert file_system(str(tmp_path / "home of mine" / "a"), mounts) == "cifs"
    assert file_system(str(tmp_path / "homes" / "a"), mounts) == "ext4"
    assert file_system("/", tmp_path / "no such file") is None


class OfAnotherVersion(BaseHTTPRequestHandler):
    answer = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'{"version":"9.0","protocol":99,"pid":7}', "in process 7 of arena-tui 9.0, which this"),
        (b'{"hello":"world"}', "in a process of arena-tui of unknown version, which this one"),
    ],
)
def test_an_owner_of_another_version_is_named_at_once(
    holder: subprocess.Popen[str], tmp_path: Path, answer: bytes, said: str
) -> None:
    path = tmp_path / "arena.duckdb"
    handler = type("Handler", (OfAnotherVersion,), {"answer": answer})
    with UnixStreamServer(socket_path(str(path)), handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            with pytest.raises(StoreForeignError, match=said):
                read(path, patience_s=60)
        finally:
            server.shutdown()
            serving.join()


def test_a_program_is_told_its_own_words_and_a_command_its_own(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    path = tmp_path / "arena.duckdb"
    script = "import sys, arena_tui; arena_tui.connect(db=sys.argv[1])"
    program = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    play = arena(tmp_path, "play", "synth").stderr
    close = arena(tmp_path, "close", "x").stderr

    assert program.stderr.endswith("give another store with db=, or none with store=False\n")
    assert play.endswith("give another store with --db, or none with --no-store\n")
    assert close.endswith("give another store with --db\n")


def test_a_socket_that_another_user_left_does_not_keep_anybody_from_reading(
    tmp_path: Path,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give a socket to another user")
    path = tmp_path / "arena.duckdb"
    Database(str(path)).close()
    UnixStreamServer(socket_path(str(path)), BaseHTTPRequestHandler).server_close()
    os.chown(socket_path(str(path)), 12345, -1)

    assert reached(str(path)).read_now(lambda each: each.execute("SELECT 1").fetchall()) == [(1,)]


def test_where_there_is_no_store_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store at"):
        read(tmp_path / "none.duckdb")
