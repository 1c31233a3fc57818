"""What a script prints, as lines: the newest of them. Reads no process, and cleans nothing."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

LINE_MAX_BYTES: Final = 64 * 1024
"""What a longer line has beyond that is dropped."""

_LINES_KEPT: Final = 10_000
_BYTES_KEPT: Final = 4 * 1024 * 1024

_FRAME: Final = re.compile(r'(?:  \||    )*\s*File "(.+)", line (\d+)')
_RAISED: Final = re.compile(r"(?:  \| )*([A-Za-z_][\w.]*)(?:: .*)?$")


class Output:
    """The newest lines: 10,000 of them, of 4 MiB in all. Thread-safe.

    A line that is overwritten from its beginning, as progress bars are, is what stands there last.
    Bytes that are no UTF-8 are replaced.

    Attributes:
        count: Lines so far, those included that are kept no longer.
        version: Increases with everything that comes.
    """

    def __init__(self) -> None:
        self.count = 0
        self.version = 0
        self._lock = threading.Lock()
        self._lines: deque[str] = deque()
        self._bytes = 0
        self._partial = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """Take what was read; returns the lines that are complete now."""
        *ends, rest = data.split(b"\n")
        with self._lock:
            self.version += 1
            complete = [self._complete(each) for each in ends]
            self._add(rest)
        return complete

    def finish(self) -> list[str]:
        """Nothing more comes: the last line is complete, if there is one."""
        with self._lock:
            self.version += 1
            return [self._complete(b"")] if self._partial else []

    def newest(self, count: int) -> tuple[str, ...]:
        """The last lines, that included which is still being written."""
        return self.since(self.count - count + 1)[1][-count:]

    def since(self, number: int) -> tuple[int, tuple[str, ...]]:
        """The number of the first line returned, from 1, and the lines that are kept from `number`
        on, that included which is still being written."""
        with self._lock:
            first = max(number, self.count - len(self._lines) + 1, 1)
            skipped = len(self._lines) - (self.count - first + 1)
            lines = [self._lines[at] for at in range(skipped, len(self._lines))]
            if self._partial:
                lines.append(_text(self._partial))
            return first, tuple(lines)

    def _complete(self, end: bytes) -> str:
        self._add(end)
        text = _text(self._partial)
        self._partial.clear()
        self.count += 1
        self._lines.append(text)
        self._bytes += len(text)
        while len(self._lines) > _LINES_KEPT or self._bytes > _BYTES_KEPT:
            self._bytes -= len(self._lines.popleft())
        return text

    def _add(self, data: bytes) -> None:
        self._partial += data
        last = self._partial.rstrip(b"\r").rfind(b"\r")
        if last >= 0:
            del self._partial[: last + 1]
        del self._partial[LINE_MAX_BYTES + 1 :]


class Crash(Struct, frozen=True):
    """The exception that a program says it ended with, and where it was raised."""

    file: str
    line: int
    exception: str


def crash_in(lines: Iterable[str]) -> Crash | None:
    """The last traceback of Python among these lines."""
    found: Crash | None = None
    frame: re.Match[str] | None = None
    for text in lines:
        if at := _FRAME.match(text):
            frame = at
        elif frame is not None and (raised := _RAISED.match(text)):
            exception = text[raised.start(1) :]
            found, frame = Crash(frame[1], int(frame[2]), exception), None
    return found


def _text(line: bytes | bytearray) -> str:
    text = bytes(line[:LINE_MAX_BYTES]).rstrip(b"\r").decode("utf-8", "replace")
    return f"{text}…" if len(line) > LINE_MAX_BYTES else text
