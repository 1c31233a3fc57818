"""Children that inherit a connection and never use it: the end of their parent is noticed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import arena_tui
from arena_tui.broker.attached.processes import MIRROR
from arena_tui.config import Config
from arena_tui.services.sharing import make_runtime
from arena_tui.store.owner import Attached
from arena_tui.unix_socket import connected
from tests.services.forking import kinds_stored
from tests.waiting import until

PATIENCE_S = 60.0
ASK = b"GET /owner HTTP/1.1\r\nhost: arena\r\n\r\n"
PARENT = """\
import os, signal, sys
import arena_tui
from arena_tui.consumers.protocol import Consumer

class Onlooker(Consumer):
    name, durable = "onlooker", False

    async def start(self): return "oldest"

    async def handle(self, batch): return {}

arena = arena_tui.connect(db=sys.argv[1], consumers=[lambda _: Onlooker()])
with arena.run("g", run_id="parent") as run:
    run.log("1")
    print("connected", flush=True)
    sys.stdin.readline()
    pid = os.fork()
    if not pid:
        signal.pause()
    print(pid, flush=True)
    sys.stdin.readline()
"""


class Parent:
    """A process that has recorded something, and has a child once it is told to."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(path)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.pid = self._process.pid
        assert self._told() == "connected"

    def _told(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def fork(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._told())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def close(self) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def killed_with_a_child_left(parent: Parent) -> Iterator[None]:
    """The parent is gone by SIGKILL; the child lives until the context ends."""
    child = parent.fork()
    try:
        parent.kill()
        yield
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ARENA_BROKER", "ARENA_DB", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ARENA_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "arena.duckdb"


@pytest.fixture
def parent(path: Path) -> Iterator[Parent]:
    started = Parent(path)
    yield started
    started.close()


def test_the_store_of_a_killed_owner_is_taken_over_while_its_child_lives(
    parent: Parent, path: Path
) -> None:
    with arena_tui.connect(db=str(path)) as arena, arena.run("g", run_id="other") as run:
        run.log("1")
        with killed_with_a_child_left(parent):
            run.log("2")
            run.end()
            arena.close()

    assert kinds_stored(path)["other"] == {"run_start": 1, "log": 2, "run_end": 1}


def test_a_killed_owner_s_connections_end_while_its_child_lives(parent: Parent, path: Path) -> None:
    link = connected(str(path), PATIENCE_S)
    assert link is not None
    with link:
        link.settimeout(PATIENCE_S)
        link.sendall(ASK)
        answer = b""
        while str(parent.pid).encode() not in answer:
            answer += link.recv(65_536)

        with killed_with_a_child_left(parent):
            assert _rest(link) == b""
            assert connected(str(path), 0) is None


async def test_a_killed_process_is_attached_no_longer_while_its_child_lives(path: Path) -> None:
    owner = make_runtime(Config(db=str(path)), attached=False)
    await owner.open()
    parent = await asyncio.to_thread(Parent, path)
    try:
        await until(lambda: Attached(parent.pid, MIRROR) in owner.storing.attached())

        with killed_with_a_child_left(parent):
            await until(lambda: Attached(parent.pid, MIRROR) not in owner.storing.attached())
    finally:
        parent.close()
        await owner.aclose()


def _rest(link: socket.socket) -> bytes:
    try:
        return link.recv(65_536)
    except ConnectionResetError:
        return b""
