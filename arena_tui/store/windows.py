"""Reads one run by epoch and seq: windows, and its state at a position. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from arena_tui.broker.protocol import Cursor
from arena_tui.codec import decode_event
from arena_tui.events import Delivery, Envelope, Gap
from arena_tui.folds.density import MARKS_MAX, Density, Mark, Slices, Within, empty_density
from arena_tui.folds.places import Places
from arena_tui.folds.turns import BEGINNINGS
from arena_tui.store.reading import Reader
from arena_tui.store.stretches import BEFORE, Rows

WINDOW = 1_000
"""Maximum number of seqs a windowed read returns, and the default page of runs."""

_SHORT_BYTES: Final = 2_000
_OF_EPOCH: Final = "run_id = $run AND epoch = $epoch"
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
SEARCH_NEAR: Final = 20_000
_PROMPT_NEAR: Final = 1_000
"""Seqs that are looked at first; see `read_nearest`."""

_PAYLOAD_COLUMNS = "run_id, epoch, seq, payload"
_LENGTHS: Final = """
SELECT epoch, max(last) FROM (
    SELECT epoch, seq AS last FROM runs WHERE run_id = $run
    UNION ALL
    SELECT epoch, max(seq) FROM events
    WHERE run_id = $run AND epoch < (SELECT epoch FROM runs WHERE run_id = $run) GROUP BY 1
    UNION ALL
    SELECT epoch, max(greatest(from_seq, to_seq)) FROM gaps WHERE run_id = $run GROUP BY 1
) WHERE last > 0 GROUP BY 1 ORDER BY 1
"""
"""How far a run came in its newest epoch its row says; to look among its events takes long. In one
query: else the run could begin another epoch in between."""


def read_lengths(connection: Reader, run_id: str) -> dict[int, int]:
    """See `History.lengths`."""
    return dict(connection.execute(_LENGTHS, {"run": run_id}).fetchall())


def read_window(
    connection: Reader, run_id: str, from_seq: int, to_seq: int, epoch: int,
    rows: Rows | None = None,
) -> list[Delivery]:  # fmt: skip
    """See `History.window`."""
    last = min(to_seq, from_seq + WINDOW - 1)
    values = {"run": run_id, "epoch": epoch, "first": from_seq, "last": last}
    found: list[Delivery] = []
    if rows is not None:
        found = _window(connection, values, f" AND {_within(rows)}")
    covered = sum(min(last, each.last_seq) - max(from_seq, each.first_seq) + 1 for each in found)
    if covered < last - from_seq + 1:  # rows may have moved after a deletion
        found = _window(connection, values, "")
    return sorted(found, key=lambda each: (each.first_seq, isinstance(each, Envelope)))


def _window(connection: Reader, values: Mapping[str, Any], within: str) -> list[Delivery]:
    """The deliveries, in no order; in one query, as half its time is by query."""
    rows = connection.execute(
        f"SELECT {_PAYLOAD_COLUMNS}, NULL::BIGINT FROM events WHERE {_OF_EPOCH} "
        f"AND seq BETWEEN $first AND $last{within} UNION ALL "
        f"SELECT run_id, epoch, from_seq, reason, to_seq FROM gaps WHERE {_OF_EPOCH} "
        "AND from_seq <= $last AND greatest(from_seq, to_seq) >= $first",
        values,
    ).fetchall()
    return [
        envelope_of(run, at, seq, text) if end is None else Gap(run, at, seq, end, text)
        for run, at, seq, text, end in rows
    ]


def read_event(reader: Reader, run_id: str, at: Cursor, rows: Rows | None) -> Envelope | None:
    """The event at a position; None if it is not stored. `rows` says where it was in the file."""
    query = (
        f"SELECT {_PAYLOAD_COLUMNS} FROM events "
        "WHERE run_id = $run AND epoch = $epoch AND seq = $seq"
    )
    values = {"run": run_id, "epoch": at.epoch, "seq": at.seq}
    found = None
    if rows is not None:
        found = reader.execute(f"{query} AND {_within(rows)}", values).fetchone()
    found = found or reader.execute(query, values).fetchone()
    return None if found is None else envelope_of(*found)


def read_short_errors(reader: Reader, run_id: str, most: int) -> list[Envelope]:
    """A run's errors, the newest first, at most so many; long ones are left out."""
    rows = reader.execute(
        f"SELECT {_PAYLOAD_COLUMNS} FROM events WHERE run_id = ? AND kind = 'error' "
        f"AND strlen(payload) <= {_SHORT_BYTES} ORDER BY epoch DESC, seq DESC LIMIT ?",
        [run_id, most],
    ).fetchall()
    return [envelope_of(*row) for row in rows]


