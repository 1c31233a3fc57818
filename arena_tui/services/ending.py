"""The signals that ask a process to end."""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator


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


class Termination:
    """Saves what is open before SIGTERM ends the process, which then ends of it all the same.

    Only where the signal would end it at once: a handler of the program's own is left alone, and
    one that it sets later takes the place of this. A second SIGTERM waits for nothing.

    The handler itself waits for nothing either, since the main thread may hold any lock.

    Args:
        is_idle: Whether nothing is open; called in the handler.
        save: Closes everything; called in a thread of its own.

    Attributes:
        begun: Whether the process is ending.
    """

    def __init__(self, is_idle: Callable[[], bool], save: Callable[[], None]) -> None:
        self.begun = False
        self._is_idle = is_idle
        self._save = save
        self._forking = threading.local()

    def install(self) -> None:
        """Handle the signal from now on, if this is the main thread and nobody else does."""
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            with contextlib.suppress(ValueError):  # not in the main thread
                signal.signal(signal.SIGTERM, self._on_signal)

    def take_back(self) -> None:
        """Handle it no longer; elsewhere than in the main thread, only once it comes."""
        if signal.getsignal(signal.SIGTERM) == self._on_signal:
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def finish(self) -> None:
        """End the process of the signal, if it is ending and all is saved."""
        if self.begun:
            os.kill(os.getpid(), signal.SIGTERM)

    def before_fork(self) -> None:
        """Hold the signal back, since Python forgets what reaches a child before it is set up."""
        if callable(signal.getsignal(signal.SIGTERM)):
            self._forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def after_fork(self) -> None:
        """Let through what was held back, in the parent and in the child."""
        mask = self._forking.__dict__.pop("mask", None)
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def begin_child(self) -> None:
        """In a forked child: nothing is ending here, and the signal is not handled until it opens
        something: a worker about to wait for a lock may never come to run a handler. Lets through
        what was held back, so it comes last of what a child begins with."""
        self.begun = False
        self.take_back()
        self.after_fork()

    def _on_signal(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.begun = True
        if self._is_idle():
            self.finish()
        # `threading.Thread` would take a lock that the main thread may hold.
        _thread.start_new_thread(self._end, ())

    def _end(self) -> None:
        try:
            self._save()
        finally:
            self.finish()
