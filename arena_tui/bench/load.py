"""Synthetic events of language-model agents, at any rate. Knows no broker, only `emit`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Final

from msgspec.structs import replace

from arena_tui.codec import sealed
from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    Envelope,
    Event,
    LlmPrompt,
    LlmResponse,
    Metric,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.producers.record import Emit

RUNS: Final = 50
"""Runs open at once, unless a figure says otherwise."""

BURST: Final = 100
"""Events published before yielding to the event loop."""

_AGENTS = ("gpt-x", "random")
_TURNS = 90
"""Two digits at most: a third would leave a narrow pane no room for its name."""
_SLICE_S = 0.005
_SLICE_MAX = 1_000
"""Events between looking whether to stop: one that is held back has many due."""
_TALK = (
    "Column 3 keeps both diagonals open, and column 4 gives them away two moves later. " * 6
).strip()


def run_ids(count: int = RUNS) -> list[str]:
    """Ids of that many runs, the same on every call."""
    return [f"bench-{number:04}" for number in range(count)]


def sample_events(count: int) -> list[Event]:
    """The events of small turns, 150 bytes of JSON on average."""
    return [small_event(number) for number in range(count)]


def batches_of(batches: int, size: int) -> list[list[Envelope]]:
    """Batches as a broker would deliver them, the runs interleaved."""
    ids = run_ids()
    envelopes = [
        Envelope(ids[number % RUNS], 1, number // RUNS + 1, *sealed(event))
        for number, event in enumerate(sample_events(batches * size))
    ]
    return [envelopes[start : start + size] for start in range(0, len(envelopes), size)]


def small_event(number: int) -> Event:
    """Of turns that begin anew after the 90th; 150 bytes of JSON on average."""
    turn, step = divmod(number, len(_STEPS))
    return _STEPS[step](turn % _TURNS + 1, _AGENTS[turn % 2])


def talkative_event(number: int) -> Event:
    """Of turns without end, with prompts and answers of 500 characters; 300 bytes on average."""
    turn, step = divmod(number, len(_STEPS))
    event = _STEPS[step](turn + 1, _AGENTS[turn % 2])
    if isinstance(event, LlmPrompt | LlmResponse):
        return replace(event, text=f"{event.text} {_TALK} {turn}")
    return event


class EmittingThread:
    """Emits from its own thread at a steady rate, round-robin over the runs; what it was held back
    for, it makes up for.

    Args:
        rate_per_s: Events a second, over all runs.
        games: Names of the runs' games, by run id.
        event: Makes the event of that number, from 0, of a run.

    Attributes:
        emitted: Events handed over so far.
    """

    def __init__(
        self, emit: Emit, rate_per_s: float, games: Mapping[str, str],
        event: Callable[[int], Event] = small_event,
    ) -> None:  # fmt: skip
        self._emit = emit
        self._rate_per_s = rate_per_s
        self._games = games
        self._event = event
        self.emitted = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="bench producer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End every run, and wait for the thread."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        agents = [AgentInfo(id=name, name=name) for name in _AGENTS]
        for run_id, game in self._games.items():
            self._emit_one(run_id, RunStart(game=game, agents=agents))
        runs = cycle(self._games)
        started, sent = time.perf_counter(), 0
        while not self._stopping.wait(_SLICE_S):
            due = int((time.perf_counter() - started) * self._rate_per_s)
            due = min(due, sent + _SLICE_MAX)
            for number in range(sent, due):
                self._emit_one(next(runs), self._event(number // len(self._games)))
            sent = due
        for run_id in self._games:
            self._emit_one(run_id, RunEnd(status="stopped"))

    def _emit_one(self, run_id: str, event: Event) -> None:
        self._emit(run_id, event)
        self.emitted += 1


def _board(turn: int) -> str:
    """Six rows of seven cells, different every turn."""
    signs = [". x o"[(turn * 31 + cell * cell) % 5 // 2 * 2] for cell in range(42)]
    return "\n".join(" ".join(signs[row : row + 7]) for row in range(0, 42, 7))


_STEPS: Final[tuple[Callable[[int, str], Event], ...]] = (
    lambda turn, agent: TurnStart(turn=turn, agent_id=agent, player=agent),
    lambda turn, agent: Observation(turn=turn, agent_id=agent, text=_board(turn)),
    lambda turn, agent: LlmPrompt(
        turn=turn, agent_id=agent, model=agent, text=f"You are {agent}. What do you play?"
    ),
    lambda turn, agent: LlmResponse(
        turn=turn, agent_id=agent, model=agent, text=f"I take column {turn % 7}.",
        input_tokens=212, output_tokens=9, cost_usd=0.0004, latency_s=0.81,
    ),
    lambda turn, agent: Action(
        turn=turn, agent_id=agent, index_in_turn=1, action=f"column {turn % 7}"
    ),
    lambda turn, agent: ActionResult(turn=turn, agent_id=agent, index_in_turn=1, reward=0.5),
    lambda turn, agent: Metric(turn=turn, agent_id=agent, name="value", value=turn / _TURNS),
)  # fmt: skip
