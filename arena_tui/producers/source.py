"""The lines of an open file or pipe, as they arrive. Decodes and publishes nothing."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Iterator
from io import FileIO
from typing import Final

from arena_tui.producers.lines import Line, LineCutter
from arena_tui.producers.unpacking import Unpacker

_CHUNK_BYTES: Final = 256 * 1024
_COMPARED_BYTES: Final = 4096
_POLL_S: Final = 0.1
"""How soon waiting for more notices that it should stop."""


class RewrittenError(Exception):
    """What was read of the file is no longer in it; `shorter`: nor as many bytes."""

    def __init__(self, shorter: bool) -> None:
        super().__init__()
        self.shorter = shorter


class LineSource:
    """Reads one file, from where it stands; gzip is unpacked, UTF-16 decoded. Holds one chunk, one
    piece and one partial line.

    What it returns raises OSError when the file cannot be read.

    Args:
        watched: Whether to notice that the file, read from its beginning, is written anew: then
            the first and the last bytes read, up to 4 KiB each, are compared on each reading.

    Attributes:
        file: The file, unbuffered; belongs to the caller.
    """

    def __init__(self, file: FileIO, watched: bool = False) -> None:
        self.file = file
        self._unpacker = Unpacker()
        self._cutter = LineCutter()
        self._watched = watched and stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        self._head = b""
        self._tail = b""
        self._offset = 0

    def read(self) -> Iterator[Line] | None:
        """Lines completed by the next bytes; None at the end, or when a pipe has none now.

        Exhaust them before reading on.

        Raises:
            RewrittenError: The file was written anew since it was read before.
        """
        data = self.file.read(_CHUNK_BYTES)
        if self._watched:
            self._compare()  # after reading: what is written anew now is noticed next time
            self._note(data or b"")
        return self._lines(data) if data else None

    @property
    def damage(self) -> str | None:
        """Why nothing can be read from some place on, though there is more, once that is so."""
        return self._unpacker.damage

    def rest(self) -> Iterator[Line]:
        """The partial line, once nothing more is to come; of damaged data, nothing."""
        for piece in self._unpacker.finish():
            yield from self._cutter.feed(piece)
        if self.damage is None:
            yield from self._cutter.rest()

    def unfinished(self) -> Line | None:
        """The partial line as it stands."""
        return self._cutter.unfinished()

    def take_unfinished(self) -> Iterator[Line]:
        """The partial line, though more may come; then a new line begins."""
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

    def _lines(self, data: bytes) -> Iterator[Line]:
        for piece in self._unpacker.feed(data):
            yield from self._cutter.feed(piece)

    def _compare(self) -> None:
        number = self.file.fileno()
        tail_at = self._offset - len(self._tail)
        if (
            os.pread(number, len(self._head), 0) != self._head
            or os.pread(number, len(self._tail), tail_at) != self._tail
        ):
            raise RewrittenError(os.fstat(number).st_size < self._offset)

    def _note(self, data: bytes) -> None:
        self._offset += len(data)
        self._head += data[: _COMPARED_BYTES - len(self._head)]
        self._tail = (self._tail + data[-_COMPARED_BYTES:])[-_COMPARED_BYTES:]
