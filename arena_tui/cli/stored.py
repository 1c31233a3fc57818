"""What commands that read the store have in common."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from arena_tui.cli.output import tell
from arena_tui.config import load_config
from arena_tui.folds.totals import RunTotals, summary
from arena_tui.store.database import Database

NO_LIMIT: Final = 2**31
"""More runs than any store has."""


@contextmanager
def open_store(arguments: argparse.Namespace) -> Iterator[Database]:
    """Open the configured store, which must exist, to read it.

    Raises:
        StoreError: It does not exist or cannot be opened.
    """
    path = load_config(arguments.broker, arguments.db).db
    assert path is not None
    database = Database(path, only_read=True)
    try:
        for warned in database.warnings.newest():
            tell(f"arena-tui: {warned}")
        yield database
    finally:
        database.close()


def run_fields(totals: RunTotals) -> dict[str, object]:
    """The fields that `runs --json` guarantees, and some more."""
    return summary(totals, status_of(totals))


def status_of(totals: RunTotals) -> str:
    """An unfinished run is lost: this process owns the store, so no other is storing into it."""
    return "lost" if totals.status == "running" else totals.status
