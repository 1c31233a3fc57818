"""Writes a batch of deliveries in one transaction: events, gaps, totals. Does not decide when.

A run's row also holds its cursor, so writing a redelivered batch changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

import duckdb
import msgspec

from arena_tui.broker.chain import Chain, Traced
from arena_tui.broker.numbered import Numbered
from arena_tui.events import Delivery, Envelope, Gap, utc_now
from arena_tui.folds.totals import RunTotals
from arena_tui.store import arrow, rows
from arena_tui.store.database import Connection


class Counted(NamedTuple):
    """Events, and gaps of unknown length."""

    events: int = 0
    lost_unknown: int = 0


Quarantined: TypeAlias = tuple[Envelope, str]
"""An event that the store can never accept, and the reason."""


class Ingest:
    """Writes batches and caches the totals of unfinished runs.

    Call `commit` in the writer thread, within a transaction. If the transaction commits, `remember`
    the returned totals; if it fails, `forget` the cache: a failed commit may still be on disk.
    """

    def __init__(self, clock: Callable[[], datetime] = utc_now, broker: str | None = None) -> None:
        self._clock = clock
        self._broker = broker
        self._totals: dict[str, RunTotals] = {}
        self._before: dict[str, Counted] = {}  # before the commits not remembered yet

    @property
    def live(self) -> Mapping[str, RunTotals]:
        """Stored totals of unfinished runs."""
        return self._totals

    def commit(
        self, connection: Connection, batch: Sequence[Delivery], aside: Sequence[Quarantined]
    ) -> dict[str, RunTotals]:
        """Write the deliveries past the stored cursors, and quarantine the events in `aside`.

        Returns the new totals of the batch's runs; their `(epoch, seq)` are the new cursors.

        Raises:
            duckdb.Error: A value was rejected or the write failed; roll back.
        """
        noted_at = self._clock()
        stored = self._stored(connection, {each.run_id for each in batch})
        folded: dict[str, RunTotals] = {}
        new_events: list[Envelope] = []
        chains: dict[tuple[str, str], tuple[int, Chain]] = {}
        numbers: dict[tuple[str, str], tuple[int, int]] = {}
        for each in batch:
            totals = folded.get(each.run_id)
            if totals is None:
                totals = folded[each.run_id] = _copy(stored.get(each.run_id), each)
                totals.broker = self._broker or totals.broker
            if isinstance(each, Gap):
                if gap := _new_part(connection, each, totals):
                    rows.insert_gap(connection, gap, noted_at)
                    totals.add_gap(gap)
                    if gap.raw is not None:
                        rows.insert_quarantined(connection, gap, gap.raw, "no event", noted_at)
            elif each.epoch > totals.epoch or (
                each.epoch == totals.epoch and each.seq > totals.seq
            ):
                new_events.append(each)
                totals.add(each)
                if type(each.raw) is Traced and (chain := each.raw.chain):
                    epoch, _ = chains.get((each.run_id, chain.id), (each.epoch, None))
                    chains[each.run_id, chain.id] = epoch, chain
                elif type(each.raw) is Numbered:
                    numbers[each.run_id, each.raw.producer] = each.epoch, each.raw.number
        if new_events:
            arrow.append_events(connection, new_events, "events")
        rows.upsert_chains(connection, [(run_id, *each) for (run_id, _), each in chains.items()])
        rows.upsert_producers(connection, [(*key, *each) for key, each in numbers.items()])
        for envelope, error in aside:
            rows.insert_quarantined(connection, envelope, envelope.raw, error, noted_at)
        rows.insert_runs(
            connection, [each for run_id, each in folded.items() if run_id not in stored]
        )
        rows.update_runs(connection, [(each, folded[run_id]) for run_id, each in stored.items()])
        for run_id in folded:
            before = stored.get(run_id)
            counted = Counted(before.events, before.lost_unknown) if before else Counted()
            self._before.setdefault(run_id, counted)
        return folded

    def remember(self, folded: Mapping[str, RunTotals]) -> Counted:
        """Cache the totals that `commit` returned, once they are on disk.

        Returns how many events and gaps of unknown length are new, those of an earlier commit
        included that was reported as failed but is on disk.
        """
        events = lost_unknown = 0
        for run_id, totals in folded.items():
            before = self._before.pop(run_id)
            events += totals.events - before.events
            lost_unknown += totals.lost_unknown - before.lost_unknown
            if totals.status == "running":
                self._totals[run_id] = totals
            else:
                self._totals.pop(run_id, None)
        return Counted(events, lost_unknown)

    def forget(self, run_id: str | None = None) -> None:
        """Clear the cache, or one run's part of it; totals are loaded from disk again."""
        if run_id is None:
            self._totals.clear()
        else:
            self._totals.pop(run_id, None)

    def _stored(self, connection: Connection, run_ids: Collection[str]) -> dict[str, RunTotals]:
        """Totals of those of the runs that are stored, from the cache or from disk."""
        known = {run_id: self._totals[run_id] for run_id in run_ids if run_id in self._totals}
        return known | rows.load_totals(connection, [each for each in run_ids if each not in known])


