"""The durable consumer: batches from the broker, each one transaction with its cursors, then an ack.

Killed anywhere and started again it goes on at its stored cursors: nothing twice, nothing left out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import duckdb
import msgspec
from msgspec import Struct

from arena_tui.broker.protocol import BrokerProtocol, Cursor, Subscription
from arena_tui.errors import StoreError
from arena_tui.events import Delivery, Envelope, Gap, OtherEvent, encode_event, utc_now
from arena_tui.store.database import Connection, Database
from arena_tui.store.totals import RunTotals

__all__ = ["RUN_COLUMNS", "Persister", "PersisterCounters", "load_totals", "save_totals", "totals_of"]

_BATCH_MAX = 10_000
_RETRY_S = (0.5, 1.0, 2.0, 5.0)
_FIELDS = RunTotals.__struct_fields__
_JSON_FIELDS = ("agents", "tags", "config", "outcome")
_TIME_FIELDS = ("started_at", "ended_at", "last_at")
RUN_COLUMNS: Final = ", ".join(_FIELDS)
"""Columns of the `runs` table, in the order of the fields of RunTotals."""

_COUNTERS = (
    "run_id", "epoch", "seq", "turns", "events", "errors", "lost",
    "input_tokens", "output_tokens", "cost_usd", "last_at",
)  # fmt: skip
_FACTS = tuple(name for name in _FIELDS if name not in _COUNTERS)
"""Columns that few batches change; leaving them out halves the cost of the update."""

_log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()

PersisterState: TypeAlias = Literal["starting", "ok", "error", "stopped"]
_Quarantined: TypeAlias = tuple[Envelope, str]
EventRow: TypeAlias = tuple[str, int, int, int | None, str, str | None, datetime, str]


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

    Attributes:
        started: Set once it is subscribed: from here on the broker holds events for it.
    """

    def __init__(
        self,
        broker: BrokerProtocol,
        database: Database,
        *,
        flush_events: int = 1_000,
        flush_interval_s: float = 0.25,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._broker = broker
        self._database = database
        self._flush_events = flush_events
        self._flush_interval_s = flush_interval_s
        self._clock = clock
        self._totals: dict[str, RunTotals] = {}
        self._state: PersisterState = "starting"
        self._stored = 0
        self._lost = 0
        self._quarantined = 0
        self._failures = 0
        self._last_error: str | None = None
        self._commits: deque[tuple[float, int]] = deque(maxlen=512)
        self.started = asyncio.Event()

    async def run(self) -> None:
        """Store until the broker shuts down; cancelling it between commits loses no acked event."""
        self._totals.clear()
        cursors = await self._database.read(_load_cursors)
        subscription = self._broker.subscribe("persister", start=cursors, durable=True)
        self._state = "ok"
        self.started.set()
        try:
            while batch := await self._next_batch(subscription):
                subscription.ack(await self._store(batch))
        finally:
            subscription.close()
            if self._state != "error":
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

    @property
    def commits(self) -> list[tuple[float, int]]:
        """The newest commits, oldest first: duration in ms, and how many deliveries."""
        return list(self._commits)

    async def _next_batch(self, subscription: Subscription) -> list[Delivery]:
        """The next deliveries, `flush_events` of them or what came in the interval; empty: the end."""
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
        """Commit the batch, however long the disk refuses; return the cursors to ack."""
        aside: list[_Quarantined] = []
        attempt = 0
        while True:
            started = time.perf_counter()
            try:
                folded = await self._database.write(partial(self._write, batch, aside))
            except StoreError as error:
                self.fail(error)
                await asyncio.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
                attempt += 1
            except duckdb.DataError as error:
                batch, aside = await self._set_aside(batch, error)
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
        for run_id, totals in folded.items():
            if totals.status == "running":
                self._totals[run_id] = totals
            else:
                self._totals.pop(run_id, None)

    def fail(self, error: Exception) -> None:
        """Note that storing does not work at present."""
        if self._state != "error":
            _log.error("%s; events are held and tried again", error)
        self._state, self._last_error = "error", str(error)
        self._failures += 1

    def _write(
        self, batch: list[Delivery], aside: list[_Quarantined], connection: Connection
    ) -> dict[str, RunTotals]:
        """One transaction: rows past their cursors, gaps, folded totals; returns the new totals."""
        folded: dict[str, RunTotals] = {}
        news: list[Envelope] = []
        gaps: list[Gap] = []
        for each in batch:
            totals = folded.get(each.run_id)
            if totals is None:
                totals = folded[each.run_id] = self._totals_for(connection, each)
            if isinstance(each, Gap):
                gaps.append(each)
                totals.add_gap(each)
            elif each.seq > totals.seq or each.epoch != totals.epoch:
                news.append(each)
                totals.add(each)
        if news:
            with connection.appender("events") as appender:
                appender.append_rows(_event_rows(news))
        noted_at = self._clock().replace(tzinfo=None)
        for gap in gaps:
            row = (gap.run_id, gap.epoch, gap.from_seq, gap.to_seq, gap.reason, noted_at)
            connection.execute("INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?)", row)
        for envelope, error in aside:
            raw = encode_event(envelope.event)
            connection.execute(
                "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?)",
                (envelope.run_id, envelope.epoch, envelope.seq, error, raw, noted_at),
            )
        changed = [each for each in folded.values() if self._facts_changed(each)]
        same = [each for each in folded.values() if each not in changed]
        save_totals(connection, changed, counters_only=False)
        save_totals(connection, same, counters_only=True)
        return folded

    def _facts_changed(self, totals: RunTotals) -> bool:
        known = self._totals.get(totals.run_id)
        return known is None or any(getattr(known, f) != getattr(totals, f) for f in _FACTS)

    def _totals_for(self, connection: Connection, first: Delivery) -> RunTotals:
        """A copy to fold into, so that a refused transaction leaves no trace."""
        known = self._totals.get(first.run_id) or load_totals(connection, first.run_id)
        if known is None:
            known = RunTotals(run_id=first.run_id, epoch=first.epoch)
            connection.execute(
                "INSERT INTO runs (run_id, epoch, seq) VALUES (?, ?, 0)", [first.run_id, first.epoch]
            )
        return msgspec.structs.replace(known)

    async def _set_aside(
        self, batch: list[Delivery], error: Exception
    ) -> tuple[list[Delivery], list[_Quarantined]]:
        """Find the events that the database cannot take; each leaves a gap in its place."""
        bad = await self._database.read(partial(_unstorable, batch))
        if not bad:
            raise error
        for envelope, reason in bad:
            _log.error("quarantined event %d of run %s: %s", envelope.seq, envelope.run_id, reason)
        lost = {(each.run_id, each.epoch, each.seq) for each, _ in bad}
        return [
            Gap(each.run_id, each.epoch, each.seq, each.seq, "quarantined")
            if isinstance(each, Envelope) and (each.run_id, each.epoch, each.seq) in lost
            else each
            for each in batch
        ], bad


def save_totals(connection: Connection, totals: Sequence[RunTotals], counters_only: bool) -> None:
    """Update the rows of these runs, which must exist; `counters_only` leaves the facts alone."""
    if not totals:
        return
    names = _COUNTERS if counters_only else _FIELDS
    columns = [[_sql_value(name, getattr(each, name)) for each in totals] for name in names]
    new = ", ".join(f"unnest(${number}) AS {name}" for number, name in enumerate(names, 1))
    assignments = ", ".join(f"{name} = new.{name}" for name in names[1:])
    connection.execute(
        f"UPDATE runs SET {assignments} FROM (SELECT {new}) AS new WHERE runs.run_id = new.run_id",
        columns,
    )


def load_totals(connection: Connection, run_id: str) -> RunTotals | None:
    """The run's stored totals, or None."""
    query = f"SELECT {RUN_COLUMNS} FROM runs WHERE run_id = ?"
    row = connection.execute(query, [run_id]).fetchone()
    return None if row is None else totals_of(row)


def totals_of(row: Sequence[Any]) -> RunTotals:
    """Totals from a row of `RUN_COLUMNS`."""
    values = dict(zip(_FIELDS, row, strict=True))
    for name in _JSON_FIELDS:
        raw = values[name]
        values[name] = None if raw is None else msgspec.json.decode(raw)
    for name in _TIME_FIELDS:
        at = values[name]
        values[name] = None if at is None else at.replace(tzinfo=UTC)
    return msgspec.convert({key: value for key, value in values.items() if value is not None}, RunTotals)


def _sql_value(name: str, value: Any) -> Any:
    if name in _JSON_FIELDS:
        return _encoder.encode(value).decode()
    if name in _TIME_FIELDS and value is not None:
        return value.replace(tzinfo=None)
    return value


def _event_rows(news: list[Envelope]) -> Iterator[EventRow]:
    """Rows of the `events` table; the payloads of a batch are encoded in one call."""
    events = [envelope.event for envelope in news]
    if any(event.extra or type(event) is OtherEvent for event in events):
        payloads = [encode_event(event).decode() for event in events]
    else:
        payloads = _encoder.encode_lines(events).decode().split("\n")
    for envelope, event, payload in zip(news, events, payloads, strict=False):
        ts = event.ts if event.ts.tzinfo is UTC else event.ts.astimezone(UTC)
        yield (envelope.run_id, envelope.epoch, envelope.seq, event.turn, event.kind, event.agent_id,
               ts.replace(tzinfo=None), payload)  # fmt: skip


def _unstorable(batch: list[Delivery], connection: Connection) -> list[_Quarantined]:
    connection.execute("CREATE TEMP TABLE trial AS FROM events LIMIT 0")
    bad: list[_Quarantined] = []
    for each in batch:
        if isinstance(each, Envelope):
            try:
                with connection.appender("trial") as appender:
                    appender.append_rows(_event_rows([each]))
            except duckdb.DataError as error:
                bad.append((each, str(error)[:500]))
    return bad


def _load_cursors(connection: Connection) -> dict[str, Cursor]:
    rows = connection.execute("SELECT run_id, epoch, seq FROM cursors").fetchall()
    return {run_id: Cursor(epoch, seq) for run_id, epoch, seq in rows}
