"""The producer's handle on one run: turns calls into events. Knows no broker, only `emit`."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from msgspec.structs import replace

from arena_tui import events
from arena_tui.errors import EventError
from arena_tui.events import AgentInfo, Event, RunStatus, check_run_id, new_run_id

Emit: TypeAlias = Callable[[str, Event], None]
"""Publishes one event of a run; raises EventError when it cannot be accepted."""

Room: TypeAlias = Callable[[], Awaitable[None]]
"""Returns once events can be published without blocking."""


async def _always() -> None:
    """There is always room."""


class Run:
    """One run, from `run_start` to `run_end`, as a context manager.

    Entering emits `run_start`; leaving emits `run_end`: `finished`, or after an exception an
    `error` event and `crashed`, or `stopped` on KeyboardInterrupt and SystemExit. Events carry the
    current turn and, unless told otherwise, the current player as `agent_id`. Use one `Run` from
    one thread at a time; different runs may live in different threads.

    A coroutine awaits `room` before it records something: while the queue is full, other calls
    block their thread, and with it its loop.

    Attributes:
        room: Awaited, returns once events can be queued; safe to cancel. Raises BrokerError when
            the connection is closed.
        id: The run id; sortable by start time unless given.
        ended: Whether `run_end` was emitted.
    """

    def __init__(
        self, emit: Emit, game: str, agents: Sequence[str | AgentInfo] = (), *,
        room: Room = _always, run_id: str | None = None, seed: int | None = None,
        label: str | None = None, tags: Sequence[str] = (), config: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.id = run_id or new_run_id()
        check_run_id(self.id)
        self._start = events.RunStart(
            game=game, agents=[AgentInfo(id=a) if isinstance(a, str) else a for a in agents],
            seed=seed, label=label, tags=list(tags), config=dict(config or {}),
        )  # fmt: skip
        self.ended = False
        self.room = room
        self._emit = emit
        self._ts: datetime | None = None
        self._turn: int | None = None
        self._player: str | None = None
        self._index_in_turn = 0

    def __enter__(self) -> Run:
        self.emit(self._start)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self.end()
        elif isinstance(error, Exception):
            text, why = "".join(traceback.format_exception(error)), _summary(error)
            self.error(why, where=type(error).__name__, traceback=text[-16_000:], fatal=True)
            self.end(status="crashed", reason=why)
        else:
            self.end(status="stopped", reason=type(error).__name__)

    def emit(self, event: Event) -> None:
        """Publish any event of this run.

        Raises:
            EventError: The event cannot be accepted; the run goes on.
            RunClosedError: The run has ended.
        """
        self._emit(self.id, event if self._ts is None else replace(event, ts=self._ts))

    def at(self, ts: datetime | None) -> Run:
        """Say when everything recorded from here on happened, its end too; None: as it is recorded.

        For logs written earlier or elsewhere: `with arena.run("chess").at(begun) as run: …`.

        Raises:
            EventError: It is no time, or has no time zone.
        """
        if not isinstance(ts, datetime | None):
            raise EventError(f"{ts!r:.100} is no time: give a datetime with a time zone")
        if ts is not None and ts.utcoffset() is None:
            raise EventError(
                f"{ts} has no time zone: give one, as in ts.replace(tzinfo=timezone.utc)"
            )
        self._ts = ts
        return self

    def turn(self, turn: int, player: str | None = None, state: str | None = None) -> None:
        """Begin a turn; later events carry its number and player."""
        self._turn, self._player, self._index_in_turn = turn, player, 0
        self.emit(events.TurnStart(turn=turn, agent_id=player, player=player, state=state))

    def observation(
        self, text: str, legal_actions: Sequence[str] | None = None, data: Any = None,
        agent_id: str | None = None,
    ) -> None:  # fmt: skip
        """Record what the agent sees; a board is text."""
        legal = None if legal_actions is None else list(legal_actions)
        self.emit(events.Observation(
            turn=self._turn, agent_id=agent_id or self._player,
            text=text, legal_actions=legal, data=data,
        ))  # fmt: skip

    def llm_prompt(
        self, text: str | None = None, messages: Sequence[Any] | None = None,
        model: str | None = None, agent_id: str | None = None,
    ) -> None:  # fmt: skip
        """Record the prompt to a model."""
        parts = None if messages is None else list(messages)
        self.emit(events.LlmPrompt(
            turn=self._turn, agent_id=agent_id or self._player,
            model=model, text=text, messages=parts,
        ))  # fmt: skip

    def llm_response(
        self, text: str, *, model: str | None = None, reasoning: str | None = None,
        input_tokens: int | None = None, output_tokens: int | None = None,
        cost_usd: float | None = None, latency_s: float | None = None,
        finish_reason: str | None = None, agent_id: str | None = None,
    ) -> None:  # fmt: skip
        """Record a model's response; leave out what is not known."""
        self.emit(events.LlmResponse(
            turn=self._turn, agent_id=agent_id or self._player,
            text=text, reasoning=reasoning, model=model,
            input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=cost_usd,
            latency_s=latency_s, finish_reason=finish_reason,
        ))  # fmt: skip

    def action(self, action: Any, agent_id: str | None = None) -> None:
        """Record an agent's action; numbered within the turn."""
        self._index_in_turn += 1
        self.emit(events.Action(
            turn=self._turn, agent_id=agent_id or self._player,
            action=action, index_in_turn=self._index_in_turn,
        ))  # fmt: skip

    def result(
        self, ok: bool = True, *, changed: bool | None = None, reward: float | None = None,
        detail: Any = None, agent_id: str | None = None,
    ) -> None:  # fmt: skip
        """Record the result of the last action."""
        self.emit(events.ActionResult(
            turn=self._turn, agent_id=agent_id or self._player,
            index_in_turn=self._index_in_turn,
            ok=ok, changed=changed, reward=reward, detail=detail,
        ))  # fmt: skip

    def mutation(self, before: str | None, after: str | None, reason: str | None = None) -> None:
        """Record a change of the world outside the agents' actions."""
        self.emit(events.WorldMutation(
            turn=self._turn, before_summary=before, after_summary=after, reason=reason
        ))  # fmt: skip

    def fork(
        self, parent_run_id: str, parent_seq: int | None = None, mutation: str | None = None
    ) -> None:
        """Record that this run continues another one from its event `parent_seq`."""
        self.emit(events.Fork(
            parent_run_id=parent_run_id, parent_seq=parent_seq, mutation_summary=mutation
        ))  # fmt: skip

    def metric(self, name: str, value: float, unit: str | None = None) -> None:
        """Record one measured value."""
        self.emit(
            events.Metric(turn=self._turn, agent_id=self._player, name=name, value=value, unit=unit)
        )

    def error(
        self, message: str, where: str | None = None, traceback: str | None = None,
        fatal: bool = False, agent_id: str | None = None,
    ) -> None:  # fmt: skip
        """Record an error; the run goes on unless it is `fatal`."""
        self.emit(events.ErrorEvent(
            turn=self._turn, agent_id=agent_id or self._player,
            where=where, message=message, traceback=traceback, fatal=fatal,
        ))  # fmt: skip

    def log(self, text: str, level: str = "info") -> None:
        """Record a line of the run's own log."""
        self.emit(events.LogEvent(turn=self._turn, agent_id=self._player, level=level, text=text))

    def end(
        self,
        outcome: Mapping[str, float] | None = None,
        status: RunStatus = "finished",
        reason: str | None = None,
    ) -> None:
        """End the run; later calls do nothing."""
        if not self.ended:
            self.ended = True
            self.emit(events.RunEnd(
                turn=self._turn, status=status, outcome=dict(outcome or {}), reason=reason
            ))  # fmt: skip


def _summary(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) <= 500 else text[:499] + "…"
