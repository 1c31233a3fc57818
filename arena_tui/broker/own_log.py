"""How this package logs: whatever handlers do, it neither stops this package nor feeds it."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

_HANDLE = logging.Handler.handle.__code__


class _Speaking(threading.local):
    """Whether one of our own lines is being handled in the thread that asks."""

    now = False

    @contextmanager
    def one(self) -> Iterator[None]:
        before, self.now = self.now, True
        try:
            yield
        finally:
            self.now = before


_SPEAKING: Final = _Speaking()


class _OwnLog(logging.LoggerAdapter[logging.Logger]):
    def log(self, level: int, msg: object, *args: object, **options: Any) -> None:
        if not self.isEnabledFor(level):
            return
        with _SPEAKING.one(), suppress(Exception):  # a handler's, which are the user's
            self.logger.log(level, msg, *args, stacklevel=2, **options)


def own_log(name: str) -> _OwnLog:
    """The logger of a module: handlers that record lines in a run are not to record its lines,
    which may be about that very run, and what they raise is not raised."""
    return _OwnLog(logging.getLogger(name), {})


def is_speaking() -> bool:
    """Whether this thread is in a handler of one of our own lines."""
    return _SPEAKING.now


def is_handling() -> bool:
    """Whether this thread is in a handler of any line, and so holds its lock. Takes some µs."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is _HANDLE:
            return True
        frame = frame.f_back
    return False
