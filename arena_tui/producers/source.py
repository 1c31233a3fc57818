"""The lines of an open file or pipe, as they arrive. Decodes and publishes nothing."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from io import FileIO
from typing import Final

from arena_tui.producers.lines import Line, LineCutter

_CHUNK_BYTES: Final = 256 * 1024
_POLL_S: Final = 0.1
"""How soon waiting for more notices that it should stop."""


class LineSource:
    """Reads one file, from where it stands. Holds one chunk and one partial line.

    What it returns raises OSError when the file cannot be read.

    Attributes:
        file: The file, unbuffered; belongs to the caller.
    """

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self._cutter = LineCutter()

    def read(self) -> Iterator[Line] | None:
        """Lines completed by the next bytes; None at the end, or when a pipe has none now.

        Exhaust them before reading on.
        """
        data = self.file.read(_CHUNK_BYTES)
        return self._cutter.feed(data) if data else None

    def rest(self) -> Iterator[Line]:
        """The partial line, once nothing more is to come."""
        return self._cutter.rest()

    def until_end(self, stop: threading.Event) -> Iterator[Line]:
        """All lines up to the end, waiting for them; after `stop`, those of bytes already read.

        A last line without a newline counts only at the end.
        """
        while not stop.is_set():
            ready, _, _ = select.select([self.file], [], [], _POLL_S)
            if ready:
                lines = self.read()
                yield from self.rest() if lines is None else lines
                if lines is None:
                    return
