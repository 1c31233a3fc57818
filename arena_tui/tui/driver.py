"""Textual's driver, except that it survives being stopped, and whatever a terminal sends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import selectors
import termios
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from typing import IO, Any, Final, Protocol, cast, runtime_checkable

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from arena_tui.tui.frames import FrameLoop
from arena_tui.tui.terminal_input import ANSWER, ESCAPE, TerminalInput

_READ_BYTES: Final = 4_096
_LOOK_S: Final = 0.1
"""How often the thread that reads looks whether it is to end."""
_LOOK_PENDING_S: Final = 0.02
"""The same while a key may have begun."""

_log = logging.getLogger(__name__)


class InputLost(Message):
    """Nothing can be read from the terminal any more; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


@runtime_checkable
class Framed(Protocol):
    """An app that begins no frame before the last one has left."""

    @property
    def frames(self) -> FrameLoop: ...


class TerminalDriver(LinuxDriver):
    """Reads keys through `TerminalInput`, and says with `InputLost` when there is no more to read.

    Takes the terminal back after a SIGSTOP, instead of starting a second time.

    On SIGCONT Textual starts application mode again, which is right after a SIGTSTP, on which it
    has ended it. After a SIGSTOP, of which no program is told, it is still on: a second thread
    reads the same terminal, each key wakes both, and the one that comes too late blocks in `read`,
    where exiting waits for it (`linux_driver.py` of Textual 8.2).
    """

    is_frugal = False
    """Whether it sends as little as it can."""

    _loop_in_use: asyncio.AbstractEventLoop | None = None
    _modes: list[Any] | None = None
    _parser: XTermParser

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._written = self._flushed = 0
        if isinstance(self._app, Framed):
            self._app.frames.leave_through(self)
        self._out = _Flushed(cast(IO[str], self._file), self.on_flushed)
        self._file = cast(Any, self._out)

    @property
    def is_settled(self) -> bool:
        """Whether all that was written has left this process."""
        return self._flushed == self._written

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._loop_in_use = asyncio.get_running_loop()
        with contextlib.suppress(termios.error):
            self._modes = termios.tcgetattr(self.fileno)

    def stop_application_mode(self) -> None:
        self._loop_in_use = None
        super().stop_application_mode()

    def write(self, data: str) -> None:
        self._written += len(data)
        super().write(data)

    def on_flushed(self) -> None:
        """From the thread that writes: what was written before has left this process."""
        self._flushed = self._out.written

    def run_input_thread(self) -> None:
        """Read keys until the driver is stopped; what cannot be parsed is logged and dropped."""
        try:
            with selectors.SelectSelector() as selector:
                selector.register(self.fileno, selectors.EVENT_READ)
                self._read_keys(selector)
        except Exception as error:  # noqa: BLE001 - said and logged; the app ends in order
            if self.exit_event.is_set():
                return
            _log.exception("the terminal cannot be read any more")
            self.process_message(InputLost(str(error) or type(error).__name__))

    def _read_keys(self, selector: selectors.BaseSelector) -> None:
        decode = getincrementaldecoder("utf-8")("surrogateescape").decode
        source = TerminalInput()
        self._parser = XTermParser()
        came_at = time.monotonic()
        while not self.exit_event.is_set():
            if selector.select(_LOOK_PENDING_S if source.is_pending else _LOOK_S):
                data = os.read(self.fileno, _READ_BYTES)
                if not data:
                    raise OSError(errno.EIO, "the terminal is gone")
                pieces = source.feed(decode(data))
                came_at = time.monotonic()
            else:
                pieces = source.quiet(time.monotonic() - came_at)
            for piece in pieces:
                self._take(piece)

    def _take(self, piece: str) -> None:
        """Hand on what one key or report means."""
        if piece == ESCAPE:
            self.process_message(events.Key("escape", ESCAPE))
            return
        if piece == ANSWER:
            self._on_answered()
            return
        try:
            messages = list(self._parser.feed(piece))
        except Exception:  # noqa: BLE001 - the input must not end with one report
            _log.exception("the terminal sent %r, which cannot be read", piece)
            self._parser = _renewed(self._parser)
            return
        for message in messages:
            self.process_message(message)

    def _on_answered(self) -> None:
        """From the thread that reads: the terminal has answered; nobody here asks it."""

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


class _Flushed:
    """A file that tells when what was written to it has been flushed.

    Attributes:
        written: Characters so far.
    """

    def __init__(self, file: IO[str], on_flushed: Callable[[], None]) -> None:
        self._file = file
        self._on_flushed = on_flushed
        self.written = 0

    def write(self, text: str) -> None:
        self._file.write(text)
        self.written += len(text)

    def flush(self) -> None:
        self._file.flush()
        self._on_flushed()

    def fileno(self) -> int:
        return self._file.fileno()


def _renewed(parser: XTermParser) -> XTermParser:
    """A parser in place of one that raised, which takes nothing more."""
    new = XTermParser()
    new.mouse_pixels = parser.mouse_pixels
    new.terminal_size = parser.terminal_size
    new.terminal_pixel_size = parser.terminal_pixel_size
    return new
