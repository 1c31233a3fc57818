"""A program on a real pseudo-terminal, for tests that look at what it draws."""

from __future__ import annotations

import os
import pty
import select
import signal
import termios
from pathlib import Path

import pyte

_READS_MAX = 200
"""Pieces of output after which what one waits for is not going to come."""


class Terminal:
    """A program on a pseudo-terminal 120 × 40, and what it draws."""

    def __init__(self, command: list[str], home: Path) -> None:
        environment = {**os.environ, "TERM": "xterm-256color", "HOME": str(home),
                       "ARENA_LOG": str(home / "log"), "COLORTERM": "truecolor"}  # fmt: skip
        for size_of_another in ("COLUMNS", "LINES"):
            environment.pop(size_of_another, None)
        self.raw = b""
        self.screen = pyte.Screen(120, 40)
        self._stream = pyte.ByteStream(self.screen)
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            try:
                termios.tcsetwinsize(0, (40, 120))
                os.execvpe(command[0], command, environment)
            finally:
                os._exit(127)

    def wait_for(self, text: str) -> None:
        """Read until the text stands on the screen, or after a minus no longer does."""
        for _ in range(_READS_MAX):
            if (text.removeprefix("-") in self.text()) != text.startswith("-"):
                return
            if not self._read(20.0):
                break
        self.kill()
        raise AssertionError(f"{text!r} never came:\n{self.text()}")

    def press(self, key: bytes) -> None:
        os.write(self._fd, key)

    def read(self, pieces: int) -> None:
        """Read so many pieces of output more."""
        for _ in range(pieces):
            self._read(20.0)

    def wait(self) -> int:
        """Read to the end; returns the exit code."""
        while self._read(20.0):
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """As somebody does who closes the window."""
        os.close(self._fd)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def text(self) -> str:
        """What stands on the screen; a wide character's second cell is empty.

        pyte's own `display` raises when a write has just replaced the first cell of one.
        """
        cells, columns = self.screen.buffer, range(self.screen.columns)
        return "\n".join(
            "".join(cells[line][column].data for column in columns)
            for line in range(self.screen.lines)
        )

    def _read(self, quiet_s: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], quiet_s)
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65_536)
        except OSError:
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)
