"""The durable consumer: a batch from the broker, one transaction with its cursors, an ack.

Killed anywhere and started again it goes on at its stored cursors: nothing twice, nothing left out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Literal, TypeAlias

from msgspec import Struct

from arena_tui.broker.protocol import STORE, BrokerProtocol, Cursor, Subscription
from arena_tui.errors import StoreError
from arena_tui.events import Delivery, Envelope, Gap, utc_now
from arena_tui.folds.totals import RunTotals
from arena_tui.store.database import Database
from arena_tui.store.ingest import Ingest, Quarantined, find_unstorable, without
from arena_tui.store.rows import load_cursors

__all__ = ["Persister", "PersisterCounters"]

_BATCH_MAX = 10_000
_RETRY_S = (0.5, 1.0, 2.0, 5.0)

_log = logging.getLogger(__name__)

PersisterState: TypeAlias = Literal["starting", "ok", "error", "stopped"]


class PersisterCounters(Struct, frozen=True, kw_only=True):
    """Counters since the start.

    Attributes:
        stored: Events committed; lost: events in gaps committed; quarantined: those of them that
            were set aside raw.
        failures: Commits that the disk or the file refused (each is tried again).
        last_error: Why the last commit was refused; None once one succeeded again.
    """

    state: PersisterState
    stored: int
    lost: int
    quarantined: int
    failures: int
    last_error: str | None


class Persister:
    """Stores every event of the broker, in batches.

    Args:
        flush_events: A batch is committed at this many events,
        flush_interval_s: or when its oldest event has waited this long.
        retry_s: Waits before a refused batch is tried again; the last one repeats.
    """

    def __init__(
        self,
        broker: BrokerProtocol,
        database: Database,
        *,
        flush_events: int = 1_000,
        flush_interval_s: float = 0.2,
        retry_s: Sequence[float] = _RETRY_S,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._broker = broker
        self._database = database
        self._flush_events = flush_events
        self._flush_interval_s = flush_interval_s
        self._retry_s = retry_s
        self._ingest = Ingest(clock)
        self._subscription: Subscription | None = None
        self._state: PersisterState = "starting"
        self._stored = 0
        self._lost = 0
        self._quarantined = 0
        self._failures = 0
        self._last_error: str | None = None
        self._commits: deque[tuple[float, int]] = deque(maxlen=512)

    async def start(self) -> Subscription:
        """Subscribe at the stored cursors; from here on the broker holds events for it.

        Raises:
            StoreError: The cursors cannot be read.
        """
        cursors = await self._database.read(load_cursors)
        self._subscription = self._broker.subscribe(STORE, start=cursors, durable=True)
        self._state = "ok"
        return self._subscription

    async def run(self) -> None:
        """Store until the broker shuts down; cancelling it between commits loses no acked event.

        Whatever the store refuses is held and tried again: this ends for no other reason.
        """
        subscription = self._subscription or await self.start()
        try:
            while batch := await self._next_batch(subscription):
                subscription.ack(await self._store(batch))
        finally:
            subscription.close()
            self._database.live_runs = frozenset()
            if self._state == "ok":
                self._state = "stopped"

    @property
    def counters(self) -> PersisterCounters:
        """All counters, now."""
        return PersisterCounters(
            state=self._state,
            stored=self._stored,
            lost=self._lost,
            quarantined=self._quarantined,
            failures=self._failures,
            last_error=self._last_error,
        )

    def totals(self, run_id: str) -> RunTotals | None:
        """What the run adds up to as it is stored; None unless it is being stored."""
        return self._ingest.live.get(run_id)

    @property
    def commits(self) -> list[tuple[float, int]]:
        """The newest commits, oldest first: duration in ms, and how many deliveries."""
        return list(self._commits)

    async def _next_batch(self, subscription: Subscription) -> list[Delivery]:
        """The next deliveries: `flush_events`, or what came in the interval; empty: the end."""
        batch: list[Delivery] = []
        try:
            batch += await anext(subscription)
            async with asyncio.timeout(self._flush_interval_s):
                while len(batch) < self._flush_events:
                    batch += await anext(subscription)
        except (TimeoutError, StopAsyncIteration):
            pass
        if len(batch) >= self._flush_events:
            batch += subscription.read_nowait(_BATCH_MAX - len(batch))
        return batch

    async def _store(self, batch: list[Delivery]) -> dict[str, Cursor]:
        """Commit the batch, however long the store refuses; return the cursors to ack."""
        aside: list[Quarantined] = []
        attempt = 0
        while True:
            started = time.perf_counter()
            try:
                folded = await self._database.write(
                    partial(self._ingest.commit, batch=batch, aside=aside)
                )
            except Exception as error:  # noqa: BLE001 - until it is stored, it is held
                self._ingest.forget()  # a commit that failed may yet be on disk: look there
                if bad := await self._unstorable(batch, error):
                    batch = without(batch, bad)
                    aside += bad
                    continue
                self._fail(error)
                await asyncio.sleep(self._retry_s[min(attempt, len(self._retry_s) - 1)])
                attempt += 1
            else:
                self._commits.append(((time.perf_counter() - started) * 1_000, len(batch)))
                self._count(batch, len(aside), folded)
                return {run_id: Cursor(each.epoch, each.seq) for run_id, each in folded.items()}

    def _count(self, batch: list[Delivery], aside: int, folded: dict[str, RunTotals]) -> None:
        if self._state == "error":
            _log.warning("storing works again")
        self._state, self._last_error = "ok", None
        self._lost += sum(each.count for each in batch if isinstance(each, Gap))
        self._stored += sum(1 for each in batch if isinstance(each, Envelope))
        self._quarantined += aside
        self._ingest.remember(folded)
        self._database.live_runs = frozenset(self._ingest.live)

    def _fail(self, error: Exception) -> None:
        """Note that storing does not work at present."""
        if self._state != "error":
            told = None if isinstance(error, StoreError) else error
            _log.error("%s; events are held and tried again", error, exc_info=told)
        self._state, self._last_error = "error", str(error)
        self._failures += 1

    async def _unstorable(self, batch: list[Delivery], error: Exception) -> list[Quarantined]:
        """The events that the store can never take; none when it is the store that fails."""
        if isinstance(error, StoreError):
            return []
        envelopes = [each for each in batch if isinstance(each, Envelope)]
        try:
            bad = await self._database.read(partial(find_unstorable, envelopes))
        except StoreError:
            return []
        for envelope, reason in bad:
            _log.error("quarantined event %d of run %s: %s", envelope.seq, envelope.run_id, reason)
        return bad
