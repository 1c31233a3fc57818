"""Opens a store to read it: its file, or the process that has it open."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from arena_tui.errors import StoreLockedError
from arena_tui.folds.totals import RunTotals
from arena_tui.store.database import Database
from arena_tui.store.owner import Owner
from arena_tui.store.reading import Reader, Store
from arena_tui.store.remote import RemoteDatabase

PATIENCE_S: Final = 10.0
"""How long an owner is waited for that is only beginning, or has just left."""


@contextlib.contextmanager
def opened_to_read(path: str) -> Iterator[Store]:
    """The store, which must exist, until the block ends.

    Raises:
        StoreForeignError: Its owner is another user, or of another version.
        StoreError: It does not exist, cannot be opened, or its owner does not answer.
    """
    store = _open(path)
    try:
        yield store
    finally:
        store.close()


def reached(path: str) -> RemoteDatabase:
    """The store, opened by each read and for no longer, where nobody else has it open: who has it
    at hand all day keeps nobody from writing it."""
    return RemoteDatabase(path, patience_s=PATIENCE_S, open_here=_reading(path))


def live_runs(store: Store) -> Collection[str]:
    """The runs that are going on: a store that nobody has open has none."""
    return store.live_runs() if isinstance(store, RemoteDatabase) else ()


def owner_of(store: Store) -> Owner | None:
    """The process that shares the store; None: nobody but this one has it open."""
    return store.owner() if isinstance(store, RemoteDatabase) else None


def status_of(totals: RunTotals, live: Collection[str] = ()) -> str:
    """An unfinished run that is not live is silent: its producer has gone without ending it."""
    is_silent = totals.status == "running" and totals.run_id not in live
    return "silent" if is_silent else totals.status


def _open(path: str) -> Store:
    try:
        return Database(path, only_read=True)
    except StoreLockedError:
        return reached(path)


def _reading(path: str) -> Callable[[Callable[[Reader], Any]], Any]:
    def read(work: Callable[[Reader], Any]) -> Any:
        with contextlib.closing(Database(path, only_read=True)) as database:
            return database.read_now(work)

    return read
