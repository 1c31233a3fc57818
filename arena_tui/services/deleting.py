"""Deletes runs, wherever their store is open, and gives the space back. Asks nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from msgspec import Struct

from arena_tui.config import Config
from arena_tui.errors import StoreError, UsageError
from arena_tui.folds.totals import RunTotals
from arena_tui.services.sharing import is_owned
from arena_tui.services.stored import live_runs, owner_of, reached
from arena_tui.store.changes import Delete, delete_runs
from arena_tui.store.database import Database
from arena_tui.store.reading import Store
from arena_tui.store.shrinking import shrink
from arena_tui.store.sizes import read_sizes

_AT_ONCE: Final = 50
"""Runs in one transaction."""

_OWN_BROKERS: Final = (None, "in-process")


class Choice(Struct, kw_only=True):
    """Runs that would be deleted.

    Attributes:
        kept: How many others would be, too, if they were not being played.
        size_bytes: What they take of the file, about; 0 if that was not asked.
    """

    runs: Sequence[RunTotals]
    kept: int
    size_bytes: int


class Deleted(Struct, kw_only=True):
    """What was deleted.

    Attributes:
        kept: Runs that were not, since more of them arrives.
        before_bytes, after_bytes: The size of the store.
        owner: The process that has the store open: its file gets no smaller until that ends, and
            is written anew by the next deletion.
        problem: Why the space was not given back.
    """

    runs: int = 0
    kept: int = 0
    before_bytes: int = 0
    after_bytes: int = 0
    owner: int | None = None
    problem: str | None = None


def may_be_live(totals: RunTotals, live: Collection[str]) -> bool:
    """Whether more of the run may arrive: it has a producer, or a server had it last."""
    is_open = totals.status == "running"
    return totals.run_id in live or (is_open and totals.broker not in _OWN_BROKERS)


def choose(store: Store, runs: Sequence[RunTotals], *, measured: bool) -> Choice:
    """Those of the runs that can be deleted; `measured`: and what they take, for which all events
    of the store are read."""
    live = live_runs(store)
    sizes = store.read_now(read_sizes) if measured else {}
    chosen = [each for each in runs if not may_be_live(each, live)]
    size = sum(sizes.get(each.run_id, 0) for each in chosen)
    return Choice(runs=chosen, kept=len(runs) - len(chosen), size_bytes=size)


def too_old(runs: Sequence[RunTotals], before: datetime) -> list[RunTotals]:
    """The runs whose newest event was before that; those without events, too."""
    return [each for each in runs if each.last_at is None or each.last_at < before]


def too_many(
    runs: Sequence[RunTotals], sizes: Mapping[str, int], keep_bytes: int, gone: Collection[str]
) -> list[RunTotals]:
    """The oldest of the runs, of which the first is the oldest, without which the store is no
    larger than that; `gone` are deleted already."""
    left = sum(size for run_id, size in sizes.items() if run_id not in gone) - keep_bytes
    found = []
    for each in runs:
        if left <= 0:
            break
        if each.run_id not in gone:
            found.append(each)
            left -= sizes.get(each.run_id, 0)
    return found


async def delete_all(
    config: Config, run_ids: Sequence[str], progress: Callable[[int], None]
) -> Deleted:
    """Delete the runs, some in one transaction, and make the file as small as what is left.

    One that is being played meanwhile is kept. `progress` is told how many are deleted.

    Raises:
        StoreError: The store cannot be opened or written; what was deleted before is gone.
    """
    path = config.db
    assert path is not None
    if is_owned(config):
        return await _delete_through_owner(path, run_ids, progress)
    database = Database(path)
    done = Deleted(before_bytes=database.size_bytes)
    try:
        for begin in range(0, len(run_ids), _AT_ONCE):
            some = run_ids[begin : begin + _AT_ONCE]
            await database.write(partial(delete_runs, run_ids=some))
            done.runs += len(some)
            progress(done.runs)
    finally:
        await database.aclose()
    try:
        shrink(path)
    except StoreError as error:
        done.problem = str(error)
    done.after_bytes = database.size_bytes
    return done


async def _delete_through_owner(
    path: str, run_ids: Sequence[str], progress: Callable[[int], None]
) -> Deleted:
    with contextlib.closing(reached(path)) as store:
        found = owner_of(store)
        done = Deleted(before_bytes=store.size_bytes, owner=None if found is None else found.pid)
        for run_id in run_ids:
            try:
                await store.change(Delete(run_id))
                done.runs += 1
            except UsageError:
                done.kept += 1
            progress(done.runs)
        done.after_bytes = store.size_bytes
    return done
