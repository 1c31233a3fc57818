"""What commands print: JSON lines, or plain text for people; and where the log goes."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from arena_tui.config import log_path

_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]|\x7f")
"""What JSON leaves as it is though terminals obey it: DEL, and C1 in UTF-8, where U+009B is CSI."""

_LOG_BYTES = 2_000_000
_LOG_FILES = 3


def say(text: str = "") -> None:
    """Print one line of the result to stdout; control characters never reach the terminal."""
    sys.stdout.write(harmless(text) + "\n")


def tell(text: str) -> None:
    """Print one line to stderr, apart from the result."""
    sys.stderr.write(harmless(text) + "\n")


def say_json(value: Any) -> None:
    """Print one JSON object as one line to stdout."""
    say_json_line(msgspec.json.encode(value))


def say_json_line(line: bytes) -> None:
    """Print an encoded JSON object to stdout; control characters in it are written as `\\u009b`, so
    that it says the same and never reaches the terminal with them."""
    escaped = _CONTROLS.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), line)
    sys.stdout.buffer.write(escaped + b"\n")


def say_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, each column as wide as its longest cell."""
    table = [list(header), *([harmless(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())


def counted(number: int, noun: str) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def local_time(at: datetime) -> str:
    """`2026-03-14 13:03:14+01:00`: local time, as on the screens, with its offset from UTC."""
    return local(at).isoformat(" ", "seconds")


def local(at: datetime) -> datetime:
    """The same instant in local time; unchanged where the calendar has no such time."""
    try:
        return at.astimezone()
    except (OverflowError, ValueError):
        return at


def harmless(text: str) -> str:
    """The text with control characters replaced."""
    return "".join(char if char.isprintable() else "�" for char in text)


class Log(NamedTuple):
    """Where log records go.

    Attributes:
        path: The file; the null device if none can be written.
        problem: Why none can be written, and what to do; None if all is well.
    """

    path: Path
    problem: str | None


def begin_log(debug: bool = False) -> Log:
    """Send log records to the user's log file; if that cannot be written, say so and log nothing.

    A record that cannot be written later on, since the disk is full, is dropped.
    """
    path, problem = log_path(), None
    handler: logging.Handler = logging.NullHandler()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_fifo():  # opening it would wait for a reader
            raise OSError(errno.EINVAL, "it is a pipe")
        handler = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES)
    except OSError as error:
        problem = f"cannot write the log {path}: {error.strerror}: set ARENA_LOG to another file"
        tell(f"arena-tui: {problem}")
        path = Path(os.devnull)
    logging.raiseExceptions = False
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=[handler],
    )
    return Log(path, problem)


class Console(logging.Handler):
    """Prints lines to stderr, above a status line that is updated in place; and log warnings,
    while its context is open."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._status = ""
        self._is_terminal = sys.stderr.isatty()

    def __enter__(self) -> Console:
        logging.getLogger("arena_tui").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.show_status("")
        logging.getLogger("arena_tui").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.say(record.getMessage())

    def say(self, text: str) -> None:
        """Print one permanent line."""
        self._write("\r\x1b[K" if self._status else "")
        tell(f"arena-tui: {text}")
        self._write(self._status)
        sys.stderr.flush()

    def show_status(self, text: str) -> None:
        """Set the status line; does nothing without a terminal."""
        if self._is_terminal:
            self._status = harmless(text)[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r\x1b[K{self._status}")
            sys.stderr.flush()

    def _write(self, text: str) -> None:
        if self._is_terminal:
            sys.stderr.write(text)
