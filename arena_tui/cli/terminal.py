"""The terminal, or the browser, that the app draws on. Knows nothing of what is drawn."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arena_tui.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_POLL_S = 0.5
_CANNOT_DRAW: Final = ("dumb", "unknown")
_DRIVER: Final = "TEXTUAL_DRIVER"
_DRIVER_OF_BROWSERS: Final = "textual.drivers.web_driver:WebDriver"


class Output(io.RawIOBase):
    """Terminal output that cannot block exit, even when the terminal is stopped or gone.

    Writing to a terminal that is not being read blocks. After `leave`, output that cannot be
    written at once is discarded, so that the program can exit.

    Args:
        terminal: A descriptor of the terminal, of which it has one of its own.
    """

    def __init__(self, terminal: int) -> None:
        self._leaving = False
        self._gone = False
        self._fd = reopened(terminal)

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


def reopened(terminal: int) -> int:
    """A descriptor of the same terminal, opened anew, so that O_NONBLOCK affects no other one.

    A terminal of another user, as after `su`, or one without a name here, as in a container, can
    only be written to through what was inherited: then it is a duplicate, which may block.
    """
    try:
        return os.open(os.ttyname(terminal), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return os.dup(terminal)


def check_terminal(environment: Mapping[str, str] = os.environ) -> None:
    """Raises UsageError where nothing can be drawn."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the dashboard needs a terminal: use arena-tui play to play without one")
    if (term := environment.get("TERM")) in _CANNOT_DRAW:
        raise UsageError(
            f"the dashboard cannot draw with TERM={term}: set TERM to what your terminal is, "
            "xterm-256color say, or use arena-tui play"
        )


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
