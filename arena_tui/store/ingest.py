"""A batch of deliveries as one transaction: new rows, gaps, folded totals. Decides no timing.

A run's row holds its cursor, too, so that a batch delivered again adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

import duckdb
import msgspec

from arena_tui.events import Delivery, Envelope, Gap, utc_now
from arena_tui.folds.totals import RunTotals
from arena_tui.store.database import Connection
from arena_tui.store.rows import (
    append_events,
    insert_gap,
    insert_quarantined,
    insert_runs,
    load_totals,
    update_runs,
)

__all__ = ["Ingest", "Quarantined", "find_unstorable", "without"]

Quarantined: TypeAlias = tuple[Envelope, str]
"""An event that the store can never take, and why."""


class Ingest:
    """Writes batches, and remembers the totals of the runs that are still going on.

    `commit` belongs to the store's writer thread, within a transaction. When that is on disk,
    `remember` its totals; when it failed, `forget` all: it may be on disk all the same.
    """

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._totals: dict[str, RunTotals] = {}

    @property
    def live(self) -> Mapping[str, RunTotals]:
        """Totals, as stored, of the runs that have not ended."""
        return self._totals

    def commit(
        self, connection: Connection, batch: Sequence[Delivery], aside: Sequence[Quarantined]
    ) -> dict[str, RunTotals]:
        """Write what of the batch is past the stored cursors, and the events set `aside`.

        Returns the new totals of its runs: `(epoch, seq)` is how far each is stored.

        Raises:
            duckdb.Error: A value or the disk was refused; the transaction is to be undone.
        """
        noted_at = self._clock()
        stored = self._stored(connection, {each.run_id for each in batch})
        folded: dict[str, RunTotals] = {}
        news: list[Envelope] = []
        for each in batch:
            totals = folded.get(each.run_id)
            if totals is None:
                totals = folded[each.run_id] = _copy(stored.get(each.run_id), each)
            if isinstance(each, Gap):
                if gap := _new_part(connection, each, totals):
                    insert_gap(connection, gap, noted_at)
                    totals.add_gap(gap)
                    if gap.raw is not None:
                        insert_quarantined(connection, gap, gap.raw, "no event", noted_at)
            elif (each.epoch, each.seq) > (totals.epoch, totals.seq):
                news.append(each)
                totals.add(each)
        if news:
            append_events(connection, news, "events")
        for envelope, error in aside:
            insert_quarantined(connection, envelope, envelope.raw, error, noted_at)
        insert_runs(connection, [each for run_id, each in folded.items() if run_id not in stored])
        update_runs(connection, [(each, folded[run_id]) for run_id, each in stored.items()])
        return folded

    def remember(self, folded: Mapping[str, RunTotals]) -> None:
        """What `commit` returned is on disk."""
        for run_id, totals in folded.items():
            if totals.status == "running":
                self._totals[run_id] = totals
            else:
                self._totals.pop(run_id, None)

    def forget(self) -> None:
        """What is on disk is to be read there."""
        self._totals.clear()

    def _stored(self, connection: Connection, run_ids: Collection[str]) -> dict[str, RunTotals]:
        """Totals as stored, of those of the runs that are stored."""
        known = {run_id: self._totals[run_id] for run_id in run_ids if run_id in self._totals}
        return known | load_totals(connection, [each for each in run_ids if each not in known])


def find_unstorable(envelopes: Sequence[Envelope], connection: Connection) -> list[Quarantined]:
    """The events that the store can never take: halve what fails until single ones are left.

    Raises:
        duckdb.OperationalError: It is the store that fails.
    """
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS trial AS FROM events LIMIT 0")
    try:
        append_events(connection, envelopes, "trial")
        for envelope in envelopes:
            RunTotals(run_id=envelope.run_id).add(envelope)
    except duckdb.OperationalError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it comes from one of them
        if len(envelopes) == 1:
            return [(envelopes[0], str(error)[:500])]
        middle = len(envelopes) // 2
        return [
            *find_unstorable(envelopes[:middle], connection),
            *find_unstorable(envelopes[middle:], connection),
        ]
    return []


def without(batch: Sequence[Delivery], bad: Sequence[Quarantined]) -> list[Delivery]:
    """The batch with a gap in place of each event that is set aside."""
    aside = {(each.run_id, each.epoch, each.seq) for each, _ in bad}
    return [
        Gap(each.run_id, each.epoch, each.seq, each.seq, "quarantined")
        if isinstance(each, Envelope) and (each.run_id, each.epoch, each.seq) in aside
        else each
        for each in batch
    ]


def _copy(stored: RunTotals | None, first: Delivery) -> RunTotals:
    """Totals to fold into, so that a refused transaction leaves no trace."""
    if stored is None:
        return RunTotals(run_id=first.run_id, epoch=first.epoch)
    return msgspec.structs.replace(stored)


def _new_part(connection: Connection, gap: Gap, totals: RunTotals) -> Gap | None:
    """What of the gap the store does not know yet."""
    if gap.epoch < totals.epoch:
        return None
    if not gap.count:
        return None if _is_noted(connection, gap) else gap
    if gap.epoch != totals.epoch or gap.from_seq > totals.seq:
        return gap
    if gap.to_seq <= totals.seq:
        return None
    return msgspec.structs.replace(gap, from_seq=totals.seq + 1)


def _is_noted(connection: Connection, gap: Gap) -> bool:
    """Whether the store knows of this gap, which has no length to tell it by."""
    query = "SELECT 1 FROM gaps WHERE run_id = ? AND epoch = ? AND from_seq = ? AND reason = ?"
    values: list[object] = [gap.run_id, gap.epoch, gap.from_seq, gap.reason]
    if gap.raw is not None:  # there may be any number of these in one place
        query = "SELECT 1 FROM quarantine WHERE run_id = ? AND epoch = ? AND raw = ?"
        values = [gap.run_id, gap.epoch, gap.raw]
    # DuckDB does no other work on a connection with rows left to fetch.
    return bool(connection.execute(query, values).fetchall())
