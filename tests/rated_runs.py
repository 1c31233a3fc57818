"""Runs that rate: what players of known results publish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    ErrorEvent,
    Event,
    LlmResponse,
    RunEnd,
    RunStart,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run_of(
    number: int, outcome: Mapping[str, float], game: str = "chess", status: str = "finished"
) -> list[Event]:
    """The events of one run, by players who make mistakes and use models."""
    at = START + timedelta(minutes=number)
    events: list[Event] = [RunStart(ts=at, game=game, agents=[AgentInfo(id=p) for p in outcome])]
    for seat, player in enumerate(outcome):
        events += [
            LlmResponse(ts=at, agent_id=player, input_tokens=100 + number, output_tokens=seat,
                        cost_usd=0.1 + number / 7, latency_s=0.3 * (seat + 1)),
            LlmResponse(ts=at, agent_id=player, cost_usd=None if seat else 0.2),
            Action(ts=at, agent_id=player, action='{"ok":false}'),
            ActionResult(ts=at, agent_id=player, ok=number % 3 > 0, detail={"ok": False}),
        ]  # fmt: skip
    if status == "crashed":
        events.append(ErrorEvent(ts=at, agent_id=next(iter(outcome)), message="oh", fatal=True))
    told = dict(outcome) if status == "finished" else {}
    return [*events, RunEnd(ts=at, status=status, outcome=told)]  # type: ignore[arg-type]


def some_runs(first: int = 0, count: int = 12) -> Iterator[tuple[str, list[Event]]]:
    """Chess of two, hearts of three, and a crash now and then, each under a run id."""
    for number in range(first, first + count):
        score = (1.0, -1.0, 0.0)[number % 3]
        seats = ("ada", "bob") if number % 2 else ("bob", "ada")
        outcome = dict(zip(seats, (score, -score), strict=True))
        if number % 4 == 3:
            yield f"run-{number}", run_of(number, outcome | {"cyd": 0.5}, "hearts")
        else:
            yield f"run-{number}", run_of(number, outcome, "chess",
                                          "crashed" if number % 7 == 6 else "finished")  # fmt: skip
