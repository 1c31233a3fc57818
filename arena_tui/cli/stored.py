"""What commands that read the store have in common."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from arena_tui.cli.output import tell
from arena_tui.config import load_config
from arena_tui.folds.totals import RunTotals
from arena_tui.store.database import Database

NO_LIMIT: Final = 2**31
"""More runs than any store has."""

_FIELDS: Final = (
    "run_id", "game", "label", "agents", "status", "outcome", "winners", "turns", "events",
    "errors", "lost", "lost_unknown", "input_tokens", "output_tokens", "cost_usd", "started_at",
    "ended_at", "duration_s", "parent_run_id", "seed", "tags", "reason",
)  # fmt: skip


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


def run_fields(totals: RunTotals) -> dict[str, Any]:
    """The fields that `runs --json` guarantees, and some more."""
    return {name: getattr(totals, name) for name in _FIELDS} | {"status": status_of(totals)}


def status_of(totals: RunTotals) -> str:
    """An unfinished run is lost: this process owns the store, so no other is storing into it."""
    return "lost" if totals.status == "running" else totals.status
