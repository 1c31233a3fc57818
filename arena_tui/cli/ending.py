"""The signals that ask a command to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator

__all__ = ["ending_signals"]


def ending_signals() -> Iterator[signal.Signals]:
    """Those that are to be acted on: what nohup or a script's & has switched off stays off."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            yield number
