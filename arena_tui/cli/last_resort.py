"""Ends a process that does not end. Knows nothing of what keeps it."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import termios
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from arena_tui.cli.output import harmless

_WITHIN_S: Final = 9.0
"""More than closing takes (`tui/app.py`), and less than the ten seconds that a user waits."""

_GIVE_BACK: Final = (
    b"\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"
    b"\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
)
"""What Textual's driver sends on leaving: pastes, line wrap, resizes, mouse, keyboard, screen,
cursor, focus."""

_log = logging.getLogger(__name__)


class LastResort:
    """A thread that ends the process `_WITHIN_S` after `begin`, whatever the others do.

    It gives the terminal back, says on stderr what is not saved, and exits with 1; after `done`
    there is nothing to say, and the exit code is known.

    Args:
        terminal: A descriptor of the terminal, not to block if that can be had.
        stderr: A descriptor for what is to be said, which stays open.

    Attributes:
        unsaved: Gives a message about what would be lost, or None; called from the thread.
    """

    def __init__(self, terminal: int, stderr: int) -> None:
        self.unsaved: Callable[[], str | None] = lambda: None
        self._terminal = terminal
        self._stderr = stderr
        self._modes = termios.tcgetattr(self._terminal)
        self._code: int | None = None
        self._begun: SimpleQueue[None] = SimpleQueue()  # its `put` is safe in a signal handler
        threading.Thread(target=self._watch, name="last resort", daemon=True).start()

    def begin(self) -> None:
        """The process is to end: count from now. Callable anywhere, and more than once."""
        self._begun.put(None)

    def done(self, code: int) -> None:
        """All is closed and said; only the interpreter has yet to exit with this code."""
        self._code = code

    def _watch(self) -> None:
        self._begun.get()
        time.sleep(_WITHIN_S)
        if self._code is None:
            told = f"did not end within {_WITHIN_S:g} s and was ended"
            with contextlib.suppress(Exception):  # the figures of a loop that goes on may move
                if unsaved := self.unsaved():
                    told = f"{told}: {unsaved}"
            _log.error(told)
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._modes)
            _write(self._terminal, _GIVE_BACK)
            on_terminal = os.isatty(self._stderr)
            text = f"arena-tui: {harmless(told)}\n".encode()
            _write(self._terminal if on_terminal else self._stderr, text)
        os._exit(1 if self._code is None else self._code)


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the terminal is gone
        if select.select([], [descriptor], [], 0)[1]:  # else it is stopped, and might block
            os.write(descriptor, data)
