"""The durable consumer that fills the store: a batch and its cursors are one transaction.

Restarted after a crash at any point, it resumes at its stored cursors: nothing is duplicated or
missed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from arena_tui.broker.own_log import own_log
from arena_tui.broker.protocol import STORE, Cursor
from arena_tui.broker.timing import LEFT_RUN_KEPT_S
from arena_tui.consumers.persister_stats import PersisterStats
from arena_tui.consumers.protocol import Consumer, identity_in
from arena_tui.errors import StoreError
from arena_tui.events import Delivery, Envelope, Gap, utc_now
from arena_tui.folds.totals import RunTotals
from arena_tui.store.database import Database
from arena_tui.store.ingest import Ingest, Quarantined, find_unstorable, without
from arena_tui.store.rows import load_cursors, load_unfinished

_COMMITS: Final = 256

_log = own_log(__name__)


class Persister(Consumer):
    """Stores every event of the broker. See `Consumer`."""

    name = STORE
    durable = True

    def __init__(
        self, database: Database, *, clock: Callable[[], datetime] = utc_now,
        broker: str | None = None,
    ) -> None:  # fmt: skip
        self._database = database
        self._clock = clock
        self.identity = None if database.path == ":memory:" else identity_in(database.path, STORE)
        self._broker = broker
        self._ingest = Ingest(clock, broker)
        self._counters = PersisterStats(stored=0, quarantined=0)
        self._commits_ms: deque[float] = deque(maxlen=_COMMITS)

    async def start(self) -> Mapping[str, Cursor]:
        self._ingest.forget()
        if self._broker is not None:
            since = self._clock() - timedelta(seconds=LEFT_RUN_KEPT_S)
            self.unfinished = await self._database.read(
                partial(load_unfinished, broker=self._broker, since=since)
            )
        return await self._database.read(load_cursors)

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        """Commit the batch, with a gap in place of each event that can never be stored."""
        aside: list[Quarantined] = []
        while True:
            began = time.perf_counter()
            try:
                folded = await self._database.write(
                    partial(self._ingest.commit, batch=batch, aside=aside)
                )
            except Exception as error:
                self._ingest.forget()  # a failed commit may still be on disk: read it back
                if isinstance(error, StoreError) or not (bad := await self._unstorable(batch)):
                    raise
                batch = without(batch, bad)
                aside += bad
            else:
                self._commits_ms.append((time.perf_counter() - began) * 1_000)
                self._count(batch, aside, folded)
                return {run_id: Cursor(each.epoch, each.seq) for run_id, each in folded.items()}

    def forget(self, run_id: str) -> None:
        """Keep nothing of a run in memory: it is deleted, and no more of it is on its way."""
        self._ingest.forget(run_id)

    def stats(self) -> PersisterStats:
        return self._counters

    async def aclose(self) -> None:
        self._database.live_totals = {}

    def _count(
        self,
        batch: Sequence[Delivery],
        aside: Sequence[Quarantined],
        folded: Mapping[str, RunTotals],
    ) -> None:
        for envelope, reason in aside:
            _log.error("quarantined event %d of run %s: %s", envelope.seq, envelope.run_id, reason)
        gaps = [each for each in batch if isinstance(each, Gap)]
        before, new, events = self._counters, self._ingest.remember(folded), len(batch) - len(gaps)
        took = sorted(self._commits_ms)
        self._counters = PersisterStats(
            batch=len(batch),
            commit_p50_ms=took[len(took) // 2],
            commit_p99_ms=took[len(took) * 99 // 100],
            stored=before.stored + events,
            quarantined=before.quarantined + len(aside),
            lost=before.lost + sum(gap.count for gap in gaps),
            lost_unknown=before.lost_unknown + new.lost_unknown,
            repeated=before.repeated + events - new.events,
        )
        self._database.live_totals = self._ingest.live

    async def _unstorable(self, batch: Sequence[Delivery]) -> list[Quarantined]:
        """The events that can never be stored; none if it is the store that fails."""
        envelopes = [each for each in batch if isinstance(each, Envelope)]
        try:
            return await self._database.read(partial(find_unstorable, envelopes))
        except StoreError:
            return []
