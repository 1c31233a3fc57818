"""What only one process at a time may do with a store, all that share it taken together."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Final

from arena_tui.errors import StoreError
from arena_tui.store.place import MEMORY

_PID_MAX: Final = 20


class Exclusive:
    """A locked file beside a store, from `take` to `release`; a process that ends releases it.

    Args:
        store: The store's file.
        name: Ends the name of the locked file.
        what: What is to be done by one process alone, as `plays this tournament`.
    """

    def __init__(self, store: str, name: str, what: str) -> None:
        self._path = None if store == MEMORY else f"{store}.{name}"
        self._store = store
        self._what = what
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take it; where no file can be locked, for granted.

        Raises:
            StoreError: Another has it.
        """
        while self._path is not None and self._descriptor is None:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError:
                return
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_there(self._path, descriptor):
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                    self._descriptor = descriptor
            except BlockingIOError:
                holder = os.pread(descriptor, _PID_MAX, 0).decode(errors="replace")
                raise StoreError(
                    f"process {holder} {self._what} in the store {self._store} now: wait until it "
                    "has ended, or end it (Ctrl-C, or kill)"
                ) from None
            except OSError:  # a file system without such locks
                return
            finally:
                if self._descriptor is None:
                    os.close(descriptor)

    def release(self) -> None:
        """Let another have it. Idempotent."""
        if self._descriptor is None or self._path is None:
            return
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        os.close(self._descriptor)
        self._descriptor = None


def _is_there(path: str, descriptor: int) -> bool:
    """Whether the path leads to this file: whoever had it before may just have removed it."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
