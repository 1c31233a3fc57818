"""The terminal the app draws on. Knows nothing of what is drawn."""

from __future__ import annotations

import io
import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["Output", "text_output"]

_LOOK_S = 0.5


class Output(io.RawIOBase):
    """A terminal that may be stopped, or gone, without holding up whoever leaves it.

    While nobody reads a terminal, writing to it waits. After `leave`, what cannot be written at
    once is thrown away: the program must be able to end. It is opened anew, so that not to wait for
    it is a matter of this output alone.
    """

    def __init__(self, path: str) -> None:
        self._leaving = False
        self._gone = False
        self._fd = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)

    def leave(self) -> None:
        """The program has been told to end."""
        self._leaving = True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view) and not self._gone:
            try:
                _, ready, _ = select.select([], [self._fd], [], _LOOK_S)
                if ready:
                    written += os.write(self._fd, view[written:])
                elif self._leaving:
                    self._gone = True
            except BlockingIOError:
                continue
            except OSError:  # the terminal was closed
                self._gone = True
        return len(view)

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()


def text_output(output: Output) -> io.TextIOWrapper:
    """As the stream that programs print to."""
    return io.TextIOWrapper(
        io.BufferedWriter(output), encoding="utf-8", errors="replace", write_through=True
    )
