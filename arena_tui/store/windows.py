"""Reads one run by epoch and seq: windows, and its state at a position. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

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

SEARCH_NEAR: Final = 20_000
_PROMPT_NEAR: Final = 1_000
"""Seqs that are looked at first; see `read_nearest`."""

_PAYLOAD_COLUMNS = "run_id, epoch, seq, payload"
_LENGTHS: Final = """
SELECT epoch, max(last) FROM (
    SELECT epoch, max(seq) AS last FROM events WHERE run_id = $run GROUP BY 1
    UNION ALL
    SELECT epoch, max(greatest(from_seq, to_seq)) FROM gaps WHERE run_id = $run GROUP BY 1
) GROUP BY 1 ORDER BY 1
"""


def read_lengths(connection: Reader, run_id: str) -> dict[int, int]:
    """See `History.lengths`."""
    return dict(connection.execute(_LENGTHS, {"run": run_id}).fetchall())


def read_window(
    connection: Reader, run_id: str, from_seq: int, to_seq: int, epoch: int,
    rows: Rows | None = None,
) -> list[Delivery]:  # fmt: skip
    """See `History.window`."""
    last = min(to_seq, from_seq + WINDOW - 1)
    parameters = {"run": run_id, "epoch": epoch, "first": from_seq, "last": last}
    condition = "run_id = $run AND epoch = $epoch"
    gaps = [
        Gap(*row)
        for row in connection.execute(
            f"SELECT run_id, epoch, from_seq, to_seq, reason FROM gaps "
            f"WHERE {condition} AND from_seq <= $last AND greatest(from_seq, to_seq) >= $first",
            parameters,
        ).fetchall()
    ]
    missing = sum(
        min(last, gap.to_seq) - max(from_seq, gap.from_seq) + 1 for gap in gaps if gap.count
    )
    events = (
        f"SELECT {_PAYLOAD_COLUMNS} FROM events WHERE {condition} AND seq BETWEEN $first AND $last"
    )
    stored: list[Any] = []
    if rows is not None:
        stored = connection.execute(f"{events} AND {_within(rows)}", parameters).fetchall()
    if len(stored) + missing < last - from_seq + 1:  # rows may have moved after a deletion
        stored = connection.execute(events, parameters).fetchall()
    found: list[Delivery] = [*gaps, *(envelope_of(*row) for row in stored)]
    return sorted(found, key=lambda each: (each.first_seq, isinstance(each, Envelope)))


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
    found = connection.execute(
        "SELECT epoch, max(seq), min(ts), max(ts), min(rowid), max(rowid) FROM events "
        "WHERE run_id = ? GROUP BY 1", [run_id]
    ).fetchall()  # fmt: skip
    if not found:
        return replace(empty_density(slices), lost=lost, lost_unknown=lost_unknown)
    whole = Within(min(row[2] for row in found).replace(tzinfo=UTC),
                   max(row[3] for row in found).replace(tzinfo=UTC))  # fmt: skip
    within = within or whole
    time = Slices(first_at=within.first_at, last_at=within.last_at, count=slices)
    places = Places({row[0]: row[1] for row in found})
    for gap in gaps:
        places.reach(gap)
    elapsed_us = "(epoch_us(ts) - epoch_us($from))"
    slice_of = f"least({slices - 1}, CAST(floor({elapsed_us} / {time.width_us!r}) AS INTEGER))"
    parameters = {"run": run_id, "from": within.first_at.replace(tzinfo=None),
                  "to": within.last_at.replace(tzinfo=None)}  # fmt: skip
    rows = Rows(min(row[4] for row in found), max(row[5] for row in found))
    place = _place_of("seq", places)
    events = f"FROM events WHERE run_id = $run AND {_within(rows)} AND ts BETWEEN $from AND $to"
    counted = connection.execute(
        f"SELECT {slice_of}, count(*), min({place}), min({place}) FILTER (kind = 'error'), "
        f"max({place}) {events} "
        "GROUP BY 1 ORDER BY 1", parameters
    ).fetchall()  # fmt: skip
    marks = [Mark(place=row[3], kind="error", slice=row[0]) for row in counted if row[3]]
    if gaps:
        befores = [places.first_of(gap) - 1 for gap in gaps]
        marks += _gap_marks(gaps, places, dict(connection.execute(
            f"SELECT {place}, {slice_of} {events} AND {place} IN (SELECT unnest($befores))",
            {**parameters, "befores": befores},
        ).fetchall()), within.first_at <= whole.first_at)  # fmt: skip
    marks += [
        Mark(place=place, kind="bookmark", slice=index, note=note or "")
        for place, index, note in connection.execute(
            f"SELECT {place}, {slice_of}, note FROM bookmarks JOIN events "
            f"USING (run_id, epoch, seq) WHERE run_id = $run AND ts BETWEEN $from AND $to "
            f"ORDER BY 1 LIMIT {MARKS_MAX}",
            parameters,
        ).fetchall()
    ]
    filled = {row[0]: (row[1], row[2]) for row in counted}
    density = time.density(filled, max((row[4] for row in counted), default=places.last), marks)
    return replace(density, lost=lost, lost_unknown=lost_unknown)


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
