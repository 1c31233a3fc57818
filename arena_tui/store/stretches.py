"""Where a run's events lie in the file, and what it comes to, every so many seqs: with it a read
touches only the rows it needs, and the state at any position is folded from near it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from arena_tui.broker.protocol import Cursor
from arena_tui.folds.totals import AgentTally, Usage
from arena_tui.store.reading import Reader

SPACING: Final = 250
"""Seqs of a stretch; the state is read at its beginning, and the rest of it folded."""

BEFORE: Final = "(epoch < $epoch OR (epoch = $epoch AND seq < $seq))"
"""Events before `$epoch`, `$seq`. DuckDB would scan every row to compare tuples."""

_STATES: Final = ("run_start", "turn_start", "error", "run_end")
"""The newest event of each tells part of a run's state."""

_OBSERVATIONS: Final = 4
"""So many of the newest: the board before the last move is among them as a rule, though each of
several agents sees every one."""

_STRETCHES: Final = f"""
SELECT epoch, seq // {SPACING}, min(rowid), max(rowid),
    {", ".join(f"max(seq) FILTER (kind = '{kind}')" for kind in _STATES)},
    max(seq, {_OBSERVATIONS}) FILTER (kind = 'observation'),
    max(turn), count(*), count(*) FILTER (kind = 'error')
FROM events WHERE run_id = $run AND NOT {BEFORE} GROUP BY 1, 2 ORDER BY 1, 2
"""

_TALLIED: Final = (
    "observation", "turn_start", "llm_prompt", "llm_response", "action", "error",
)  # fmt: skip
"""Kinds by which an agent takes part; see `RunView`."""

_TALLIES: Final = """
SELECT {groups}, agent_id, kind, coalesce(told[1], ''), count(*),
    sum(fresh), sum(made), sum(cached), sum(reasoning), sum(cost),
    count(*) FILTER (cost IS NULL),
    count(*) FILTER (cost IS NULL AND (fresh IS NULL OR made IS NULL)),
    coalesce(sum(fresh) FILTER (cost IS NULL), 0), coalesce(sum(made) FILTER (cost IS NULL), 0),
    coalesce(sum(cached) FILTER (cost IS NULL), 0)
FROM (
    SELECT epoch, seq, agent_id, kind,
        CASE WHEN kind = 'llm_response' THEN
            payload->>['model', 'input_tokens', 'output_tokens', 'cached_input_tokens',
                       'reasoning_tokens', 'cost_usd'] END AS told,
        TRY_CAST(told[2] AS BIGINT) AS fresh, TRY_CAST(told[3] AS BIGINT) AS made,
        TRY_CAST(told[4] AS BIGINT) AS cached, TRY_CAST(told[5] AS BIGINT) AS reasoning,
        TRY_CAST(told[6] AS DOUBLE) AS cost
    FROM events WHERE run_id = $run AND {condition} AND agent_id IS NOT NULL AND kind IN {kinds}
)
GROUP BY ALL ORDER BY ALL
"""
"""By agent, kind and model: the fields of `Usage`, in their order."""


_Used: TypeAlias = dict[tuple[int, int], dict[str, AgentTally]]


class Rows(NamedTuple):
    """Between which rows of the file events are, both included; the last is None while more may
    come there."""

    first: int
    last: int | None


class Newest(NamedTuple):
    """The newest events that tell a run's state, up to some position.

    Attributes:
        kinds: By `_STATES`.
        observed: The newest observations, oldest first.
        turns: The highest turn number; 0 without any.
        events, errors: How many there were.
    """

    kinds: tuple[Cursor | None, ...] = (None,) * len(_STATES)
    observed: tuple[Cursor, ...] = ()
    turns: int = 0
    events: int = 0
    errors: int = 0

    def states(self, epoch: int) -> list[tuple[str, Cursor]]:
        """The newest event of each kind, as seen in this epoch: the end of another one no longer
        applies."""
        return [
            (kind, at) for kind, at in zip(_STATES, self.kinds, strict=True)
            if at is not None and (kind != "run_end" or at.epoch == epoch)
        ]  # fmt: skip


class Stretch(NamedTuple):
    """Seqs `first` to `first + SPACING - 1` of one epoch, and the run as it was before them.

    Attributes:
        rows: Where its events are.
        newest: The events before it that tell the state.
        tallies: What each agent had done and used. Not to be changed.
    """

    epoch: int
    first: int
    rows: Rows
    newest: Newest
    tallies: Mapping[str, AgentTally]


def read_stretches(reader: Reader, run_id: str, known: Sequence[Stretch] = ()) -> list[Stretch]:
    """The stretches of a run that have events, oldest first; of those known already only the last
    is read again, as more may have been stored of it."""
    found = list(known)
    last = found.pop() if found else Stretch(0, 0, Rows(0, None), Newest(), {})
    after = {"run": run_id, "epoch": last.epoch, "seq": last.first}
    rows = reader.execute(_STRETCHES, after).fetchall()
    used = _used_in(reader, after)
    newest, tallies = last.newest, dict(last.tallies)
    for epoch, number, first_row, last_row, *seen in rows:
        is_last = (epoch, number) == rows[-1][:2]
        where = Rows(first_row, None if is_last else last_row)
        found.append(Stretch(epoch, number * SPACING, where, newest, dict(tallies)))
        newest = _later(newest, epoch, seen)
        for agent, more in used.get((epoch, number), {}).items():
            tallies[agent] = tally = tallies[agent].copy() if agent in tallies else AgentTally()
            tally.add_tally(more)
    return found


def read_tallies(reader: Reader, run_id: str, at: Cursor) -> dict[str, AgentTally]:
    """Actions, errors, tokens and cost of each agent up to a position."""
    until = {"run": run_id, "epoch": at.epoch, "seq": at.seq + 1}
    query = _TALLIES.format(groups="0, 0", condition=BEFORE, kinds=_TALLIED)
    return _tallies(reader.execute(query, until).fetchall()).get((0, 0), {})


def _used_in(reader: Reader, after: dict[str, Any]) -> _Used:
    """What each agent did and used, by epoch and stretch."""
    groups = f"epoch, seq // {SPACING}"
    query = _TALLIES.format(groups=groups, condition=f"NOT {BEFORE}", kinds=_TALLIED)
    return _tallies(reader.execute(query, after).fetchall())


def _tallies(rows: Sequence[Any]) -> _Used:
    found: _Used = {}
    for epoch, number, agent, kind, model, *used in rows:
        tally = found.setdefault((epoch, number), {}).setdefault(agent, AgentTally())
        usage = Usage(**dict(zip(Usage.__struct_fields__, used, strict=True)))
        if kind == "llm_response":
            tally.by_model = {**tally.by_model, model: usage}
        elif kind == "action":
            tally.actions = usage.responses
        elif kind == "error":
            tally.errors = usage.responses
    return found


def _later(newest: Newest, epoch: int, seen: Sequence[Any]) -> Newest:
    """The newest events after a stretch in which these were seen."""
    *kinds, observed, turns, events, errors = seen
    fresh = [Cursor(epoch, seq) for seq in sorted(observed or ())]
    return Newest(
        tuple(
            before if seq is None else Cursor(epoch, seq)
            for before, seq in zip(newest.kinds, kinds, strict=True)
        ),
        (*newest.observed, *fresh)[-_OBSERVATIONS:],
        max(newest.turns, turns or 0),
        newest.events + events,
        newest.errors + errors,
    )
