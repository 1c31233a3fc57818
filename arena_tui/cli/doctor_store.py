"""What `doctor` finds out about the store, and about who has it open."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from arena_tui.cli.findings import Finding
from arena_tui.cli.output import counted, local_time
from arena_tui.errors import StoreDamagedError, StoreError, StoreForeignError, StoreLockedError
from arena_tui.folds.totals import lost_text
from arena_tui.store.owner import Owner
from arena_tui.store.reading import Store

_COUNTS: Final = """
SELECT count(*), coalesce(sum(events), 0), count_if(lost > 0 OR lost_unknown > 0),
       coalesce(sum(lost), 0), coalesce(sum(lost_unknown), 0) FROM runs
"""
_UNFINISHED: Final = """
SELECT count(*), min(run_id) FROM runs
WHERE status = 'running' AND run_id NOT IN (SELECT unnest(?::VARCHAR[]))
"""


def store_findings(path: str) -> list[Finding]:
    """The store, who has it open, and what is wrong with its runs."""
    if path != ":memory:" and not Path(path).exists():
        return [Finding("store", True, f"{path} (none yet)")]
    from arena_tui.services.stored import opened_to_read

    try:
        with opened_to_read(path) as store:
            return _of_open(store, path)
    except (StoreLockedError, StoreForeignError) as error:
        error.name_options("--db")
        return [Finding("store", True, str(error), runbook="The store is locked")]
    except StoreDamagedError as error:
        advice = "copy it first if the disk may be failing, then start arena-tui or persist"
        return [Finding("store", False, str(error), advice, "The store is damaged")]
    except StoreError as error:
        return [Finding("store", False, str(error), "give another --db")]


def _of_open(store: Store, path: str) -> list[Finding]:
    from arena_tui.services.stored import live_runs, owner_of
    from arena_tui.store.schema import SCHEMA_VERSION

    [(runs, events, losing, lost, unknown)] = store.read_now(
        lambda reader: reader.execute(_COUNTS).fetchall()
    )
    live = [list(live_runs(store))]
    [(unfinished, first)] = store.read_now(
        lambda reader: reader.execute(_UNFINISHED, live).fetchall()
    )
    owner = owner_of(store)
    detail = f"{path}: {counted(runs, 'run')}, {counted(events, 'event')}, "
    detail += f"{store.size_bytes / 1e6:,.1f} MB, format {SCHEMA_VERSION}"
    if owner is not None:
        detail += f", open in process {owner.pid} (arena-tui {owner.version})"
    notices = "; ".join(map(str, store.warnings.newest()))
    found = [Finding("store", not notices, detail, notices)]
    if owner is not None:
        found.append(_owner(owner))
    if losing:
        what = f"{lost_text(lost, unknown)} events of {counted(losing, 'run')}"
        found.append(Finding("lost", True, what, "arena-tui runs 'lost>0'", "Events were lost"))
    if unfinished:
        nobody = "nobody has the store open" if owner is None else "no producer"
        what = f"{counted(unfinished, 'run')} without an end, and {nobody}"
        advice = f"if its producer is gone: arena-tui close {first}"
        found.append(Finding("unfinished", True, what, advice, "A run is silent"))
    return found


def _owner(owner: Owner) -> Finding:
    others = tuple(each for each in owner.clients if each.pid != os.getpid())
    detail = f"{owner.command} (process {owner.pid})"
    if owner.since is not None:
        detail += f", since {local_time(owner.since)}"
    if others:
        names = ", ".join(f"{each.pid} ({each.kind})" for each in others)
        detail += f"; shared with {names}"
    return Finding("owner", True, detail, owner=replace(owner, clients=others))
