"""The filter language of the list of runs: text in, a condition and its parameters out.

`game:chess err>0 cost>0.1 "rate limit"`: words with `:` must be contained in that field, with
`< > = <= >=` compare numbers, all others must be contained in the run's names, its reason or an
event. Letter case never matters; all conditions must hold.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from arena_tui.errors import UsageError
from arena_tui.store.rows import as_in_payload

__all__ = ["parse_filter"]

_TEXTS = {
    "game": "game", "label": "label", "agent": "agents", "agents": "agents", "status": "status",
    "run": "run_id", "tag": "tags", "reason": "reason", "outcome": "outcome",
}  # fmt: skip
_NUMBERS = {
    "turns": "turns", "events": "events", "err": "errors", "errors": "errors", "lost": "lost",
    "cost": "cost_usd", "tokens": "coalesce(input_tokens, 0) + coalesce(output_tokens, 0)",
    "in": "input_tokens", "out": "output_tokens", "duration": "epoch(last_at - started_at)",
}  # fmt: skip
_COMPARISON = re.compile(r"^([a-z]+)(<=|>=|<|>|=)(-?[0-9.]+)$", re.IGNORECASE)
_ANYWHERE = (
    "(contains(lower(concat_ws(' ', game, label, agents, tags, reason, run_id)), lower(?)) OR "
    "run_id IN (SELECT run_id FROM events WHERE contains(lower(payload), lower(?))))"
)


def parse_filter(text: str) -> tuple[str, list[Any]]:
    """The SQL condition on `runs` and its parameters.

    Raises:
        UsageError: A field or number that does not exist; names what does.
    """
    conditions: list[str] = []
    parameters: list[Any] = []
    for word in _words(text):
        comparison = _COMPARISON.match(word)
        field, colon, value = word.partition(":")
        field = field.lower()
        if comparison:
            conditions.append(_number(comparison))
            parameters.append(_float(comparison[3]))
        elif colon and field in _TEXTS:
            conditions.append(f"contains(lower(coalesce({_TEXTS[field]}, '')), lower(?))")
            parameters.append(value)
        else:
            conditions.append(_ANYWHERE)
            parameters += [word, as_in_payload(word)]
    return " AND ".join(conditions) or "TRUE", parameters


def _words(text: str) -> list[str]:
    """Words as in a shell; what is still being typed, or an apostrophe, is taken as it is meant."""
    for attempt in (text, text.replace("'", r"\'"), text + '"'):
        try:
            return shlex.split(attempt)
        except ValueError:
            continue
    return text.split()


def _number(comparison: re.Match[str]) -> str:
    column = _NUMBERS.get(comparison[1].lower())
    if column is None:
        raise UsageError(
            f"no number {comparison[1]!r} to compare: use one of {', '.join(_NUMBERS)}"
        )
    return f"{column} {comparison[2]} ?"


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a number") from None
