"""Programs on real pseudo-terminals, for tests that look at what they draw."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pyte
import pytest

from tests.waiting import pause_blocking, until_blocking

_PATIENCE_S = 60.0
"""After which what one waits for is not going to come."""
_QUIET_S = 20.0
_PIECE_BYTES = 65_536
_SLOW_BYTES = 500
_QUESTION, _ANSWER = b"\x1b[5n", b"\x1b[0n"
"""DSR, which every real terminal answers; pyte does not."""


class Terminal:
    """A program on a pseudo-terminal, and what it draws.

    Args:
        size: Columns and lines.
        bytes_per_s: What the line to it takes; the terminal at its far end then answers, too.

    Attributes:
        pid: The program's process.
        raw: All it has written, as far as it was read.
        screen: What that looks like.
        modes_before, modes_after: How the terminal is set (echo, whole lines, signals) when the
            program starts, and once it has ended.
    """

    def __init__(
        self, command: list[str], home: Path, size: tuple[int, int] = (120, 40),
        bytes_per_s: int | None = None,
    ) -> None:  # fmt: skip
        environment = {**os.environ, "TERM": "xterm-256color", "HOME": str(home),
                       "ARENA_LOG": str(home / "log"), "COLORTERM": "truecolor"}  # fmt: skip
        for size_of_another in ("COLUMNS", "LINES"):
            environment.pop(size_of_another, None)
        self.raw = b""
        self.screen = pyte.Screen(*size)
        self._bytes_per_s = bytes_per_s
        self._stream = pyte.ByteStream(self.screen)
        self._exit_code: int | None = None
        self._closed = False
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            try:
                termios.tcsetwinsize(0, size[::-1])
                os.execvpe(command[0], command, environment)
            finally:
                os._exit(127)
        self.modes_before = self.modes_after = termios.tcgetattr(self._fd)

    def wait_for(self, text: str) -> None:
        """Read until the text stands on the screen, or after a minus no longer does."""
        gone = text.startswith("-")
        self.wait_for_pattern(re.escape(text.removeprefix("-")), gone=gone)

    def wait_for_pattern(self, pattern: str, *, gone: bool = False) -> None:
        """`wait_for` with a regular expression."""
        deadline = time.monotonic() + _PATIENCE_S
        while (re.search(pattern, self.text()) is None) is not gone:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self._read(left_s):
                how = "stayed" if gone else "never came"
                raise AssertionError(f"{pattern!r} {how}:\n{self.text()}")

    def press(self, key: bytes) -> None:
        os.write(self._fd, key)

    def read(self, pieces: int) -> None:
        """Read so many pieces of output more."""
        for _ in range(pieces):
            self._read(_QUIET_S)

    def read_now(self) -> None:
        """Read what there is, without waiting for more."""
        while self._read(0):
            pass

    def wait(self) -> int:
        """Read to the end; returns the exit code.

        Raises:
            AssertionError: The program does not end.
        """
        while not self._closed and self._read(_QUIET_S):
            pass
        try:
            until_blocking(self._has_ended, _PATIENCE_S)
        except TimeoutError:
            raise AssertionError(f"process {self.pid} does not end:\n{self.text()}") from None
        assert self._exit_code is not None
        if not self._closed:
            self.modes_after = termios.tcgetattr(self._fd)
        self.close()
        return self._exit_code

    def _has_ended(self) -> bool:
        if self._exit_code is None:
            if not self._closed:
                self._read(0)
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self._exit_code = os.waitstatus_to_exitcode(status)
        return self._exit_code is not None

    def stop(self, number: int = signal.SIGSTOP) -> None:
        """As `kill -STOP` does, or -TSTP."""
        os.kill(self.pid, number)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def resume(self) -> None:
        """As a shell's `fg` does."""
        os.kill(self.pid, signal.SIGCONT)

    def take_over(self) -> None:
        """Set the terminal to its first modes and clear it, as a shell's prompt may do."""
        termios.tcsetattr(self._fd, termios.TCSANOW, self.modes_before)
        self.screen.reset()

    def close(self) -> None:
        """As somebody does who closes the window."""
        if not self._closed:
            self._closed = True
            os.close(self._fd)

    def kill(self) -> None:
        if self._exit_code is None:
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
            data = os.read(self._fd, _PIECE_BYTES if self._bytes_per_s is None else _SLOW_BYTES)
        except OSError:
            return False
        if self._bytes_per_s is not None:
            pause_blocking(len(data) / self._bytes_per_s)
            self.press(_ANSWER * data.count(_QUESTION))
        self.raw += data
        self._stream.feed(data)
        return bool(data)


OpenTerminal: TypeAlias = Callable[[list[str]], Terminal]


@pytest.fixture
def open_terminal(tmp_path: Path) -> Iterator[OpenTerminal]:
    """Runs commands on terminals of their own, at home in `tmp_path`; all end with the test."""
    terminals: list[Terminal] = []

    def start(command: list[str]) -> Terminal:
        terminals.append(Terminal(command, tmp_path))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.kill()
        terminal.wait()
