"""What a forked child has to know: locks that are free there, and how it ends. Knows no broker."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from weakref import WeakSet

_FAREWELLS: Final[list[Callable[[], None]]] = []


class ForkLock:
    """A reentrant lock that is free in a forked child, whoever held it in the parent.

    The thread that holds a lock at the fork does not exist in the child and would never release it.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _LOCKS.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        with suppress(RuntimeError):  # renewed since: it was this thread that forked
            self._lock.release()

    def renew(self) -> None:
        self._lock = threading.RLock()


_LOCKS: Final[WeakSet[ForkLock]] = WeakSet()


def keep_for_ever(*things: object) -> None:
    """Never finalise these, not even when the interpreter ends.

    An inherited DuckDB connection would write a checkpoint into its parent's file, and an inherited
    transport would take its socket out of the epoll set that both processes share.
    """
    for thing in things:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def before_leaving(farewell: Callable[[], None]) -> None:
    """Have `leave` call this; once, however often it is given."""
    if farewell not in _FAREWELLS:
        _FAREWELLS.append(farewell)


def leave(code: int) -> None:
    """End a child that was forked in a thread, where no interpreter is left to do it."""
    try:
        for farewell in _FAREWELLS:
            farewell()
    finally:
        os._exit(code)


def _renew_locks() -> None:
    for lock in list(_LOCKS):
        lock.renew()


os.register_at_fork(after_in_child=_renew_locks)
