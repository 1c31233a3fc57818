"""What commands that read the store have in common."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from arena_tui.cli.output import tell
from arena_tui.config import load_config
from arena_tui.folds.totals import RunTotals, summary
from arena_tui.services.stored import live_runs, opened_to_read, status_of
from arena_tui.store.filters import parse_filter
from arena_tui.store.history import read_run, read_runs
from arena_tui.store.reading import Store

NO_LIMIT: Final = 2**31
"""More runs than any store has."""


@contextmanager
def open_store(arguments: argparse.Namespace) -> Iterator[Store]:
    """Open the configured store, which must exist, to read it.

    Raises:
        StoreError: It does not exist or cannot be opened.
    """
    path = load_config(arguments.broker, arguments.db).db
    assert path is not None
    with opened_to_read(path) as store:
        for warned in store.warnings.newest():
            tell(f"arena-tui: {warned}")
        yield store


def wanted_runs(store: Store, text: str, run: str | None = None) -> list[RunTotals]:
    """The runs that match a filter, oldest first; or only the one of this id or part of it.

    Raises:
        UsageError: The filter cannot be read.
        UnknownRunError: There is no such run, or more than one.
    """
    if run is not None:
        return [store.read_now(lambda reader: read_run(reader, run))]
    parse_filter(text)  # what is wrong with it is said first
    where, parameters = parse_filter(text, dict.fromkeys(live_runs(store), "running"))
    query = partial(read_runs, where=where, parameters=parameters, limit=NO_LIMIT)
    return store.read_now(query)[::-1]


def run_fields(totals: RunTotals, live: Collection[str] = ()) -> dict[str, object]:
    """The fields that `runs --json` guarantees, and some more."""
    return summary(totals, status_of(totals, live))
