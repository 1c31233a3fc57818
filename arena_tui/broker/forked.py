"""What a forked child has to know: locks that are free there. Knows no broker."""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import suppress
from typing import Final
from weakref import WeakSet


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


def _renew_locks() -> None:
    for lock in list(_LOCKS):
        lock.renew()


os.register_at_fork(after_in_child=_renew_locks)
