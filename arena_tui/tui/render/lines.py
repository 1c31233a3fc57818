"""One event as one line. All event text is cleaned here."""

from __future__ import annotations

from typing import Final

import msgspec

from arena_tui.events import (
    Action,
    ActionResult,
    Delivery,
    Envelope,
    ErrorEvent,
    Event,
    Fork,
    Gap,
    LlmPrompt,
    LlmResponse,
    LogEvent,
    Metric,
    Observation,
    OtherEvent,
    RunEnd,
    RunStart,
    TurnStart,
    WorldMutation,
)
from arena_tui.folds.numbers import number
from arena_tui.producers.shortening import COERCED
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.conversation import called, compact, named, said
from arena_tui.tui.render.grid import read_grid
from arena_tui.tui.render.text import count, short_count

_TAGS: Final = {
    "run_start": "start", "turn_start": "turn", "observation": "obs", "llm_prompt": "ask",
    "llm_response": "llm", "action": "act", "action_result": "res", "world_mutation": "world",
    "fork": "fork", "metric": "num", "error": "err", "log": "log", "run_end": "end",
}  # fmt: skip
_LOSSES: Final = {
    "reset": "lost when the stream was made anew",
    "trimmed": "trimmed before stored",
    "reaped": "run was reaped before read",
    "quarantined": "could not be stored, kept in quarantine",
}
_HEADLINE_MAX: Final = 160
_VALUE_MAX: Final = 60
"""Most characters of one argument of a call in a headline."""
_SCANNED: Final = 2_000
"""Characters of a text that are searched for its first or newest line."""


def tag(delivery: Delivery) -> str:
    """The kind in at most five letters; `gap` for a gap."""
    if isinstance(delivery, Gap):
        return "gap"
    kind = delivery.event.kind
    return _TAGS.get(kind) or clean(kind, 5)


def headline(delivery: Delivery) -> str:
    """What happened, in one line; `~` before it: not all of it as it was given."""
    if isinstance(delivery, Envelope):
        mark = "~ " if COERCED in delivery.event.extra else ""
        return clean(mark + _say(delivery.event), _HEADLINE_MAX)
    if delivery.unknown:
        return "┄┄ gap: an unknown number of events lost ┄┄"
    return f"┄┄ gap: {delivery.count:,} events {_LOSSES[delivery.reason]} ┄┄"


def action_text(action: Action) -> str:
    """What was done, without by whom; raw, as it may be long."""
    return named(action.action, _VALUE_MAX)


def _say(event: Event) -> str:  # noqa: PLR0912 - one arm per kind
    match event:
        case RunStart():
            players = " vs ".join(agent.name or agent.id for agent in event.agents)
            seed = "" if event.seed is None else f" · seed {event.seed}"
            return f"{event.game} {players}{seed}"
        case TurnStart():
            return f"turn {event.turn}" + (f" · {event.player}" if event.player else "")
        case Observation():
            if event.legal_actions is not None:
                return f"{len(event.legal_actions):,} legal actions"
            return _newest_line(event.text) or compact(event.data)
        case LlmPrompt():
            asked = event.text or said((event.messages or [""])[-1])
            return _join(event.model, _newest_line(asked))
        case LlmResponse():
            used = event.output_tokens or event.input_tokens
            tokens = f"{short_count(used)} tok" if used else None
            answer = _first_line(event.text or "")
            calls = [called(msgspec.to_builtins(call), _VALUE_MAX)
                     for call in event.tool_calls or []]  # fmt: skip
            if not answer and not calls:
                thought = _first_line(event.reasoning or "")
                return _join(f"thinks: {thought}" if thought else "no answer", tokens)
            return _join(f"“{answer}”" if answer else None, *calls, tokens)
        case Action():
            return _join(event.agent_id, action_text(event))
        case ActionResult():
            reward = None if event.reward is None else f"reward {number(event.reward)}"
            detail = named(event.detail, _VALUE_MAX)
            return _join("ok" if event.ok else "refused", reward, detail)
        case WorldMutation():
            return _join(event.reason, event.after_summary)
        case Fork():
            return f"from {event.parent_run_id} at {count(event.parent_seq)}"
        case Metric():
            value = "–" if event.value is None else number(event.value)
            return f"{event.name} {value}{' ' + event.unit if event.unit else ''}"
        case ErrorEvent():
            return _join(event.where, event.message)
        case LogEvent():
            return event.text if event.level == "info" else f"{event.level}: {event.text}"
        case RunEnd():
            scores = "  ".join(f"{agent} {number(score)}" for agent, score in event.outcome.items())
            return _join(event.status, event.reason, scores)
        case OtherEvent():
            return named(event.extra, _VALUE_MAX)
    return event.kind


def _join(*parts: str | None) -> str:
    return "  ".join(part for part in parts if part)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text[:_SCANNED].splitlines() if line.strip()), "")


def _newest_line(text: str) -> str:
    """The last line that says something; of nothing but a grid, its rows after each other.

    Prompts and observations tend to begin with the same words each time, and boards to end with
    the same names of columns.
    """
    grid = read_grid(text[-_SCANNED:])
    cells = grid.rows | grid.blocks
    said = (line.strip() for index, line in reversed([*enumerate(grid.lines)])
            if index not in cells)  # fmt: skip
    rows = ("".join(grid.lines[index].split()) for index in sorted(cells))
    return next(filter(None, said), "/".join(rows))
