"""The newest warnings of a process, of whatever part of it. Knows no words of theirs."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from arena_tui.broker.forked import ForkLock
from arena_tui.broker.own_log import own_log
from arena_tui.broker.warned import Code, Figure, Warned

_KEPT: Final = 20
"""How many of each code: a burst of one pushes out no other."""

_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_log = own_log(__name__)


class Warnings:
    """Logs, counts and keeps warnings. All methods may be called from any thread.

    Args:
        clock: Seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = ForkLock()
        self._number = 0
        self._counts: Counter[Code] = Counter()
        self._kept: dict[Code, deque[Warned]] = {}
        self._newest: tuple[Warned, ...] | None = None  # None: to be made of those kept

    def add(
        self,
        code: Code,
        run_id: str | None = None,
        consumer: str | None = None,
        error: BaseException | None = None,
        **figures: Figure,
    ) -> Warned:
        """Log a warning, with the traceback of `error`; count it and keep it."""
        with self._lock:
            self._counts[code] += 1
            number, now = self._number + 1, self._clock()
            warned = self._keep(Warned(number, now, code, run_id, consumer, figures))
        _log.log(_LEVELS[warned.severity], warned, exc_info=error)
        return warned

    def update(self, warned: Warned, **figures: Figure) -> Warned:
        """Give a warning other figures: it is the newest then, but no other one, so it is neither
        logged nor counted again."""
        with self._lock:
            self._drop(warned)
            number, now = self._number + 1, self._clock()
            figures = {**warned.figures, **figures}
            return self._keep(replace(warned, number=number, time=now, figures=figures))

    def withdraw(self, warned: Warned | None) -> None:
        """Keep a warning no longer, since it holds no longer; it stays counted."""
        with self._lock:
            if warned is not None:
                self._drop(warned)

    def newest(self) -> tuple[Warned, ...]:
        """The newest of each code, oldest first."""
        with self._lock:
            if self._newest is None:
                kept = [warned for each in self._kept.values() for warned in each]
                self._newest = tuple(sorted(kept, key=lambda warned: warned.number))
            return self._newest

    def counts(self) -> Mapping[Code, int]:
        """How many there were of each code, those included that are kept no longer."""
        with self._lock:
            return dict(self._counts)

    def _keep(self, warned: Warned) -> Warned:
        self._kept.setdefault(warned.code, deque(maxlen=_KEPT)).append(warned)
        self._number, self._newest = warned.number, None
        return warned

    def _drop(self, warned: Warned) -> None:
        if warned in self._kept.get(warned.code, ()):
            self._kept[warned.code].remove(warned)
            self._newest = None
