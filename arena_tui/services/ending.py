"""The signals that ask a process to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator


def ending_signals() -> Iterator[signal.Signals]:
    """The signals to handle: one that nohup or a script's & ignores stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            yield number
