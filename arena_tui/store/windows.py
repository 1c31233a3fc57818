"""Reads one run by epoch and seq: windows, and its state at a position. Writes nothing."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final, Literal

from msgspec.structs import replace

from arena_tui.broker.protocol import Cursor
from arena_tui.codec import decode_event
from arena_tui.events import Delivery, Envelope, Gap
from arena_tui.folds.density import MARKS_MAX, Density, Mark, Slices, empty_density
from arena_tui.folds.places import Places
from arena_tui.folds.totals import AgentTally, Usage
from arena_tui.folds.turns import BEGINNINGS
from arena_tui.store.reading import Reader

WINDOW = 1_000
"""Maximum number of seqs a windowed read returns, and the default page of runs."""

BEFORE: Final = "(epoch < $epoch OR (epoch = $epoch AND seq < $seq))"
"""Events before `$epoch`, `$seq`. DuckDB would scan every row to compare tuples."""

_TALLIES: Final = f"""
SELECT agent_id, kind, coalesce(told[1], ''), count(*),
    sum(fresh), sum(made), sum(cached), sum(reasoning), sum(cost),
    count(*) FILTER (cost IS NULL),
    count(*) FILTER (cost IS NULL AND (fresh IS NULL OR made IS NULL)),
    coalesce(sum(fresh) FILTER (cost IS NULL), 0), coalesce(sum(made) FILTER (cost IS NULL), 0),
    coalesce(sum(cached) FILTER (cost IS NULL), 0)
FROM (
    SELECT agent_id, kind,
        CASE WHEN kind = 'llm_response' THEN
            payload->>['model', 'input_tokens', 'output_tokens', 'cached_input_tokens',
                       'reasoning_tokens', 'cost_usd'] END AS told,
        TRY_CAST(told[2] AS BIGINT) AS fresh, TRY_CAST(told[3] AS BIGINT) AS made,
        TRY_CAST(told[4] AS BIGINT) AS cached, TRY_CAST(told[5] AS BIGINT) AS reasoning,
        TRY_CAST(told[6] AS DOUBLE) AS cost
    FROM events WHERE run_id = $run AND {BEFORE} AND agent_id IS NOT NULL
)
GROUP BY 1, 2, 3
"""
"""By agent, kind and model: the fields of `Usage`, in their order."""

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
    connection: Reader, run_id: str, from_seq: int, to_seq: int, epoch: int
) -> list[Delivery]:
    """See `History.window`."""
    parameters = {"run": run_id, "epoch": epoch, "first": from_seq,
                  "last": min(to_seq, from_seq + WINDOW - 1)}  # fmt: skip
    condition = "run_id = $run AND epoch = $epoch"
    rows = connection.execute(
        f"SELECT {_PAYLOAD_COLUMNS} FROM events WHERE {condition} AND seq BETWEEN $first AND $last",
        parameters,
    ).fetchall()
    gaps = connection.execute(
        f"SELECT run_id, epoch, from_seq, to_seq, reason FROM gaps "
        f"WHERE {condition} AND from_seq <= $last AND greatest(from_seq, to_seq) >= $first",
        parameters,
    ).fetchall()
    found: list[Delivery] = [Gap(*row) for row in gaps]
    found += [_envelope(*row) for row in rows]
    return sorted(found, key=lambda each: (each.first_seq, isinstance(each, Envelope)))


def read_turn_changes(
    connection: Reader, run_id: str, from_seq: int, to_seq: int, epoch: int
) -> list[tuple[int, str, int | None]]:
    """Seq, kind and turn of the events of one epoch with which a turn may begin, in order."""
    return connection.execute(
        "SELECT seq, kind, turn FROM ("
        "  SELECT seq, kind, turn, lag(turn IGNORE NULLS) OVER (ORDER BY seq) AS before FROM events"
        "  WHERE run_id = $run AND epoch = $epoch AND seq BETWEEN $first AND $last) "
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
    return read_nearest(connection, run_id, condition, agent_id, at, backwards=True)


def read_bookmarks(connection: Reader, run_id: str) -> list[Cursor]:
    """Positions of a run's bookmarks whose events are stored, in order."""
    rows = connection.execute(
        "SELECT DISTINCT epoch, seq FROM bookmarks SEMI JOIN events USING (run_id, epoch, seq) "
        "WHERE run_id = ? ORDER BY ALL",
        [run_id],
    ).fetchall()
    return [Cursor(epoch, seq) for epoch, seq in rows]


