"""Compiles the run filter language to SQL: a condition and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from arena_tui.errors import UsageError
from arena_tui.folds.conditions import (
    Anywhere,
    Compared,
    Condition,
    Contained,
    Drawn,
    Not,
    read_conditions,
)
from arena_tui.folds.visible import VISIBLE_SQL
from arena_tui.folds.words import StateWord
from arena_tui.store.marks import TAGS
from arena_tui.store.rows import as_in_payload

_PLAYERS: Final = 'from_json(agents, \'[{"id":"VARCHAR","name":"VARCHAR","spec":"VARCHAR"}]\')'
_TEXTS: Final = {
    "game": "[game]", "label": "[label]", "run": "[run_id]", "reason": "[reason]",
    "tag": TAGS,
    "outcome": "json_keys(outcome)",
    "agent": f"flatten(list_transform({_PLAYERS}, lambda each: [each.id, each.name, each.spec]))",
}  # fmt: skip
"""Lists of texts."""

_NUMBERS: Final = {
    "turns": "turns", "events": "events", "err": "errors", "cost": "cost_usd",
    "lost": "greatest(lost, if(lost_unknown > 0, 1, 0))",
    "in": "input_tokens", "out": "output_tokens",
    "duration": "greatest(0, epoch(last_at - started_at))",
    "tokens": "coalesce(input_tokens, 0)::HUGEINT + coalesce(output_tokens, 0)",
    "started": "epoch(started_at)", "ended": "epoch(ended_at)",
}  # fmt: skip

_BY_RESULT: Final = {
    "won": "flatten(list_transform(winners, lambda id: list_concat([id], list_transform("
    "list_filter(players, lambda each: each.id = id), lambda each: each.name))))",
    "lost": "flatten(list_transform(list_filter(players, lambda each: len(winners) > 0 AND "
    "NOT list_contains(winners, each.id)), lambda each: [each.id, each.name]))",
}
_DRAWN: Final = "len(winners) = 0 AND len(scored) > 1"

_WORDS: Final = f"array_to_string({_TEXTS['agent']}, ' '), array_to_string({_TEXTS['tag']}, ' ')"
_ANYWHERE: Final = (
    f"(contains(lower(concat_ws(' ', game, label, {_WORDS}, reason, run_id)), lower(?)) OR "
    "run_id IN (SELECT run_id FROM events WHERE contains(lower(payload), lower(?)) "
    f"AND contains({VISIBLE_SQL}, lower(?))))"
)


def parse_filter(text: str, states: Mapping[str, StateWord] | None = None) -> tuple[str, list[Any]]:
    """Compile a filter to an SQL condition on `runs` and its parameters; see `read_conditions`.

    Args:
        states: Of the runs being played; any other one without an end is silent.

    Raises:
        UsageError: It is no filter, or asks for what only live runs have.
    """
    found = [_compiled(each, states or {}) for each in read_conditions(text)]
    condition = " AND ".join(f"({each})" for each, _ in found)
    return condition or "TRUE", [value for _, values in found for value in values]


def _compiled(condition: Condition, states: Mapping[str, StateWord]) -> tuple[str, list[Any]]:
    match condition:
        case Not(of):
            sql, values = _compiled(of, states)
            return f"NOT coalesce({sql}, FALSE)", values
        case Drawn():
            return _by_result(_DRAWN), []
        case Compared(name, sign, value):
            return f"{_NUMBERS[name]} {sign} ?", [value]
        case Contained("trouble"):
            raise UsageError(
                "trouble: tells of runs as they are played, on the screen Live: "
                "of stored runs use status:crashed or err>0"
            )
        case Contained("status", wanted, whole):
            return _status(wanted.lower(), whole, states)
        case Contained(name, wanted, whole):
            texts = _BY_RESULT.get(name) or _TEXTS[name]
            how = "lower(each) = lower(?)" if whole else "contains(lower(each), lower(?))"
            sql = f"len(list_filter({texts}, lambda each: {how})) > 0"
            return _by_result(sql) if name in _BY_RESULT else sql, [wanted]
        case Anywhere(wanted):
            return _ANYWHERE, [wanted, *[as_in_payload(wanted)] * 2]


def _status(wanted: str, whole: bool, states: Mapping[str, StateWord]) -> tuple[str, list[Any]]:
    def fits(word: str) -> bool:
        return word == wanted if whole else wanted in word

    played = [run_id for run_id, word in states.items() if fits(word)]
    others = "run_id NOT IN (SELECT unnest(?))" if fits("silent") else "FALSE AND len(?) = 0"
    how = "status = ?" if whole else "contains(status, ?)"
    return (
        f"if(status = 'running', run_id IN (SELECT unnest(?)) OR {others}, {how})",
        [played, list(states), wanted],
    )


def _by_result(condition: str) -> str:
    """Runs by how they came out, which the condition looks at; the rule is that of `folds.result`:
    `winners` are ids of agents, `scored` has the score of each."""
    return f"""run_id IN (
SELECT run_id FROM (
    SELECT *, CASE
        WHEN len(scored) = 1 THEN if(best > 0 AND len(players) > 1, first, [])
        WHEN len(first) < len(scored) THEN first ELSE [] END AS winners
    FROM (
        SELECT *, list_transform(
            list_filter(scored, lambda each: each.score = best), lambda each: each.id) AS first
        FROM (
            SELECT *, list_max(list_transform(scored, lambda each: each.score)) AS best FROM (
                SELECT *, list_transform(map_entries(told), lambda each: {{
                    'score': each.value,
                    'id': CASE WHEN list_contains(ids, each.key) THEN each.key ELSE coalesce(
                        list_filter(ids, lambda id, index: (index - 1)::VARCHAR = each.key
                            AND NOT list_contains(map_keys(told), id))[1], each.key) END
                }}) AS scored
                FROM (
                    SELECT run_id, {_PLAYERS} AS players,
                        list_transform(players, lambda each: each.id) AS ids,
                        TRY_CAST(outcome::JSON AS MAP(VARCHAR, DOUBLE)) AS told
                    FROM runs WHERE status = 'finished'
                )
            )
        )
    )
) WHERE {condition})"""