def read_turn_changes(
    connection: Reader, run_id: str, from_seq: int, to_seq: int, epoch: int
) -> list[tuple[int, str, int | None, int]]:
    """Seq, kind, turn and time, in microseconds since 1970, of the events of one epoch with which a
    turn may begin, in order."""
    return connection.execute(
        "SELECT seq, kind, turn, epoch_us(ts) FROM ("
        "  SELECT seq, kind, turn, ts, lag(turn IGNORE NULLS) OVER (ORDER BY seq) AS before "
        "  FROM events WHERE run_id = $run AND epoch = $epoch AND seq BETWEEN $first AND $last) "
        "WHERE kind IN (SELECT unnest($kinds)) OR turn <> before "
        "OR (turn IS NOT NULL AND before IS NULL) ORDER BY seq",
        {"run": run_id, "epoch": epoch, "first": from_seq, "last": to_seq,
         "kinds": list(BEGINNINGS)},
    ).fetchall()  # fmt: skip


def read_previous_prompt(
    connection: Reader, run_id: str, agent_id: str | None, at: Cursor
) -> Cursor | None:
    """Position of the agent's newest prompt before that, or None."""
    condition = "kind = 'llm_prompt' AND agent_id IS NOT DISTINCT FROM $wanted"
    return read_nearest(
        connection, run_id, condition, agent_id, at, backwards=True, near=_PROMPT_NEAR
    )


def read_gaps(connection: Reader, run_id: str) -> list[Gap]:
    """All gaps of a run, in order."""
    rows = connection.execute(
        "SELECT run_id, epoch, from_seq, to_seq, reason FROM gaps WHERE run_id = ? "
        "ORDER BY epoch, from_seq", [run_id]
    ).fetchall()  # fmt: skip
    return [Gap(*row) for row in rows]


def read_silences(reader: Reader, run_id: str, least_s: float, most: int) -> list[Cursor]:
    """Positions of the events that end the longest silences of at least so many seconds, at most
    so many, in order."""
    rows = reader.execute(
        "SELECT epoch, seq FROM (SELECT epoch, seq, epoch(ts - lag(ts) OVER (ORDER BY epoch, seq)) "
        "AS silence_s FROM events WHERE run_id = ?) WHERE silence_s >= ? "
        "ORDER BY silence_s DESC LIMIT ?",
        [run_id, least_s, most],
    ).fetchall()
    return sorted(Cursor(epoch, seq) for epoch, seq in rows)


def read_board(reader: Reader, run_id: str) -> str:
    """Text of a run's newest observation; "" without any."""
    found = reader.execute(
        "SELECT payload->>'text' FROM events WHERE run_id = ? AND kind = 'observation' "
        "ORDER BY epoch DESC, seq DESC LIMIT 1", [run_id]
    ).fetchone()  # fmt: skip
    return (found and found[0]) or ""


def read_other_board(
    connection: Reader, run_id: str, at: Cursor, texts: Sequence[str]
) -> Cursor | None:
    """Position of the newest observation before that with none of these texts, or None."""
    condition = (
        "kind = 'observation' AND "
        "NOT list_contains($wanted::VARCHAR[], coalesce(payload->>'text', ''))"
    )
    return read_nearest(connection, run_id, condition, list(texts), at, backwards=True)


