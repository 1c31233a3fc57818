"""The processes of a scenario, each ended by its own handle, and what they wrote to stderr."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
from pathlib import Path
from typing import IO, Any, Final

from tests.waiting import pause

ARENA_TUI: Final = ("-m", "arena_tui")
_TROUBLES: Final = ("Traceback (most recent", "Task was destroyed", "was never retrieved")


class Child:
    """A process started in the scenario's folder; its stderr, and stdout if not piped, are files.

    Attributes:
        command: How it was started.
        errors: The file of its stderr, which each start appends to.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        command: list[str],
        *,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> None:
        self.command = command
        self.errors = folder / f"{name}.err"
        with self.errors.open("ab") as errors, (folder / f"{name}.out").open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=stdin, stdout=output if stdout is None else stdout, stderr=errors,
                env=environment(folder, name), process_group=0,
            )  # fmt: skip

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def suspend(self, for_s: float) -> None:
        """Stop it for that time (SIGSTOP, SIGCONT)."""
        self.signal(signal.SIGSTOP)
        try:
            await pause(for_s)
        finally:
            self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, and reap it."""
        self.process.kill()
        self.process.wait()

    async def wait(self, at_most_s: float | None = None) -> bool:
        """Whether it ended in that time."""
        try:
            await asyncio.to_thread(self.process.wait, at_most_s)
        except subprocess.TimeoutExpired:
            return False
        return True


class Screen(Child):
    """A program on a pseudo-terminal 120 × 40; what it draws is read and kept.

    Attributes:
        raw: All it has drawn.
    """

    def __init__(self, name: str, folder: Path, command: list[str]) -> None:
        self.command = command
        self.errors = folder / f"{name}.log"
        self.raw = b""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        try:
            self.process = subprocess.Popen(
                command, stdin=slave, stdout=slave, stderr=slave,
                env=environment(folder, name), start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(slave)
        self._reading = threading.Thread(target=self._read, name=f"screen {name}", daemon=True)
        self._reading.start()

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def close(self) -> None:
        """Let go of the terminal, once the program has ended."""
        self._reading.join()
        os.close(self._master)
        with self.errors.open("ab") as log:
            log.write(b"\n".join(line for line in self.raw.splitlines() if b"Traceback" in line))

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65_536)
            except OSError:
                return
            if not data:
                return
            self.raw += data


def environment(folder: Path, name: str) -> dict[str, Any]:
    """A home of its own for each process, with its log."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    own = {"HOME": str(home), "ARENA_LOG": str(folder / f"{name}.log"), "TERM": "xterm-256color",
           "COLORTERM": "truecolor", "PYTHONUNBUFFERED": "1"}  # fmt: skip
    return {key: value for key, value in os.environ.items() if not key.startswith("ARENA_")} | own


def troubles(folder: Path) -> dict[str, str]:
    """The first line of trouble in each file of stderr or log, by file name."""
    found = {}
    for path in sorted([*folder.glob("*.err"), *folder.glob("*.log")]):
        text = path.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            if any(each in line for each in _TROUBLES):
                found[path.name] = line.strip()[:200]
                break
    return found
