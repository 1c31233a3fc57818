"""Runs a program on its own pseudo-terminal. Knows nothing of what it shows."""

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

from arena_tui.bench.measure import BenchError

_TIMEOUT_S = 120.0
_CHUNK = 1 << 16
_TAIL_CHARS = 300
_MATCH_MAX = 512
"""Bytes of the longest text that is waited for. Output is searched once, as it comes: searching it
from its start at each of the many reads of a frame took longer than the frame."""
_QUESTION, _ANSWER = b"\x1b[5n", b"\x1b[0n"
"""DSR: a terminal answers once it has shown all before it."""
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[P\]].*?(?:\x07|\x1b\\)|.)", re.DOTALL)


class Terminal:
    """A context manager that kills the program on exit.

    Args:
        command: The program and its arguments; `{report}` stands for the number of a file
            descriptor to which it may write reports, one per line.
        folder: Holds its log and settings, instead of the user's folders.
        size: Columns and lines.
        timeout_s: Bound on every wait.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        size: tuple[int, int] = (160, 48),
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._timeout_s = timeout_s
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
            # Its controlling terminal: when this process dies, the hang-up ends the program.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no lock
        )
        os.close(terminal)
        os.close(report)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.kill()
        self._program.wait()
        os.close(self._master)
        os.close(self._report)

    @property
    def pid(self) -> int:
        """Of the program."""
        return self._program.pid

    def wait_for(self, text: re.Pattern[bytes]) -> float:
        """Read until `text` arrives; returns the `time.perf_counter` of its arrival.

        Raises:
            BenchError: The program ended, or the wait timed out.
        """
        deadline = time.perf_counter() + self._timeout_s
        searched = 0
        while not text.search(self._output, max(0, searched - _MATCH_MAX)):
            searched = len(self._output)
            self._read(deadline)
        return time.perf_counter()

    def press(self, key: bytes, text: re.Pattern[bytes]) -> float:
        """Send a key; seconds until `text` arrives, which must not be in flight before."""
        self._output.clear()
        pressed_at = time.perf_counter()
        os.write(self._master, key)
        return self.wait_for(text) - pressed_at

    def watch(self, seconds: float) -> bytes:
        """The output of the next `seconds` seconds.

        Raises:
            BenchError: The program ended.
        """
        self._output.clear()
        deadline = time.perf_counter() + seconds
        while self._wait(deadline):
            if not self._drain():
                raise self._failure("ended")
        return bytes(self._output)

    def ask(self) -> str:
        """Signal the program (SIGUSR1) to report; returns the line."""
        self.signal(signal.SIGUSR1)
        return self.reported()

    def signal(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self._program.send_signal(number)

    def reported(self) -> str:
        deadline = time.perf_counter() + self._timeout_s
        while b"\n" not in self._lines:
            self._read(deadline)
        line, _, rest = self._lines.partition(b"\n")
        self._lines = rest
        return line.decode()

    def _read(self, deadline: float) -> None:
        if time.perf_counter() > deadline:
            raise self._failure(f"did not show what it should within {self._timeout_s:g} s")
        if self._wait(deadline) and not self._drain():
            raise self._failure("ended")

    def _wait(self, deadline: float) -> list[int]:
        """The readable ones of both descriptors, waiting no longer than `deadline`."""
        timeout_s = max(0.0, deadline - time.perf_counter())
        return select.select([self._master, self._report], [], [], timeout_s)[0]

    def _drain(self) -> bool:
        """Read what is available; returns False once the program has ended."""
        alive = True
        for source in self._wait(0.0):
            try:
                data = os.read(source, _CHUNK)
            except OSError:  # Linux: EIO, the other end is closed
                data = b""
            if source == self._master:
                self._output += data
                os.write(self._master, _ANSWER * data.count(_QUESTION))
                alive = bool(data)
            else:
                self._lines += data
        return alive

    def _failure(self, what: str) -> BenchError:
        text = _ESCAPES.sub(b" ", bytes(self._output)).decode(errors="replace")
        tail = " ".join(text.split())[-_TAIL_CHARS:]
        return BenchError(f"cannot measure {self._name}: it {what}: {tail or '(no output)'}")


def _environment(folder: Path) -> dict[str, str]:
    """The user's environment, without settings, log, and whatever affects drawing or makes Python
    compile each module at each start."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ARENA_", "TEXTUAL"))
        and name not in ("COLUMNS", "LINES", "NO_COLOR", "PYTHONDONTWRITEBYTECODE")
    }
    own = {"ARENA_CONFIG": str(folder / "none.toml"), "ARENA_LOG": str(folder / "log")}
    return {**kept, **own, "TERM": "xterm-256color", "COLORTERM": "truecolor"}


def first_seen_s(command: Sequence[str], folder: Path, text: re.Pattern[bytes]) -> float:
    """Seconds from starting a program until it has shown a text."""
    with Terminal(command, folder) as terminal:
        return terminal.wait_for(text) - terminal.started_at