def find_unstorable(envelopes: Sequence[Envelope], connection: Connection) -> list[Quarantined]:
    """The events that the store can never accept, found by bisecting the batch.

    Raises OperationalError when the store itself fails."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS trial AS FROM events LIMIT 0")
    try:
        arrow.append_events(connection, envelopes, "trial")
        for envelope in envelopes:
            RunTotals(run_id=envelope.run_id).add(envelope)
    except duckdb.OperationalError:
        raise
    except Exception as error:  # noqa: BLE001 - any other error is caused by an event
        if len(envelopes) == 1:
            return [(envelopes[0], str(error)[:500])]
        middle = len(envelopes) // 2
        return [
            *find_unstorable(envelopes[:middle], connection),
            *find_unstorable(envelopes[middle:], connection),
        ]
    return []


def without(batch: Sequence[Delivery], bad: Sequence[Quarantined]) -> list[Delivery]:
    """The batch with each quarantined event replaced by a gap."""
    quarantined = {(each.run_id, each.epoch, each.seq) for each, _ in bad}
    return [
        Gap(each.run_id, each.epoch, each.seq, each.seq, "quarantined")
        if isinstance(each, Envelope) and (each.run_id, each.epoch, each.seq) in quarantined
        else each
        for each in batch
    ]


def _copy(stored: RunTotals | None, first: Delivery) -> RunTotals:
    """A copy to fold into, so that a failed transaction leaves no trace."""
    if stored is None:
        return RunTotals(run_id=first.run_id, epoch=first.epoch)
    return msgspec.structs.replace(stored)


def _new_part(connection: Connection, gap: Gap, totals: RunTotals) -> Gap | None:
    """The part of the gap that is not stored yet, or None.

    An empty gap counts only if an entry was quarantined there, or if it stands for an unknown loss
    before the end of the run.
    """
    if gap.epoch < totals.epoch:
        return None
    if not gap.count:
        ended = gap.epoch == totals.epoch and totals.status != "running"
        is_loss = gap.raw is not None or (gap.unknown and not ended)
        return gap if is_loss and not _is_stored(connection, gap) else None
    if gap.epoch != totals.epoch or gap.from_seq > totals.seq:
        return gap
    if gap.to_seq <= totals.seq:
        return None
    return msgspec.structs.replace(gap, from_seq=totals.seq + 1)


def _is_stored(connection: Connection, gap: Gap) -> bool:
    """Whether this empty gap is stored: having no length, it cannot be compared with the cursor."""
    query = "SELECT 1 FROM gaps WHERE run_id = ? AND epoch = ? AND from_seq = ? AND reason = ?"
    values: list[object] = [gap.run_id, gap.epoch, gap.from_seq, gap.reason]
    if gap.raw is not None:  # several raw entries may share a position
        query = "SELECT 1 FROM quarantine WHERE run_id = ? AND epoch = ? AND raw = ?"
        values = [gap.run_id, gap.epoch, gap.raw]
    # Fetch all rows: DuckDB runs nothing else on a connection with a pending result.
    return bool(connection.execute(query, values).fetchall())