def read_gaps(connection: Reader, run_id: str) -> list[Gap]:
    """All gaps of a run, in order."""
    rows = connection.execute(
        "SELECT run_id, epoch, from_seq, to_seq, reason FROM gaps WHERE run_id = ? "
        "ORDER BY epoch, from_seq", [run_id]
    ).fetchall()  # fmt: skip
    return [Gap(*row) for row in rows]


def read_keyframe(connection: Reader, run_id: str, at: Cursor) -> list[Envelope]:
    """See `History.keyframe`."""
    until = {"run": run_id, "epoch": at.epoch, "seq": at.seq + 1}
    rows = connection.execute(
        "SELECT run_id, max(epoch), arg_max(seq, (epoch, seq)), "
        "arg_max(payload, (epoch, seq)) FROM events "
        f"WHERE run_id = $run AND {BEFORE} AND kind IN "
        "('run_start', 'turn_start', 'llm_prompt', 'llm_response', 'error', 'run_end') "
        "AND (kind <> 'run_end' OR epoch = $epoch) GROUP BY run_id, kind",
        until,
    ).fetchall()
    # The board before the last move is among so many, though each of several agents sees every one.
    rows += connection.execute(
        f"SELECT {_PAYLOAD_COLUMNS} FROM events WHERE run_id = $run AND {BEFORE} "
        "AND kind = 'observation' ORDER BY epoch DESC, seq DESC LIMIT 4",
        until,
    ).fetchall()
    # A turn may be told by nothing but the number of an action.
    rows += connection.execute(
        f"SELECT {_PAYLOAD_COLUMNS} FROM events WHERE run_id = $run AND {BEFORE} "
        "AND turn IS NOT NULL AND kind <> 'run_end' ORDER BY turn DESC LIMIT 1",
        until,
    ).fetchall()
    found = {(row[1], row[2]): row for row in rows}
    return [_envelope(*found[at]) for at in sorted(found)]


def read_nearest(
    connection: Reader, run_id: str, condition: str, wanted: str | int | datetime | None,
    at: Cursor, backwards: bool = False,
) -> Cursor | None:  # fmt: skip
    """Position of the first event after `at`, or the last before, that meets the condition on
    `$wanted`."""
    beyond, direction = (BEFORE, "DESC") if backwards else (f"NOT {BEFORE}", "ASC")
    seq = at.seq if backwards else at.seq + 1
    query = (
        f"SELECT epoch, seq FROM events WHERE run_id = $run AND {beyond} AND {condition} "
        f"ORDER BY epoch {direction}, seq {direction} LIMIT 1"
    )
    values = {"run": run_id, "wanted": wanted, "epoch": at.epoch, "seq": seq}
    found = connection.execute(query, values).fetchone()
    return Cursor(*found) if found else None


def read_tallies(connection: Reader, run_id: str, at: Cursor) -> dict[str, AgentTally]:
    """See `History.tallies`."""
    rows = connection.execute(_TALLIES, {"run": run_id, "epoch": at.epoch, "seq": at.seq + 1})
    counts: dict[str, Counter[str]] = {}
    by_model: dict[str, dict[str, Usage]] = {}
    for agent, kind, model, *used in rows.fetchall():
        usage = Usage(**dict(zip(Usage.__struct_fields__, used, strict=True)))
        counts.setdefault(agent, Counter())[kind] += usage.responses
        if kind == "llm_response":
            by_model.setdefault(agent, {})[model] = usage
    return {
        agent: AgentTally(
            actions=count["action"], errors=count["error"], by_model=by_model.get(agent, {})
        )
        for agent, count in counts.items()
    }


