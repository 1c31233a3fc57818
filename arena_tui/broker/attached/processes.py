"""The processes that are attached to the owner of a store, and as what."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from arena_tui.broker.owner import is_gone, pid_of

PRODUCER: Final = "producer"
MIRROR: Final = "mirror"
"""What a process may be attached as."""

_HEARD_S: Final = 15.0
"""A process that has not published for so long, nor has an open run, is attached no longer."""

_LOOK_EVERY_S: Final = 1.0
"""Looking for one that has ended costs 0.1 ms, and a screen asks ten times a second."""


class Processes:
    """See the module; by their names, as `broker.owner` gives them."""

    def __init__(self) -> None:
        self._heard: dict[str, float] = {}
        self._looked_at = float("-inf")
        self._feeds: Counter[str] = Counter()

    @property
    def feeds(self) -> int:
        """How many feeds are being read."""
        return self._feeds.total()

    def hear(self, process: str) -> None:
        """It has published something, or given a sign of life."""
        self._heard[process] = time.monotonic()

    @contextlib.contextmanager
    def feeding(self, process: str) -> Iterator[None]:
        """It reads, as long as the context lasts."""
        self._feeds[process] += 1
        try:
            yield
        finally:
            self._feeds[process] -= 1

    def attached(self) -> list[tuple[int, str]]:
        """Those that publish, and those that read, by process id and kind; without this one, and
        without those that are known to have ended."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            self._heard = {
                name: at for name, at in self._heard.items()
                if now - at < _HEARD_S and not is_gone(name)
            }  # fmt: skip
        self._feeds = +self._feeds
        found = [(pid_of(name), PRODUCER) for name in self._heard]
        found += [(pid_of(name), MIRROR) for name in self._feeds]
        return sorted(each for each in found if each[0] != os.getpid())
