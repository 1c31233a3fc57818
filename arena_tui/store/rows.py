"""Converts events and totals to rows of the store and back. Does not decide when to write."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from arena_tui.broker.chain import Chain, KnownRun
from arena_tui.broker.numbered import Recalled
from arena_tui.broker.protocol import Cursor
from arena_tui.events import AgentInfo, Delivery, Gap
from arena_tui.folds.totals import RunTotals
from arena_tui.store.database import Connection
from arena_tui.store.reading import Reader

_FIELDS = RunTotals.__struct_fields__
_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "agents": msgspec.json.Decoder(list[AgentInfo]), "tags": msgspec.json.Decoder(list[str]),
    "config": msgspec.json.Decoder(dict[str, object]),
    "outcome": msgspec.json.Decoder(dict[str, float]),
}  # fmt: skip
"""Of the columns that are JSON."""
_TIME_FIELDS = ("started_at", "ended_at", "last_at")
RUN_COLUMNS: Final = ", ".join(_FIELDS)
"""Columns of the `runs` table, in the order of the fields of RunTotals."""

_encoder = msgspec.json.Encoder()


def insert_gap(connection: Connection, gap: Gap, noted_at: datetime) -> None:
    row = (gap.run_id, gap.epoch, gap.from_seq, gap.to_seq, gap.reason, _naive(noted_at))
    connection.execute("INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?)", row)


def insert_quarantined(
    connection: Connection, what: Delivery, raw: bytes, error: str, noted_at: datetime
) -> None:
    """Keep the bytes of an invalid entry, or of an event that cannot be stored."""
    seq = what.from_seq if isinstance(what, Gap) else what.seq
    row = (what.run_id, what.epoch, seq, error, raw, _naive(noted_at))
    connection.execute("INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?)", row)


def insert_runs(connection: Connection, totals: Sequence[RunTotals]) -> None:
    if totals:
        select, columns = _as_table(totals, _FIELDS)
        connection.execute(f"INSERT INTO runs ({RUN_COLUMNS}) {select}", columns)


def update_runs(connection: Connection, changes: Sequence[tuple[RunTotals, RunTotals]]) -> None:
    """Turn the rows with the first totals of each pair into rows with the second.

    One statement, of the columns that any of them changes: most of its cost is by statement and by
    column, not by row.
    """
    changes = [(before, after) for before, after in changes if before != after]
    if not changes:
        return
    changed = [
        name
        for name in _FIELDS[1:]
        if any(getattr(before, name) != getattr(after, name) for before, after in changes)
    ]
    select, columns = _as_table([after for _, after in changes], ["run_id", *changed])
    assignments = ", ".join(f"{name} = new.{name}" for name in changed)
    connection.execute(
        f"UPDATE runs SET {assignments} FROM ({select}) AS new WHERE runs.run_id = new.run_id",
        columns,
    )


def load_totals(connection: Reader, run_ids: Collection[str]) -> dict[str, RunTotals]:
    """Totals of those of the runs that are stored."""
    if not run_ids:
        return {}
    query = f"SELECT {RUN_COLUMNS} FROM runs WHERE run_id IN (SELECT unnest(?))"
    rows = connection.execute(query, [list(run_ids)]).fetchall()
    return {totals.run_id: totals for totals in map(totals_of, rows)}


def load_cursors(connection: Reader) -> dict[str, Cursor]:
    rows = connection.execute("SELECT run_id, epoch, seq FROM cursors").fetchall()
    return {run_id: Cursor(epoch, seq) for run_id, epoch, seq in rows}


def upsert_chains(connection: Connection, newest: Iterable[tuple[str, int, Chain]]) -> None:
    """Note how far these chains of runs are stored, each once, and, of new ones, the run's epoch;
    in the transaction of their events."""
    rows = [
        (run_id, chain.id, epoch, chain.lines, chain.first, chain.digest)
        for run_id, epoch, chain in newest
    ]
    _upsert(connection, "chains", "(run_id, chain)", ("lines", "digest"), rows)


def upsert_producers(connection: Connection, newest: Sequence[tuple[str, str, int, int]]) -> None:
    """Note how far producers have come with runs, each once; in the transaction of their events."""
    _upsert(connection, "producers", "(run_id, producer)", ("epoch", "number"), newest)


def _upsert(
    connection: Connection, table: str, key: str, changing: Iterable[str],
    rows: Sequence[tuple[object, ...]],
) -> None:  # fmt: skip
    """Insert rows, or change these columns of those with their keys: in one statement, as most of
    the cost is by statement."""
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        values = ", ".join("unnest(?)" for _ in columns)
        changes = ", ".join(f"{name} = excluded.{name}" for name in changing)
        connection.execute(
            f"INSERT INTO {table} SELECT {values} ON CONFLICT {key} DO UPDATE SET {changes}",
            columns,
        )


def recall_runs(reader: Reader, run_ids: Collection[str]) -> dict[str, Recalled]:
    """See `Past.recall`."""
    numbers: dict[str, dict[str, tuple[int, int]]] = {}
    for run_id, producer, epoch, number in reader.execute(
        "SELECT run_id, producer, epoch, number FROM producers WHERE run_id IN (SELECT unnest(?))",
        [list(run_ids)],
    ).fetchall():
        numbers.setdefault(run_id, {})[producer] = epoch, number
    rows = reader.execute(
        "SELECT run_id, epoch, seq, status != 'running' FROM runs "
        "WHERE run_id IN (SELECT unnest(?))",
        [list(run_ids)],
    ).fetchall()
    found = {}
    for run_id, epoch, seq, over in rows:
        of_run = numbers.get(run_id, {})
        newest = [name for name, (at, _) in of_run.items() if at == epoch]
        alone = newest[0] if len(newest) == 1 else None
        counts = {name: number for name, (_, number) in of_run.items()}
        found[run_id] = Recalled(epoch, seq, over, counts, alone)
    return found


def load_known(connection: Reader) -> dict[str, KnownRun]:
    """How far each run is stored, and the chains of lines that it came from."""
    chains: dict[str, list[Chain]] = {}
    for run_id, *chain in connection.execute(
        "SELECT run_id, chain, epoch, lines, first, digest FROM chains"
    ).fetchall():
        chains.setdefault(run_id, []).append(Chain(*chain))
    rows = connection.execute("SELECT run_id, epoch, seq, status != 'running' FROM runs").fetchall()
    return {
        run_id: KnownRun(epoch, seq, over, tuple(chains.get(run_id, ())))
        for run_id, epoch, seq, over in rows
    }


def load_unfinished(connection: Reader, broker: str, since: datetime) -> list[str]:
    """Unfinished runs of this broker with events since then, unless a gap at the stored cursor
    already tells how their stream ended: with an unknown loss, or with its rest lost."""
    rows = connection.execute(
        "SELECT run_id FROM runs WHERE status = 'running' AND broker = ? AND last_at > ? "
        "AND NOT EXISTS (FROM gaps WHERE gaps.run_id = runs.run_id AND gaps.epoch = runs.epoch "
        "AND ((gaps.reason = 'unknown' AND from_seq = seq + 1) "
        "OR (gaps.reason = 'reset' AND to_seq = seq)))",
        [broker, _naive(since)],
    ).fetchall()
    return [run_id for (run_id,) in rows]


def totals_of(row: Sequence[Any]) -> RunTotals:
    """Totals from a row of `RUN_COLUMNS`."""
    values = {name: value for name, value in zip(_FIELDS, row, strict=True) if value is not None}
    for name, decoder in _DECODERS.items():
        if name in values:
            values[name] = decoder.decode(values[name])
    for name in _TIME_FIELDS:
        if name in values:
            values[name] = values[name].replace(tzinfo=UTC)
    return RunTotals(**values)


def as_in_payload(text: str) -> str:
    """The text as it appears inside a JSON payload: quotes and control characters escaped."""
    return _encoder.encode(text).decode()[1:-1]


def _as_table(totals: Sequence[RunTotals], names: Sequence[str]) -> tuple[str, list[list[object]]]:
    """A query that selects these columns, and its parameters: one list per column."""
    columns = [[_sql_value(name, getattr(each, name)) for each in totals] for name in names]
    lists = ", ".join(f"unnest(${number}) AS {name}" for number, name in enumerate(names, 1))
    return f"SELECT {lists}", columns


def _sql_value(name: str, value: Any) -> Any:
    if name in _DECODERS:
        return _encoder.encode(value).decode()
    if name in _TIME_FIELDS and value is not None:
        return _naive(value)
    return value


def _naive(at: datetime) -> datetime:
    return at.replace(tzinfo=None)
