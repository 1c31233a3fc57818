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
from arena_tui.producers.shortening import COERCED
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.conversation import called, compact, said
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
            return _first_line(event.text)
        case LlmPrompt():
            asked = event.text or said((event.messages or [""])[-1])
            return _join(event.model, _first_line(asked))
        case LlmResponse():
            used = event.output_tokens or event.input_tokens
            tokens = f"{short_count(used)} tok" if used else None
            answer = f"“{_first_line(event.text)}”" if event.text else None
            calls = [called(msgspec.to_builtins(call)) for call in event.tool_calls or []]
            return _join(answer, *calls, tokens)
        case Action():
            text = event.action if isinstance(event.action, str) else compact(event.action)
            return _join(event.agent_id, text)
        case ActionResult():
            reward = None if event.reward is None else f"reward {event.reward:g}"
            detail = None if event.detail is None else compact(event.detail)
            return _join("ok" if event.ok else "refused", reward, detail)
        case WorldMutation():
            return _join(event.reason, event.after_summary)
        case Fork():
            return f"from {event.parent_run_id} at {count(event.parent_seq)}"
        case Metric():
            value = "–" if event.value is None else f"{event.value:g}"
            return f"{event.name} {value}{' ' + event.unit if event.unit else ''}"
        case ErrorEvent():
            return _join(event.where, event.message)
        case LogEvent():
            return event.text if event.level == "info" else f"{event.level}: {event.text}"
        case RunEnd():
            scores = "  ".join(f"{agent} {score:g}" for agent, score in event.outcome.items())
            return _join(event.status, event.reason, scores)
        case OtherEvent():
            return compact(event.extra)
    return event.kind


def _join(*parts: str | None) -> str:
    return "  ".join(part for part in parts if part)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text[:2_000].splitlines() if line.strip()), "")