def read_nearest(
    connection: Reader, run_id: str, condition: str,
    wanted: str | int | datetime | list[str] | None,
    at: Cursor, backwards: bool = False, near: int = 0,
) -> Cursor | None:  # fmt: skip
    """Position of the first event after `at`, or the last before, that meets the condition on
    `$wanted`.

    Args:
        near: So many seqs are looked at first, where looking at all of a run takes long.
    """
    beyond, direction = (BEFORE, "DESC") if backwards else (f"NOT {BEFORE}", "ASC")
    seq = at.seq if backwards else at.seq + 1
    values = {"run": run_id, "wanted": wanted, "epoch": at.epoch, "seq": seq}
    reach = f"$seq - {near:d} AND $seq - 1" if backwards else f"$seq AND $seq + {near:d} - 1"
    close_by = f"epoch = $epoch AND seq BETWEEN {reach}"
    for where in (close_by, beyond) if near else (beyond,):
        found = connection.execute(
            f"SELECT epoch, seq FROM events WHERE run_id = $run AND {where} AND {condition} "
            f"ORDER BY epoch {direction}, seq {direction} LIMIT 1",
            values,
        ).fetchone()
        if found:
            return Cursor(*found)
    return None


def read_density(
    connection: Reader, run_id: str, slices: int, within: Within | None = None
) -> Density:
    """See `History.density`."""
    gaps = read_gaps(connection, run_id)
    lost, lost_unknown = sum(gap.count for gap in gaps), sum(gap.unknown for gap in gaps)
    time = _slices(within or _told_times(connection, run_id), slices)
    counted = _counted(connection, run_id, time)
    if not counted:
        return replace(empty_density(slices), lost=lost, lost_unknown=lost_unknown)
    whole = Within(min(each.first_at for each in counted).replace(tzinfo=UTC),
                   max(each.last_at for each in counted).replace(tzinfo=UTC))  # fmt: skip
    if within is None and whole != (time.first_at, time.last_at):  # its first event is not its
        time = _slices(whole, slices)  # earliest, or its last not its latest
        counted = _counted(connection, run_id, time)
    lengths: dict[int, int] = {}
    for each in counted:
        lengths[each.epoch] = max(each.last, lengths.get(each.epoch, 0))
    places = Places(lengths)
    for gap in gaps:
        places.reach(gap)
    filled: dict[int, tuple[int, int]] = {}
    errors: dict[int, int] = {}
    last = 0
    for each in counted:
        if each.slice is not None:
            before = places.before(each.epoch)
            events, first = filled.get(each.slice, (0, before + each.first))
            filled[each.slice] = events + each.events, min(first, before + each.first)
            last = max(last, before + each.last)
            if each.error is not None:
                error = before + each.error
                errors[each.slice] = min(error, errors.get(each.slice, error))
    marks = [Mark(place=errors[each], kind="error", slice=each) for each in sorted(errors)]
    parameters = _bounds(run_id, time)
    place, slice_of = _place_of("seq", places), _slice_of(time)
    if gaps:
        befores = [places.first_of(gap) - 1 for gap in gaps]
        marks += _gap_marks(gaps, places, dict(connection.execute(
            f"SELECT {place}, {slice_of} FROM events WHERE run_id = $run "
            f"AND ts BETWEEN $from AND $to AND {place} IN (SELECT unnest($befores))",
            {**parameters, "befores": befores},
        ).fetchall()), time.first_at <= whole.first_at)  # fmt: skip
    if connection.execute("SELECT 1 FROM bookmarks WHERE run_id = ? LIMIT 1", [run_id]).fetchone():
        marks += [
            Mark(place=place, kind="bookmark", slice=index, note=note or "")
            for place, index, note in connection.execute(
                f"SELECT {place}, {slice_of}, note FROM bookmarks JOIN events "
                f"USING (run_id, epoch, seq) WHERE run_id = $run AND ts BETWEEN $from AND $to "
                f"ORDER BY 1 LIMIT {MARKS_MAX}",
                parameters,
            ).fetchall()
        ]
    density = time.density(filled, last or places.last, marks)
    return replace(density, lost=lost, lost_unknown=lost_unknown)


