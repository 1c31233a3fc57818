"""A driver for slow lines: sends only the cells that changed, and no more than the line takes."""

from __future__ import annotations

import asyncio
import termios
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from arena_tui.tui.cells import Cells
from arena_tui.tui.driver import TerminalDriver

_LEAST: Final = 2_048
"""Characters of a piece that is under way on a slow line, which a key waits for."""
_MOST: Final = 65_536
_QUICK_S: Final = 0.1
_SLOW_S: Final = 0.2
"""Pieces grow while they take no longer than the one, and shrink when they take the other."""
_ASK: Final = "\x1b[5n"
"""DSR: a terminal answers once it has shown all before it, at the far end of whatever line."""
_FIRST_ANSWER_S: Final = 1.0
"""After which a terminal that has never answered is asked no more."""
_ANSWER_S: Final = 30.0
"""After which an answer is taken for lost."""
_LEAVE_S: Final = 1.0
"""How long leaving waits for an answer, which would else be typed into the shell."""


def is_remote(environment: Mapping[str, str]) -> bool:
    """Whether the terminal is at the other end of an SSH connection."""
    return bool(environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"))


class FrugalDriver(TerminalDriver):
    """Holds what is drawn, and sends the difference, piece by piece: the next one once the terminal
    has shown the last. So nothing queues up, and what a key changes is sent in the next piece."""

    is_frugal = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._cells = Cells()
        self._size_then: tuple[int, int] | None = None
        self._sent_all = True
        self._limit = _LEAST
        self._is_full = False
        self._sent_at = 0.0
        self._fastest_s = float("inf")  # there and back, with next to nothing on the line
        self._answers: bool | None = None  # until the first, or the lack of it
        self._under_way = False
        self._answered = threading.Event()
        self._answered.set()
        self._lost: asyncio.TimerHandle | None = None

    @property
    def is_settled(self) -> bool:
        return self._sent_all and not self._under_way and super().is_settled

    def write(self, data: str) -> None:
        size = None
        with suppress(termios.error):
            size = termios.tcgetwinsize(self.fileno)
        if size != self._size_then:
            self._size_then = size
            self._cells.forget()
        if other := self._cells.draw(data):
            super().write(other)
        self._sent_all = False
        self._send()

    def stop_application_mode(self) -> None:
        if self._answers:
            self._answered.wait(_LEAVE_S)
        super().stop_application_mode()

    def _send(self) -> None:
        """Send the next piece, unless one is under way."""
        if self._under_way:
            return
        piece = self._cells.changes(self._limit)
        if not piece:
            self._sent_all = True
            return
        self._under_way = True
        self._answered.clear()
        self._is_full = len(piece) >= self._limit
        self._sent_at = time.monotonic()
        super().write(piece if self._answers is False else piece + _ASK)
        if self._answers is not False:
            patience_s = _ANSWER_S if self._answers else _FIRST_ANSWER_S
            self._lost = self._loop.call_later(patience_s, self._give_up)

    def _on_answered(self) -> None:
        self._answered.set()  # here: leaving blocks the loop
        self._loop.call_soon_threadsafe(self._on_taken)

    def _on_taken(self) -> None:
        """The terminal has shown the piece: fit the next one to how long that took."""
        self._answers = True
        taken_s = time.monotonic() - self._sent_at
        self._fastest_s = min(self._fastest_s, taken_s)
        on_line_s = taken_s - self._fastest_s
        if on_line_s > _SLOW_S:
            self._limit = max(_LEAST, self._limit // 2)
        elif self._is_full and on_line_s < _QUICK_S:
            self._limit = min(_MOST, self._limit * 2)
        self._go_on()

    def _give_up(self) -> None:
        if self._answers is None:
            self._answers = False
        self._go_on()

    def on_flushed(self) -> None:
        super().on_flushed()
        if self._answers is False:
            self._loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        if self._lost is not None:
            self._lost.cancel()
            self._lost = None
        self._under_way = False
        self._send()
