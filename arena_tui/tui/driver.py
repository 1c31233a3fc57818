"""Textual's driver, except that it survives being stopped and continued."""

from __future__ import annotations

import asyncio
import contextlib
import termios
from typing import Any

from textual.drivers.linux_driver import LinuxDriver


class TerminalDriver(LinuxDriver):
    """Takes the terminal back after a SIGSTOP, instead of starting a second time.

    On SIGCONT Textual starts application mode again, which is right after a SIGTSTP, on which it
    has ended it. After a SIGSTOP, of which no program is told, it is still on: a second thread
    reads the same terminal, each key wakes both, and the one that comes too late blocks in `read`,
    where exiting waits for it (`linux_driver.py` of Textual 8.2).
    """

    _loop_in_use: asyncio.AbstractEventLoop | None = None
    _modes: list[Any] | None = None

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._loop_in_use = asyncio.get_running_loop()
        with contextlib.suppress(termios.error):
            self._modes = termios.tcgetattr(self.fileno)

    def stop_application_mode(self) -> None:
        self._loop_in_use = None
        super().stop_application_mode()

    def resume_application_mode(self) -> None:
        """Called by the handler of SIGCONT, between any two instructions of the main thread: the
        terminal is taken back on the loop, since writing to it takes locks."""
        if self._loop_in_use is None:
            super().resume_application_mode()
        else:
            self._loop_in_use.call_soon_threadsafe(self._take_back)

    def _take_back(self) -> None:
        """Undo what a shell may have done to the terminal, and have the screen painted anew."""
        if self._loop_in_use is None:  # stopped meanwhile
            return
        if self._modes is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self._modes)
        self.write("\x1b[?1049h\x1b[?25l\x1b[?2004h")  # alternate screen, no cursor, whole pastes
        self.send_message(self.SignalResume())