class _Counted(NamedTuple):
    """The events of one epoch in one slice, or outside of all: None."""

    epoch: int
    slice: int | None
    events: int
    first: int
    last: int
    error: int | None
    first_at: datetime
    last_at: datetime


def _counted(connection: Reader, run_id: str, time: Slices) -> list[_Counted]:
    """All events of a run, counted in one scan."""
    rows = connection.execute(
        f"SELECT epoch, if(ts BETWEEN $from AND $to, {_slice_of(time)}, NULL) AS slice, count(*), "
        "min(seq), max(seq), min(seq) FILTER (kind = 'error'), min(ts), max(ts) "
        "FROM events WHERE run_id = $run GROUP BY 1, 2",
        _bounds(run_id, time),
    ).fetchall()
    return [_Counted(*row) for row in rows]


def _told_times(connection: Reader, run_id: str) -> Within:
    """When the run's first and newest event were, as its row says: as a rule its earliest and
    latest."""
    query = "SELECT started_at, last_at FROM runs WHERE run_id = ?"
    found = connection.execute(query, [run_id]).fetchone()
    first_at, last_at = found or (None, None)
    if first_at is None or last_at is None or last_at < first_at:
        return Within(_NO_TIME, _NO_TIME)
    return Within(first_at.replace(tzinfo=UTC), last_at.replace(tzinfo=UTC))


def _slices(within: Within, count: int) -> Slices:
    return Slices(first_at=within.first_at, last_at=within.last_at, count=count)


def _slice_of(time: Slices) -> str:
    """SQL for the slice of `ts`; with the parameters of `_bounds`."""
    elapsed_us = "(epoch_us(ts) - epoch_us($from))"
    return f"least({time.count - 1}, CAST(floor({elapsed_us} / {time.width_us!r}) AS INTEGER))"


def _bounds(run_id: str, time: Slices) -> dict[str, Any]:
    return {"run": run_id, "from": time.first_at.replace(tzinfo=None),
            "to": time.last_at.replace(tzinfo=None)}  # fmt: skip


def _gap_marks(
    gaps: Sequence[Gap], places: Places, slices: Mapping[int, int], from_start: bool
) -> list[Mark]:
    """Each gap in the slice of what is before it, if that is among these: slices by place.

    Args:
        from_start: Whether the first slice begins with the run.
    """
    marks: list[Mark] = []
    ends, before = 1, 0 if from_start else None
    for gap in gaps:
        place = places.first_of(gap)
        if place != ends:  # else a gap, or nothing, is right before it
            before = slices.get(place - 1)
        ends = places.last_of(gap) + 1
        if before is not None and len(marks) < MARKS_MAX:
            marks.append(Mark(place=place, kind="gap", slice=before, note=gap.reason,
                              lost=gap.count))  # fmt: skip
    return marks


def _place_of(column: str, places: Places) -> str:
    """SQL for the place of a seq (see `Places`)."""
    before = {epoch: places.before(epoch) for epoch in places.epochs[1:]}
    if not before:
        return column
    cases = " ".join(f"WHEN {epoch:d} THEN {count:d}" for epoch, count in before.items())
    return f"({column} + CASE epoch {cases} ELSE 0 END)"


def _within(rows: Rows) -> str:
    """SQL for rows of the file; these come from the store itself."""
    first, last = rows
    return f"rowid >= {first:d}" if last is None else f"rowid BETWEEN {first:d} AND {last:d}"


def envelope_of(run_id: str, epoch: int, seq: int, payload: str) -> Envelope:
    """The event of a row."""
    return Envelope(run_id, epoch, seq, decode_event(payload), payload.encode())
