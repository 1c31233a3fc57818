"""A program on a pseudo-terminal of its own, drained all the time. Knows not what it shows."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from arena_tui.bench.measure import BenchError

__all__ = ["Terminal"]

_PATIENCE_S = 30.0
_CHUNK = 1 << 16
_TOLD_BYTES = 300
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[P\]].*?(?:\x07|\x1b\\)|.)", re.DOTALL)


class Terminal:
    """A context manager: leaving it ends the program, however it is.

    Args:
        command: The program and its arguments; one of them may be `{report}`, in whose place comes
            the number of a file descriptor on which it may report, a line each.
        folder: Where its log and settings are looked for, instead of the user's.
        size: Columns and lines.
        patience_s: How long anything is waited for.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        size: tuple[int, int] = (160, 48),
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._name = " ".join(command[1:4])
        self.started_at = time.perf_counter()
        self._master, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, size[::-1])
        self._report, report = os.pipe()
        self._output = bytearray()
        self._lines = bytearray()
        self._program = subprocess.Popen(
            [str(report) if word == "{report}" else word for word in command],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=_environment(folder),
            pass_fds=[report],
            start_new_session=True,
            # Its own terminal in full: when we are killed, the hang-up ends it, too.
            preexec_fn=_take_terminal,  # noqa: PLW1509 - one system call, no lock
        )
        os.close(terminal)
        os.close(report)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._program.kill()
        self._program.wait()
        os.close(self._master)
        os.close(self._report)

    def wait_for(self, text: re.Pattern[bytes]) -> float:
        """Read until `text` arrives; returns when it did, on `time.perf_counter`.

        Raises:
            BenchError: The program ended, or takes far too long.
        """
        patience_ends = time.perf_counter() + self._patience_s
        while not text.search(self._output):
            self._read(patience_ends)
        return time.perf_counter()

    def press(self, key: bytes, text: re.Pattern[bytes]) -> float:
        """Send a key; seconds until `text`, which must not be on its way before, arrives."""
        self._output.clear()
        pressed_at = time.perf_counter()
        os.write(self._master, key)
        return self.wait_for(text) - pressed_at

    def watch(self, seconds: float) -> bytes:
        """What arrives in so many seconds."""
        self._output.clear()
        ends = time.perf_counter() + seconds
        while self._wait(ends):
            self._take()
        return bytes(self._output)

    def ask(self) -> str:
        """Signal the program (SIGUSR1) to report; returns the line."""
        self._program.send_signal(signal.SIGUSR1)
        return self.reported()

    def reported(self) -> str:
        """The next line that the program reports."""
        patience_ends = time.perf_counter() + self._patience_s
        while b"\n" not in self._lines:
            self._read(patience_ends)
        line, _, rest = self._lines.partition(b"\n")
        self._lines = rest
        return line.decode()

    def _read(self, patience_ends: float) -> None:
        if time.perf_counter() > patience_ends:
            raise self._failure(f"did not show what it should within {self._patience_s:g} s")
        if self._wait(patience_ends) and not self._take():
            raise self._failure("ended")

    def _wait(self, until: float) -> list[int]:
        """Which of both can be read, waiting for no longer than that."""
        room_s = max(0.0, until - time.perf_counter())
        return select.select([self._master, self._report], [], [], room_s)[0]

    def _take(self) -> bool:
        """Read what is there; False once the program has ended."""
        alive = True
        for source in self._wait(0.0):
            try:
                data = os.read(source, _CHUNK)
            except OSError:  # Linux: nobody has the other end open
                data = b""
            if source == self._master:
                self._output += data
                alive = bool(data)
            else:
                self._lines += data
        return alive

    def _failure(self, what: str) -> BenchError:
        said = _ESCAPES.sub(b" ", bytes(self._output)).decode(errors="replace")
        tail = " ".join(said.split())[-_TOLD_BYTES:]
        return BenchError(f"cannot measure {self._name}: it {what}: {tail or '(no output)'}")


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _environment(folder: Path) -> dict[str, str]:
    """The user's, but for settings, log, and what would change how it draws."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ARENA_", "TEXTUAL"))
        and name not in ("COLUMNS", "LINES", "NO_COLOR")
    }
    own = {"ARENA_CONFIG": str(folder / "none.toml"), "ARENA_LOG": str(folder / "log")}
    return {**kept, **own, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
