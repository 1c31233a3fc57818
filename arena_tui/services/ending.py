"""The signals that ask a process to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator


def ending_signals() -> Iterator[signal.Signals]:
    """The signals to handle: one that nohup or a script's & ignores stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            yield number


def ending_event() -> asyncio.Event:
    """An event of the running loop that any of the signals sets."""
    ending = asyncio.Event()
    for number in ending_signals():
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    return ending


def forget_handlers() -> None:
    """In a forked child: let signals do what they do by default, instead of what the parent does.

    asyncio's handlers write into a socket that both processes share, so that a signal to the child
    would reach the parent (https://github.com/python/cpython/issues/66197).
    """
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if callable(handler) and handler is not signal.default_int_handler:
            signal.signal(number, signal.SIG_DFL)
