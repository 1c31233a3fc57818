"""Adds events to runs of an open store beside its persister: those of runs that nobody plays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from arena_tui.broker.protocol import STORE
from arena_tui.errors import StoreError, UsageError
from arena_tui.services.runtime import Runtime
from arena_tui.store.appending import append_archived
from arena_tui.store.archive_lines import Archived
from arena_tui.store.database import Database


async def append_to(runtime: Runtime, archived: Sequence[Archived]) -> None:
    """Store them in one transaction; see `append_archived`.

    Raises:
        UsageError: A run of them is in the broker: its next events have the same places.
        StoreError: No store is open here, or it cannot be written.
    """
    database = runtime.database
    if not isinstance(database, Database):
        raise StoreError("the store is being closed")
    wanted = {each.run_id for each in archived}
    held = [info.meta.run_id for info in await runtime.broker.runs()]
    if found := [run_id for run_id in held if run_id in wanted]:
        raise UsageError(
            f"run {found[0]} is or was just played in the process that has the store open: import "
            "it when that one has ended"
        )
    persister = runtime.running(STORE).consumer
    for run_id in wanted:  # one that its producer has left unfinished has totals there
        persister.forget(run_id)
    await database.write(partial(append_archived, archived=archived))
