"""What stores the same rows and totals otherwise: sqlite3, DuckDB's executemany, plain lines."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import duckdb
import msgspec

from arena_tui.events import Envelope
from arena_tui.folds.totals import RunTotals

EventRow: TypeAlias = tuple[str, int, int, int | None, str, str | None, str | datetime, str]
TotalsRow: TypeAlias = tuple[object, ...]

EVENTS = """
CREATE TABLE events (run_id VARCHAR NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
turn BIGINT, kind VARCHAR NOT NULL, agent_id VARCHAR, ts TIMESTAMP NOT NULL,
payload VARCHAR NOT NULL)
"""
RUNS = """
CREATE TABLE runs (run_id VARCHAR PRIMARY KEY, epoch BIGINT, seq BIGINT, turns BIGINT,
events BIGINT, errors BIGINT, lost BIGINT, input_tokens BIGINT, output_tokens BIGINT,
cost_usd DOUBLE, last_at TIMESTAMP)
"""
INSERT_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_UPSERT_RUN = "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_encoder = msgspec.json.Encoder()


class Fold:
    """Totals by run, as the persister folds them."""

    def __init__(self) -> None:
        self._totals: dict[str, RunTotals] = {}

    def add(self, batch: Sequence[Envelope]) -> list[RunTotals]:
        """Fold the batch in; returns the totals of its runs."""
        touched: dict[str, RunTotals] = {}
        for envelope in batch:
            totals = touched.get(envelope.run_id)
            if totals is None:
                totals = self._totals.setdefault(envelope.run_id, RunTotals(run_id=envelope.run_id))
                touched[envelope.run_id] = totals
            totals.add(envelope)
        return list(touched.values())


class SqliteRows:
    """The standard library's own: a write-ahead log, synced at every commit."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", EVENTS, RUNS):
            self._connection.execute(statement)
        self._fold = Fold()

    def store(self, batch: Sequence[Envelope]) -> None:
        connection = self._connection
        connection.execute("BEGIN")
        connection.executemany(INSERT_EVENT, event_rows(batch, as_text=True))
        connection.executemany(_UPSERT_RUN, totals_rows(self._fold.add(batch), as_text=True))
        connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class DuckdbRows:
    """The same database as the store's, by the DB-API."""

    def __init__(self, path: Path) -> None:
        self._connection = duckdb.connect(path)
        self._connection.execute(EVENTS)
        self._connection.execute(RUNS)
        self._fold = Fold()

    def store(self, batch: Sequence[Envelope]) -> None:
        self._connection.begin()
        self._insert("events", event_rows(batch))
        self._insert("runs", totals_rows(self._fold.add(batch)))
        self._connection.commit()

    def _insert(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        insert = INSERT_EVENT if table == "events" else _UPSERT_RUN
        self._connection.executemany(insert, list(rows))

    def close(self) -> None:
        self._connection.close()


class JsonLines:
    """The least that keeps an event: its bytes on the disk."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    def store(self, batch: Sequence[Envelope]) -> None:
        """One write, one sync."""
        self._file.write(_encoder.encode_lines([envelope.event for envelope in batch]))
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def event_rows(batch: Sequence[Envelope], as_text: bool = False) -> Iterable[EventRow]:
    """Rows of `EVENTS`; the payloads are encoded in one call, as the store does it."""
    payloads = _encoder.encode_lines([envelope.event for envelope in batch]).decode().split("\n")
    for envelope, payload in zip(batch, payloads, strict=False):
        event = envelope.event
        yield (
            envelope.run_id, envelope.epoch, envelope.seq, event.turn, event.kind, event.agent_id,
            event.ts.isoformat() if as_text else event.ts.replace(tzinfo=None), payload,
        )  # fmt: skip


def totals_rows(totals: Iterable[RunTotals], as_text: bool = False) -> Iterable[TotalsRow]:
    """Rows of `RUNS`."""
    for each in totals:
        last_at = each.last_at
        if last_at is not None and not as_text:
            last_at = last_at.replace(tzinfo=None)
        yield (
            each.run_id, each.epoch, each.seq, each.turns, each.events, each.errors, each.lost,
            each.input_tokens, each.output_tokens, each.cost_usd,
            str(last_at) if as_text else last_at,
        )  # fmt: skip
