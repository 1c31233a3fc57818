"""Reads the first moves of many runs, in one query. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from arena_tui.broker.protocol import Cursor
from arena_tui.folds.openings import Opening, Origin
from arena_tui.store.history import read_runs
from arena_tui.store.reading import Reader

RUNS_MAX: Final = 5_000
"""Of more, the newest."""
MOVES_MAX: Final = 12
"""Of each run, its first ones."""

_MOVE_MAX: Final = 120
"""Characters of a move that are read; those which differ only after that are taken for one."""
_EVENTS_MAX: Final = 2_000
"""Of each run, only the actions among its first events are looked at: that bounds the query."""

_MOVES: Final = f"""
SELECT run_id, list(left(coalesce(payload->>'action', ''), {_MOVE_MAX}) ORDER BY epoch, seq) FROM (
    SELECT run_id, epoch, seq, payload,
        row_number() OVER (PARTITION BY run_id ORDER BY epoch, seq) AS number
    FROM events
    WHERE kind = 'action' AND seq <= {_EVENTS_MAX} AND run_id IN (SELECT unnest(?))
)
WHERE number <= {MOVES_MAX} GROUP BY run_id
"""
_ORIGINS: Final = """
SELECT run_id, min_by(TRY_CAST(payload->>'parent_seq' AS BIGINT), seq) FROM events
WHERE kind = 'fork' AND run_id IN (SELECT unnest(?)) GROUP BY run_id
"""


def read_openings(
    reader: Reader, where: str = "TRUE", parameters: Sequence[Any] = ()
) -> list[Opening]:
    """The first `MOVES_MAX` moves of each matching run, the newest run first, `RUNS_MAX` at most;
    `parse_filter` makes `where` and `parameters`. A move that is no text is JSON."""
    runs = read_runs(reader, where, parameters, limit=RUNS_MAX)
    rows = reader.execute(_MOVES, [[run.run_id for run in runs]]).fetchall() if runs else []
    moves = dict(rows)
    forks = {run.run_id: run.parent_run_id for run in runs if run.parent_run_id is not None}
    seqs = dict(reader.execute(_ORIGINS, [list(forks)]).fetchall()) if forks else {}
    origins = {fork: Origin(parent, seqs.get(fork)) for fork, parent in forks.items()}
    return [
        Opening(totals=run, moves=tuple(moves.get(run.run_id, ())), origin=origins.get(run.run_id))
        for run in runs
    ]


def read_move(reader: Reader, run_id: str, number: int) -> Cursor | None:
    """Where the move of that number, from 1, is in a run; None if it has not so many."""
    found = reader.execute(
        "SELECT epoch, seq FROM events WHERE run_id = ? AND kind = 'action' "
        "ORDER BY epoch, seq LIMIT 1 OFFSET ?", [run_id, max(0, number - 1)],
    ).fetchone()  # fmt: skip
    return Cursor(*found) if found else None
