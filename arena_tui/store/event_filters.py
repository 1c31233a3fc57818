"""Which events of a run match a filter: by SQL in the store, by the same rule out of it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import duckdb

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import FilterError
from arena_tui.events import Envelope
from arena_tui.folds.event_filter import Clause, Clauses, Contains, OfTurn, Pattern, Says
from arena_tui.folds.visible import VISIBLE_SQL, visible
from arena_tui.store.reading import Reader
from arena_tui.store.rows import as_in_payload
from arena_tui.store.windows import envelope_of

_IGNORING_CASE: Final = "'i'"
_COLUMNS: Final = {"kind": "kind", "agent": "coalesce(agent_id, '')"}
_COMPARE: Final = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq,
}  # fmt: skip


def check_patterns(clauses: Clauses) -> None:
    """Try the regular expressions; blocks for some ms.

    Raises:
        FilterError: One is none.
    """
    for each in clauses:
        for condition in each.any_of:
            if isinstance(condition, Pattern):
                try:
                    _found(condition.text, [""])
                except duckdb.Error as error:
                    why = str(error).split("\n")[0].partition(": ")[2] or "it cannot be read"
                    raise FilterError(
                        f'no regular expression: {why}; as text: put it in "…"',
                        condition.start, condition.end,
                    ) from None  # fmt: skip


def read_matching(
    reader: Reader, run_id: str, clauses: Clauses, epoch: int, first: int, last: int
) -> list[int]:
    """The seqs from `first` to `last` of the events of an epoch that match, in order."""
    condition, values = compiled(clauses)
    rows = reader.execute(
        "SELECT seq FROM events WHERE run_id = ? AND epoch = ? AND seq BETWEEN ? AND ? "
        f"AND {condition} ORDER BY seq",
        [run_id, epoch, first, last, *values],
    ).fetchall()
    return [seq for (seq,) in rows]


def read_events(reader: Reader, run_id: str, at: Sequence[Cursor]) -> list[Envelope]:
    """The events at these positions, as far as they are stored, in order."""
    rows = reader.execute(
        "SELECT run_id, epoch, seq, payload FROM events WHERE run_id = ? "
        "AND seq IN (SELECT unnest(?)) AND epoch IN (SELECT unnest(?)) ORDER BY epoch, seq",
        [run_id, [each.seq for each in at], sorted({each.epoch for each in at})],
    ).fetchall()
    return [envelope_of(*row) for row in rows if Cursor(row[1], row[2]) in at]


def read_words(reader: Reader, run_id: str) -> tuple[list[str], list[str]]:
    """The kinds and the agents that occur in a run, those that occur most first."""
    both = []
    for column in ("kind", "agent_id"):
        rows = reader.execute(
            f"SELECT {column} FROM events WHERE run_id = ? AND {column} IS NOT NULL "
            "GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 200", [run_id]
        ).fetchall()  # fmt: skip
        both.append([text for (text,) in rows])
    return both[0], both[1]


def compiled(clauses: Clauses) -> tuple[str, list[Any]]:
    """A condition on `events`, and its parameters."""
    parts, values = ["TRUE"], list[Any]()
    for clause in clauses:
        of_clause = []
        for condition in clause.any_of:
            sql, given = _sql(condition)
            of_clause.append(sql)
            values += given
        joined = " OR ".join(of_clause)
        parts.append(f"NOT coalesce({joined}, FALSE)" if clause.negated else f"({joined})")
    return " AND ".join(parts), values


def matching(clauses: Clauses, events: Sequence[Envelope]) -> list[bool]:
    """Which of the events match, by the rule of `compiled`; blocks as it looks at them.

    Regular expressions are those of the store here, too: they take no time that grows without
    bounds, and do not hold up other threads.
    """
    kept = [True] * len(events)
    seen: dict[int, str] = {}

    def text_of(index: int) -> str:
        if index not in seen:
            seen[index] = visible(events[index].raw.decode())
        return seen[index]

    for clause in sorted(clauses, key=_cost):
        left = [index for index, is_kept in enumerate(kept) if is_kept]
        holds = set[int]()
        for condition in clause.any_of:
            match condition:
                case Contains(name, wanted, whole):
                    for index in left:
                        event = events[index].event
                        text = (event.kind if name == "kind" else event.agent_id or "").lower()
                        if text == wanted if whole else wanted in text:
                            holds.add(index)
                case OfTurn(sign, value):
                    for index in left:
                        turn = events[index].event.turn
                        if turn is not None and _COMPARE[sign](turn, value):
                            holds.add(index)
                case Says(text):
                    wanted = as_in_payload(text).lower()
                    holds.update(index for index in left if wanted in text_of(index))
                case Pattern(text):
                    flags = _found(text, [text_of(index) for index in left])
                    holds.update(index for index, flag in zip(left, flags, strict=True) if flag)
        for index in left:
            kept[index] = (index in holds) != clause.negated
    return kept


def _cost(clause: Clause) -> int:
    """Cheap clauses first."""
    return max((isinstance(each, Says) + 2 * isinstance(each, Pattern)) for each in clause.any_of)


def _sql(condition: Contains | OfTurn | Says | Pattern) -> tuple[str, list[Any]]:
    match condition:
        case Contains(name, wanted, whole):
            column = f"lower({_COLUMNS[name]})"
            return (f"{column} = ?" if whole else f"contains({column}, ?)"), [wanted]
        case OfTurn(sign, value):
            return f"coalesce(turn {sign} ?, FALSE)", [value]
        case Says(text):
            wanted = as_in_payload(text)
            both = f"contains(lower(payload), lower(?)) AND contains({VISIBLE_SQL}, lower(?))"
            return f"({both})", [wanted, wanted]
        case Pattern(text):
            return f"regexp_matches({VISIBLE_SQL}, ?, {_IGNORING_CASE})", [text]


def _found(pattern: str, texts: Sequence[str]) -> list[bool]:
    """Whether the regular expression is found in each text."""
    rows = _in_memory().cursor().execute(
        f"SELECT regexp_matches(text, ?, {_IGNORING_CASE}) "
        "FROM (SELECT unnest(?) AS text, generate_subscripts(?, 1) AS place) ORDER BY place",
        [pattern, list(texts), list(texts)],
    ).fetchall() if texts else []  # fmt: skip
    return [flag for (flag,) in rows]


@lru_cache(maxsize=1)
def _in_memory() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"threads": 1})
