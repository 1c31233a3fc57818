"""Reads the events of many runs in order, as rows, some thousand at a time. Keeps nothing open.

A gap is a row like an event: what was lost is where it is missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from arena_tui.folds.totals import RunTotals
from arena_tui.store.reading import Reader

GAP: Final = "gap"
_PIECE: Final = 4_000
"""Most seqs that one query reads of a run; of smaller runs it reads so many events together."""

_CHUNK_BYTES: Final = 4_000_000
"""Payloads that are read in one go: opening the store takes as long as a few thousand events."""

_PIECE_BYTES: Final = 24_000_000
"""Payloads that one query may return: a few thousand events can be hundreds of megabytes. Of large
ones DuckDB reads more than it returns, so that smaller pieces would take much longer."""

_SEQ_MAX: Final = 2**62
_LENGTHS: Final = """
SELECT run_id, epoch, max(last) FROM (
    SELECT run_id, epoch, max(seq) AS last FROM events
    WHERE run_id IN (SELECT unnest($runs)) GROUP BY ALL
    UNION ALL
    SELECT run_id, epoch, max(greatest(from_seq, to_seq)) FROM gaps
    WHERE run_id IN (SELECT unnest($runs)) GROUP BY ALL
) GROUP BY ALL ORDER BY epoch
"""
_EVENTS: Final = """
SELECT run_id, epoch, seq, turn, kind, agent_id, ts, payload FROM events
WHERE run_id IN (SELECT unnest($runs)) AND seq BETWEEN $first AND $last
"""
_SIZE: Final = """
SELECT coalesce(sum(strlen(payload)), 0)::BIGINT FROM events
WHERE run_id IN (SELECT unnest($runs)) AND seq BETWEEN $first AND $last
"""
_SIZES: Final = """
SELECT run_id, epoch, seq, strlen(payload) FROM events
WHERE run_id IN (SELECT unnest($runs)) AND seq BETWEEN $first AND $last
"""
_GAPS: Final = """
SELECT run_id, epoch, from_seq, to_seq, reason FROM gaps
WHERE run_id IN (SELECT unnest($runs)) AND from_seq <= $last
AND greatest(from_seq, to_seq) >= $first AND ($begins OR from_seq >= $first)
"""


class EventRow(NamedTuple):
    """One event; or a gap, which has a `kind` of its own, its first seq and no time.

    Attributes:
        payload: The whole event as JSON; of a gap its limits and reason.
    """

    run_id: str
    epoch: int
    seq: int
    turn: int | None
    kind: str
    agent_id: str | None
    ts: datetime | None
    payload: str


class Wanted(NamedTuple):
    """Which events of each run: of these kinds, or of all, between two seqs in every epoch."""

    kinds: tuple[str, ...] = ()
    first: int = 1
    last: int | None = None


class _Piece(NamedTuple):
    """What one query reads: some small runs, or part of an epoch.

    Attributes:
        begins: Whether a gap that begins before it is told with it.
        fits: Whether its payloads are known to be few enough to be read in one go.
    """

    runs: tuple[str, ...]
    first: int
    last: int
    epoch: int | None = None
    begins: bool = True
    fits: bool = False


def read_events(
    read: Callable[[Callable[[Reader], Any]], Any], runs: Sequence[RunTotals], wanted: Wanted
) -> Iterator[list[EventRow]]:
    """The events of these runs, run after run; what is stored while they are read may be missing.

    Args:
        read: Runs a query on the store, whoever has it open, again if it was cut off.
    """
    pieces: list[_Piece] = read(partial(_pieces, runs=runs, wanted=wanted))
    while pieces:
        rows, pieces = read(partial(_chunk, pieces=pieces, kinds=wanted.kinds))
        if rows:
            yield rows
        del rows  # else they would be there until the next ones are


def event_fields(row: EventRow) -> dict[str, Any]:
    """The fields of its JSON line, the time as such."""
    place: dict[str, Any] = {"run_id": row.run_id, "epoch": row.epoch}
    fields = msgspec.json.decode(row.payload, type=dict[str, Any])
    if row.ts is None:
        return place | fields
    return place | {"seq": row.seq} | fields | {"ts": row.ts}


def _pieces(reader: Reader, runs: Sequence[RunTotals], wanted: Wanted) -> list[_Piece]:
    limits = wanted.first, _SEQ_MAX if wanted.last is None else wanted.last
    large = [each.run_id for each in runs if each.events > _PIECE]
    lengths: dict[str, list[tuple[int, int]]] = {}
    if large:
        for run_id, epoch, last in reader.execute(_LENGTHS, {"runs": large}).fetchall():
            lengths.setdefault(run_id, []).append((epoch, last))
    pieces: list[_Piece] = []
    together: list[str] = []
    events = 0
    for run in runs:
        if together and (run.run_id in lengths or events + run.events > _PIECE):
            pieces.append(_Piece(tuple(together), *limits))
            together, events = [], 0
        if run.run_id not in lengths:
            together.append(run.run_id)
            events += run.events
        for epoch, newest in lengths.get(run.run_id, ()):
            end = min(limits[1], newest)
            pieces += [
                _Piece(
                    (run.run_id,), first, min(first + _PIECE - 1, end), epoch, first == limits[0]
                )
                for first in range(limits[0], end + 1, _PIECE)
            ]
    return [*pieces, _Piece(tuple(together), *limits)] if together else pieces


def _chunk(
    reader: Reader, pieces: Sequence[_Piece], kinds: Sequence[str]
) -> tuple[list[EventRow], list[_Piece]]:
    """What some pieces have, and those that are left. One with large events is cut up first."""
    rows: list[EventRow] = []
    left, size = list(reversed(pieces)), 0
    while left and size < _CHUNK_BYTES:
        piece = left.pop()
        if not piece.fits:
            left += reversed(_parts(reader, piece))
            continue
        found = _rows(reader, piece, kinds)
        rows += found
        size += sum(len(each.payload) for each in found)
    return rows, left[::-1]


def _parts(reader: Reader, piece: _Piece) -> list[_Piece]:
    """The piece itself, if its payloads may be read in one go; else smaller ones of it."""
    given, of_epoch = _given(piece)
    ((size,),) = reader.execute(_SIZE + of_epoch, given).fetchall()
    if size <= _PIECE_BYTES:
        return [piece._replace(fits=True)]
    sizes: dict[str, dict[int, list[tuple[int, int]]]] = {each: {} for each in piece.runs}
    for run_id, epoch, seq, length in reader.execute(_SIZES + of_epoch, given).fetchall():
        sizes[run_id].setdefault(epoch, []).append((seq, length))
    parts: list[_Piece] = []
    room = 0
    for run_id in piece.runs:
        size = sum(length for each in sizes[run_id].values() for _, length in each)
        if size > _PIECE_BYTES:
            parts += _parts_of(reader, piece._replace(runs=(run_id,)), sizes[run_id])
            room = 0
        elif size <= room:
            parts[-1] = parts[-1]._replace(runs=(*parts[-1].runs, run_id))
            room -= size
        else:
            parts.append(piece._replace(runs=(run_id,), fits=True))
            room = _PIECE_BYTES - size
    return parts


def _parts_of(
    reader: Reader, piece: _Piece, sizes: Mapping[int, list[tuple[int, int]]]
) -> Iterator[_Piece]:
    """Parts of a piece of one run, which is too large; `sizes` has its seqs and bytes by epoch."""
    lengths = {piece.epoch: piece.last}
    if piece.epoch is None:
        found = reader.execute(_LENGTHS, {"runs": list(piece.runs)}).fetchall()
        lengths = {epoch: min(piece.last, last) for _, epoch, last in found if last >= piece.first}
    for epoch, last in lengths.items():
        events = [] if epoch is None else sorted(sizes.get(epoch, ()))
        yield from _cut(piece._replace(epoch=epoch, last=last, fits=True), events)


def _cut(piece: _Piece, sizes: Sequence[tuple[int, int]]) -> Iterator[_Piece]:
    """Parts of an epoch that have at most so many bytes, or one event; `sizes` by seq."""
    room = _PIECE_BYTES
    for seq, size in sizes:
        room -= size
        if room < 0 and seq > piece.first:
            yield piece._replace(last=seq - 1)
            piece = piece._replace(first=seq, begins=False)
            room = _PIECE_BYTES - size
    yield piece


def _rows(reader: Reader, piece: _Piece, kinds: Sequence[str]) -> list[EventRow]:
    given, of_epoch = _given(piece)
    of_kinds, wanted = "", given
    if kinds:
        of_kinds, wanted = " AND kind IN (SELECT unnest($kinds))", given | {"kinds": list(kinds)}
    events = reader.execute(_EVENTS + of_epoch + of_kinds, wanted).fetchall()
    # After the events: else one could be read that comes after a gap stored in between.
    gaps = reader.execute(_GAPS + of_epoch, given | {"begins": piece.begins}).fetchall()
    rows = [
        EventRow._make((*place, ts.replace(tzinfo=UTC), payload)) for *place, ts, payload in events
    ]
    rows += [_gap(*each) for each in gaps]
    order = {run_id: number for number, run_id in enumerate(piece.runs)}
    rows.sort(key=lambda each: (order[each.run_id], each.epoch, each.seq, each.ts is not None))
    return rows


def _given(piece: _Piece) -> tuple[dict[str, Any], str]:
    """The parameters of its queries, and what follows their conditions."""
    given: dict[str, Any] = {"runs": list(piece.runs), "first": piece.first, "last": piece.last}
    if piece.epoch is None:
        return given, ""
    return given | {"epoch": piece.epoch}, " AND epoch = $epoch"


def _gap(run_id: str, epoch: int, from_seq: int, to_seq: int, reason: str) -> EventRow:
    fields = {"kind": GAP, "from_seq": from_seq, "to_seq": to_seq, "reason": reason}
    payload = msgspec.json.encode(fields).decode()
    return EventRow(run_id, epoch, from_seq, None, GAP, None, None, payload)
