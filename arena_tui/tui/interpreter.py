"""Python's garbage collector and threads, set for a screen that answers at once."""

from __future__ import annotations

import gc
import sys
from typing import Final

_THRESHOLDS: Final = (10_000, 20, 50)
"""New objects before the youngest are searched, and how often that is before older ones are."""

_SWITCH_S: Final = 0.001
"""A fifth of Python's own."""


def start_quickly() -> None:
    """Collect no garbage until an `Interpreter` is tuned: of what is imported hardly anything is,
    and searching it takes a fifth of the time to the first frame."""
    gc.disable()


class Interpreter:
    """Python, set so that the screen and the threads beside it seldom wait for it, or each other.

    Hardly anything here refers to itself, but each event on the screen is a few new objects: with
    Python's own thresholds everything would be searched every second, for 25 to 60 ms. A thread
    that reads a key, sends a frame or emits an event waits for the screen up to the switch
    interval.
    """

    def __init__(self) -> None:
        self._thresholds = gc.get_threshold()
        self._switch_s = sys.getswitchinterval()

    def tune(self) -> None:
        """Collect garbage from now on; what is loaded stays, and is never searched for any."""
        gc.enable()
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        sys.setswitchinterval(_SWITCH_S)

    def restore(self) -> None:
        sys.setswitchinterval(self._switch_s)
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()  # else DuckDB's module is never freed, and reports it on the terminal
