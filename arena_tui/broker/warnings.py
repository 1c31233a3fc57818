"""The newest warnings of a broker, for the log and the screen."""

from __future__ import annotations

import logging
from collections import deque

_KEPT = 50

_log = logging.getLogger(__name__)


class Warnings:
    """Logs each warning and keeps the newest."""

    def __init__(self) -> None:
        self._newest: deque[str] = deque(maxlen=_KEPT)

    def add(self, text: str) -> None:
        """Log a warning and keep it."""
        _log.warning(text)
        self._newest.append(text)

    def newest(self) -> tuple[str, ...]:
        """The warnings kept, oldest first."""
        return tuple(self._newest)