def read_density(connection: Reader, run_id: str, slices: int) -> Density:
    """See `History.density`."""
    ((lost, lost_unknown),) = connection.execute(
        "SELECT coalesce(sum(greatest(0, to_seq - from_seq + 1)), 0)::BIGINT, "
        "count(*) FILTER (reason = 'unknown') FROM gaps WHERE run_id = ?", [run_id]
    ).fetchall()  # fmt: skip
    found = connection.execute(
        "SELECT epoch, max(seq), min(ts), max(ts) FROM events WHERE run_id = ? GROUP BY 1", [run_id]
    ).fetchall()
    if not found:
        return replace(empty_density(slices), lost=lost, lost_unknown=lost_unknown)
    first_at, last_at = min(row[2] for row in found), max(row[3] for row in found)
    places = Places(read_lengths(connection, run_id))
    time = Slices(
        first_at=first_at.replace(tzinfo=UTC), last_at=last_at.replace(tzinfo=UTC), count=slices
    )
    elapsed_us = "(epoch_us(ts) - epoch_us($from))"
    slice_of = f"least({slices - 1}, CAST(floor({elapsed_us} / {time.width_us!r}) AS INTEGER))"
    parameters = {"run": run_id, "from": first_at}
    events = f"(SELECT *, {_place_of('seq', places)} AS place FROM events WHERE run_id = $run)"
    gaps = f"(SELECT *, {_place_of('from_seq', places)} AS place FROM gaps WHERE run_id = $run)"
    rows = connection.execute(
        f"SELECT {slice_of}, count(*), min(place) FROM {events} GROUP BY 1", parameters
    ).fetchall()
    marks = [
        *_marks(connection, "error", f"SELECT place, {slice_of}, '', 0 FROM {events} "
                "WHERE kind = 'error'", parameters),
        *_marks(connection, "gap", f"SELECT gap.place, if(ts IS NULL, 0, {slice_of}), reason, "
                f"greatest(0, to_seq - from_seq + 1) FROM {gaps} AS gap "
                f"ASOF LEFT JOIN {events} AS event "
                "ON event.run_id = gap.run_id AND event.place < gap.place", parameters),
        *_marks(connection, "bookmark", f"SELECT place, {slice_of}, note, 0 FROM bookmarks "
                f"JOIN {events} USING (run_id, epoch, seq)", parameters),
    ]  # fmt: skip
    filled = {index: (count, place) for index, count, place in rows}
    density = time.density(filled, places.of(Cursor(*max(found)[:2])), marks)
    return replace(density, lost=lost, lost_unknown=lost_unknown)


def _place_of(column: str, places: Places) -> str:
    """SQL for the place of a seq (see `Places`)."""
    before = {epoch: places.before(epoch) for epoch in places.epochs[1:]}
    if not before:
        return column
    cases = " ".join(f"WHEN {epoch:d} THEN {count:d}" for epoch, count in before.items())
    return f"({column} + CASE epoch {cases} ELSE 0 END)"


def _marks(
    connection: Reader,
    kind: Literal["error", "gap", "bookmark"],
    query: str,
    parameters: dict[str, Any],
) -> list[Mark]:
    rows = connection.execute(f"{query} ORDER BY 1 LIMIT {MARKS_MAX}", parameters).fetchall()
    return [
        Mark(place=place, kind=kind, slice=index, note=note or "", lost=lost)
        for place, index, note, lost in rows
    ]


def _envelope(run_id: str, epoch: int, seq: int, payload: str) -> Envelope:
    return Envelope(run_id, epoch, seq, decode_event(payload), payload.encode())
