"""What happened in one turn of a run, and where turns begin. Reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Struct

from arena_tui.events import (
    Action,
    ActionResult,
    Delivery,
    ErrorEvent,
    Event,
    Gap,
    LlmPrompt,
    LlmResponse,
    RunEnd,
    RunStart,
    ToolCall,
    TurnStart,
)
from arena_tui.folds.totals import saturating_sum

_ENDS: Final = ("run_start", "run_end")
BEGINNINGS: Final = (*_ENDS, "turn_start")
"""Kinds that may begin a row of the list of turns, whatever their turn number."""

_ACTIONS_MAX: Final = 8
"""Most actions of one turn that are kept; further ones are counted."""


class Turn(Struct, frozen=True, kw_only=True):
    """One turn, or what lies before the first, or the end of the run.

    Attributes:
        number: None of what belongs to no turn.
        agent: Whose turn it is; None of nobody's.
        actions: The first of them, as they were given; actions_count: how many there were.
        refused: Results that are not ok; detail: what the newest result says.
        reward: Sum of those given; None without one.
        answer: Text of the newest answer that has one; calls: the tools the newest answer calls.
        retries: Prompts that came after an error or while one was not answered.
        duration_s: From its first to its newest event; None without events.
        lost: Events in gaps of known length; gaps: how many gaps.
        start, end: The run's first and last event, if it is here.
        left_out: Events that were not read, as there are too many.
    """

    number: int | None = None
    agent: str | None = None
    actions: tuple[Any, ...] = ()
    actions_count: int = 0
    refused: int = 0
    detail: Any = None
    reward: float | None = None
    answer: str | None = None
    calls: tuple[ToolCall, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    duration_s: float | None = None
    errors: int = 0
    last_error: str | None = None
    retries: int = 0
    lost: int = 0
    gaps: int = 0
    events: int = 0
    start: RunStart | None = None
    end: RunEnd | None = None
    left_out: int = 0


class TurnStarts:
    """Finds where rows of the list of turns begin, event by event.

    Attributes:
        turn: The number of the turn that the newest event belongs to; None before the first.
    """

    def __init__(self) -> None:
        self.turn: int | None = None
        self._is_told = False

    def begins(self, kind: str, turn: int | None) -> bool:
        """Whether a row begins with the run's next event, of that kind and turn.

        The number alone does, so that runs that never say `turn_start` have turns; a second
        `turn_start` of the same number does, so that players of one round are told apart.
        """
        if kind == "turn_start":
            is_new = turn is None or turn != self.turn or self._is_told
            self._is_told = True
        else:
            is_new = turn is not None and turn != self.turn
            self._is_told = self._is_told and not is_new
        if turn is not None or kind == "run_start":
            self.turn = turn
        return is_new or kind in _ENDS


def fold_turn(deliveries: Iterable[Delivery], left_out: int = 0) -> Turn:
    """The turn that these deliveries are, in order; see `Turn`."""
    folding = _Folding()
    for each in deliveries:
        folding.add(each)
    return folding.turn(left_out)


def fresh_messages(messages: Sequence[Any], before: Sequence[Any] | None) -> int:
    """How many of a prompt's messages were in the agent's previous prompt already: agents send
    their whole history each turn."""
    count = 0
    for new, old in zip(messages, before or (), strict=False):
        if new != old:
            break
        count += 1
    return count


class _Folding:
    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._actions: list[Any] = []
        self._actors: list[str] = []
        self._events: list[Event] = []
        self._waits = self._failed = False

    def add(self, delivery: Delivery) -> None:
        if isinstance(delivery, Gap):
            self._count("lost", delivery.count)
            self._count("gaps")
            return
        event = delivery.event
        self._count("events")
        self._events = [*self._events[:1], event]
        if event.turn is not None:
            self._fields["number"] = event.turn
        self._see(event)

    def turn(self, left_out: int) -> Turn:
        duration_s = None
        if self._events:
            duration_s = (self._events[-1].ts - self._events[0].ts).total_seconds()
            duration_s = max(0.0, duration_s)
        fields = self._fields
        agent = fields.pop("agent", None) or next(iter(self._actors), None)
        return Turn(
            agent=agent, actions=tuple(self._actions), duration_s=duration_s, left_out=left_out,
            **fields,
        )  # fmt: skip

    def _see(self, event: Event) -> None:
        fields = self._fields
        match event:
            case TurnStart():
                fields["agent"] = event.player or event.agent_id
            case LlmPrompt():
                self._count("retries", int(self._waits or self._failed))
                self._waits, self._failed = True, False
            case LlmResponse():
                self._waits = False
                self._answer(event)
            case Action():
                self._count("actions_count")
                if len(self._actions) < _ACTIONS_MAX:
                    self._actions.append(event.action)
            case ActionResult():
                self._count("refused", int(not event.ok))
                fields["detail"] = event.detail
                if event.reward is not None:
                    fields["reward"] = fields.get("reward", 0.0) + event.reward
            case ErrorEvent():
                self._count("errors")
                self._failed = True
                fields["last_error"] = event.message
            case RunStart():
                fields["start"] = event
            case RunEnd():
                fields["end"] = event
        if event.agent_id is not None and not isinstance(event, RunStart | RunEnd):
            self._actors.append(event.agent_id)
            del self._actors[1:]

    def _answer(self, event: LlmResponse) -> None:
        fields = self._fields
        if event.text:
            fields["answer"] = event.text
        fields["calls"] = tuple(event.tool_calls or ())
        for name in ("input_tokens", "output_tokens"):
            fields[name] = saturating_sum(fields.get(name), getattr(event, name))
        if event.cost_usd is not None:
            fields["cost_usd"] = fields.get("cost_usd", 0.0) + event.cost_usd

    def _count(self, name: str, more: int = 1) -> None:
        self._fields[name] = self._fields.get(name, 0) + more
