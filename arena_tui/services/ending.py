"""The signals that ask a process to end."""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

_WAKE_EVERY_S: Final = 0.02
"""Between two signals to a main thread: nothing tells that it waits, nor that it will not."""


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


def _do_nothing(*_: object) -> None:
    """Handle a signal that only interrupts a wait."""


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
        self._is_watched = False

    def install(self) -> None:
        """Handle the signal from now on, if this is the main thread and nobody else does."""
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            with contextlib.suppress(ValueError):  # not in the main thread
                signal.signal(signal.SIGTERM, self._on_signal)
                if multiprocessing.parent_process() is not None:
                    self._watch()

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
        """Start anew in a forked child, as its last step: what was held back is let through.

        The signal is not handled before the child opens something: a worker about to wait for a
        lock may never run a handler.
        """
        self.begun = False
        self.take_back()
        if self._is_watched:  # what wakes this up belongs to the parent
            signal.set_wakeup_fd(-1)
            self._is_watched = False
        self.after_fork()

    def _watch(self) -> None:
        """Start a thread that interrupts the main thread's wait, so that the handler runs.

        Python runs handlers in the main thread alone, and a signal that comes just before that
        begins to wait for a lock does not interrupt it; `Pool.terminate` then waits for ever. An
        event loop that has set its own wakeup fd keeps it, and needs none of this.
        """
        if self._is_watched:
            return
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        if before != -1:
            signal.set_wakeup_fd(before)
            os.close(reader)
            os.close(writer)
            return
        self._is_watched = True
        if signal.getsignal(signal.SIGURG) is signal.SIG_DFL:
            signal.signal(signal.SIGURG, _do_nothing)
        _thread.start_new_thread(self._wake, (reader, threading.get_ident()))

    def _wake(self, reader: int, main_thread: int) -> None:
        while True:
            if signal.SIGTERM not in os.read(reader, 64):
                continue
            while not self.begun and signal.getsignal(signal.SIGTERM) == self._on_signal:
                signal.pthread_kill(main_thread, signal.SIGURG)  # interrupts its wait
                time.sleep(_WAKE_EVERY_S)

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
