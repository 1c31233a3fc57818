"""Opens a store to read it: its file, or the process that has it open."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from arena_tui.errors import StoreLockedError
from arena_tui.store.database import Database
from arena_tui.store.reading import Reader, Store
from arena_tui.store.remote import RemoteDatabase
from arena_tui.unix_socket import connected

PATIENCE_S: Final = 10.0
"""How long an owner is waited for that is only beginning, or has just left."""


@contextlib.contextmanager
def opened_to_read(path: str) -> Iterator[Store]:
    """The store, which must exist, until the block ends.

    Raises:
        StoreForeignError: Its owner is another user.
        StoreError: It does not exist, cannot be opened, or its owner does not answer.
    """
    store = _open(path)
    try:
        yield store
    finally:
        store.close()


def _open(path: str) -> Store:
    try:
        return Database(path, only_read=True)
    except StoreLockedError:
        if (link := connected(path, PATIENCE_S)) is not None:
            link.close()
        return RemoteDatabase(path, patience_s=PATIENCE_S, open_here=_reading(path))


def _reading(path: str) -> Callable[[Callable[[Reader], Any]], Any]:
    def read(work: Callable[[Reader], Any]) -> Any:
        with contextlib.closing(Database(path, only_read=True)) as database:
            return database.read_now(work)

    return read
