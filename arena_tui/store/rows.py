"""Events and totals as rows of the store, both ways. Does not decide when they are written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from arena_tui.broker.protocol import Cursor
from arena_tui.events import Delivery, Envelope, Gap
from arena_tui.folds.totals import RunTotals
from arena_tui.store.arrow import event_columns
from arena_tui.store.database import Connection

__all__ = [
    "RUN_COLUMNS",
    "append_events",
    "as_in_payload",
    "facts_of",
    "insert_gap",
    "insert_quarantined",
    "insert_run",
    "load_cursors",
    "load_totals",
    "save_totals",
    "totals_of",
]

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

_encoder = msgspec.json.Encoder()


def append_events(connection: Connection, envelopes: Sequence[Envelope], table: str) -> None:
    """Append rows of the layout of `events`."""
    connection.from_arrow(event_columns(envelopes)).insert_into(table)


def insert_gap(connection: Connection, gap: Gap, noted_at: datetime) -> None:
    """Add a row to `gaps`."""
    row = (gap.run_id, gap.epoch, gap.from_seq, gap.to_seq, gap.reason, _naive(noted_at))
    connection.execute("INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?)", row)


def insert_quarantined(
    connection: Connection, what: Delivery, raw: bytes, error: str, noted_at: datetime
) -> None:
    """Keep bytes that are no event, or none that can be stored."""
    seq = what.from_seq if isinstance(what, Gap) else what.seq
    row = (what.run_id, what.epoch, seq, error, raw, _naive(noted_at))
    connection.execute("INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?)", row)


def insert_run(connection: Connection, run_id: str, epoch: int) -> None:
    """Add an empty row to `runs`, for `save_totals` to update."""
    connection.execute("INSERT INTO runs (run_id, epoch, seq) VALUES (?, ?, 0)", [run_id, epoch])


def save_totals(
    connection: Connection, totals: Sequence[RunTotals], *, counters_only: bool
) -> None:
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
    rows = connection.execute(query, [run_id]).fetchall()
    return totals_of(rows[0]) if rows else None


def load_cursors(connection: Connection) -> dict[str, Cursor]:
    """How far each run is stored."""
    rows = connection.execute("SELECT run_id, epoch, seq FROM cursors").fetchall()
    return {run_id: Cursor(epoch, seq) for run_id, epoch, seq in rows}


def totals_of(row: Sequence[Any]) -> RunTotals:
    """Totals from a row of `RUN_COLUMNS`."""
    values = dict(zip(_FIELDS, row, strict=True))
    for name in _JSON_FIELDS:
        raw = values[name]
        values[name] = None if raw is None else msgspec.json.decode(raw)
    for name in _TIME_FIELDS:
        at = values[name]
        values[name] = None if at is None else at.replace(tzinfo=UTC)
    given = {key: value for key, value in values.items() if value is not None}
    return msgspec.convert(given, RunTotals)


def facts_of(totals: RunTotals) -> tuple[object, ...]:
    """What `save_totals` leaves alone with `counters_only`."""
    return tuple(getattr(totals, name) for name in _FACTS)


def as_in_payload(text: str) -> str:
    """The text as it stands inside a payload: quotes and control characters are escaped there."""
    return _encoder.encode(text).decode()[1:-1]


def _sql_value(name: str, value: Any) -> Any:
    if name in _JSON_FIELDS:
        return _encoder.encode(value).decode()
    if name in _TIME_FIELDS and value is not None:
        return _naive(value)
    return value


def _naive(at: datetime) -> datetime:
    return at.replace(tzinfo=None)
