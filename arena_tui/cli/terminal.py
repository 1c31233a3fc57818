"""The terminal, or the browser, that the app draws on. Knows nothing of what is drawn."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_POLL_S = 0.5
_DRIVER: Final = "TEXTUAL_DRIVER"
_DRIVER_OF_BROWSERS: Final = "textual.drivers.web_driver:WebDriver"


class Output(io.RawIOBase):
    """Terminal output that cannot block exit, even when the terminal is stopped or gone.

    Writing to a terminal that is not being read blocks. After `leave`, output that cannot be
    written at once is discarded, so that the program can exit. The terminal is opened again, so
    that O_NONBLOCK affects no other descriptor.
    """

    def __init__(self, path: str) -> None:
        self._leaving = False
        self._gone = False
        self._fd = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)

    def leave(self) -> None:
        """Discard what would block from now on: the program is exiting."""
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
                _, ready, _ = select.select([], [self._fd], [], _POLL_S)
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
    """Wrap the output as a text stream to print to."""
    return io.TextIOWrapper(
        io.BufferedWriter(output), encoding="utf-8", errors="replace", write_through=True
    )


def in_browser() -> bool:
    """Whether this process is a dashboard that `web` has started."""
    return os.environ.get(_DRIVER) == _DRIVER_OF_BROWSERS


@contextmanager
def own_pipe(log: Path) -> Iterator[None]:
    """Reserve stdout, which leads to the browser, for the app: all other output goes to the log."""
    from arena_tui.games.quiet import quiet_fds

    before = sys.__stdout__
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as pipe, quiet_fds(log, stdout=True):
        sys.__stdout__ = pipe  # type: ignore[misc]
        try:
            yield
        finally:
            sys.__stdout__ = before  # type: ignore[misc]
