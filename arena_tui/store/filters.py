"""Compiles the run filter language to SQL: a condition and its parameters."""

from __future__ import annotations

from typing import Any, Final

from arena_tui.errors import UsageError
from arena_tui.folds.conditions import Anywhere, Compared, Contained, read_conditions
from arena_tui.store.rows import as_in_payload

_COLUMNS: Final = {
    "game": "game", "label": "label", "agent": "agents", "status": "status", "run": "run_id",
    "tag": "tags", "reason": "reason", "outcome": "outcome", "turns": "turns", "events": "events",
    "err": "errors", "lost": "greatest(lost, if(lost_unknown > 0, 1, 0))", "cost": "cost_usd",
    "in": "input_tokens", "out": "output_tokens",
    "duration": "epoch(last_at - started_at)",
    "tokens": "coalesce(input_tokens, 0) + coalesce(output_tokens, 0)",
}  # fmt: skip
_ANYWHERE: Final = (
    "(contains(lower(concat_ws(' ', game, label, agents, tags, reason, run_id)), lower(?)) OR "
    "run_id IN (SELECT run_id FROM events WHERE contains(lower(payload), lower(?))))"
)


def parse_filter(text: str) -> tuple[str, list[Any]]:
    """Compile a filter to an SQL condition on `runs` and its parameters; see `read_conditions`.

    Raises:
        UsageError: It is no filter, or asks for what only live runs have.
    """
    conditions: list[str] = []
    parameters: list[Any] = []
    for condition in read_conditions(text):
        match condition:
            case Compared(name, sign, value):
                conditions.append(f"{_COLUMNS[name]} {sign} ?")
                parameters.append(value)
            case Contained("trouble"):
                raise UsageError(
                    "trouble: tells of runs as they are played, on the screen Live: "
                    "of stored runs use status:crashed or err>0"
                )
            case Contained(name, wanted):
                conditions.append(f"contains(lower(coalesce({_COLUMNS[name]}, '')), lower(?))")
                parameters.append(wanted)
            case Anywhere(wanted):
                conditions.append(_ANYWHERE)
                parameters += [wanted, as_in_payload(wanted)]
    return " AND ".join(conditions) or "TRUE", parameters
