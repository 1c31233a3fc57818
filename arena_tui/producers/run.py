"""The producer's handle on one run: turns calls into events. Knows no broker, only `emit`."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from arena_tui import events
from arena_tui.broker.own_log import own_log
from arena_tui.errors import ArenaError
from arena_tui.events import AgentInfo, RunStatus, check_run_id, new_run_id, run_id_of
from arena_tui.producers.messages import messages_of, tool_calls_of
from arena_tui.producers.record import Emit, Record, Refused, strictly
from arena_tui.producers.turns import Turns
from arena_tui.producers.values import encodable_text, is_listing, listed, text_of

_TRACEBACK_CHARS: Final = 16_000
_SUMMARY_CHARS: Final = 500

Room: TypeAlias = Callable[[], Awaitable[None]]
"""Returns once events can be published without blocking."""

_log = own_log(__name__)


async def _always() -> None:
    """There is always room."""


class Run:
    """One run, from `run_start` to `run_end`. Thread-safe.

    `run_start` is emitted on entering, or with the first event of a run that is never entered.
    Leaving emits `run_end`: `finished`, or after an exception an `error` event and `crashed`, or
    `stopped` on KeyboardInterrupt, SystemExit and cancellation; that exception is never replaced.
    Events carry the current turn and, unless told otherwise, the current player as `agent_id`.
    Threads and tasks that begin turns of their own each have their own current turn.

    Unless it is `strict`, a run takes whatever values a game has, and never raises: what does not
    fit is recorded as near as it goes, and marked; what cannot be recorded is counted, and raised
    when the connection is closed. A call of a strict run that raises has changed nothing.

    A coroutine awaits `room` before it records something: while the queue is full, other calls
    block their thread, and with it its loop.

    Attributes:
        id: The run id; sortable by start time unless given.
        emit: Publishes any event of this run; see `Record.emit`.
        room: Awaited, returns once events can be queued; safe to cancel. Raises BrokerError when
            the connection is closed.
    """

    def __init__(
        self, emit: Emit, game: str, agents: str | AgentInfo | Sequence[str | AgentInfo] = (), *,
        room: Room = _always, refused: Refused = strictly, run_id: object = None,
        seed: int | None = None, label: str | None = None, tags: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.id = new_run_id() if run_id is None else text_of(run_id) or new_run_id()
        if refused is strictly:
            check_run_id(self.id)
        else:
            self.id = run_id_of(self.id)
        self._record = Record(emit, self.id, events.RunStart(
            game=game, agents=_players(agents), seed=seed, label=label,
            tags=_listed(tags), config={} if config is None else config,  # type: ignore[arg-type]
        ), refused)  # fmt: skip
        self._turns = Turns()
        self.emit = self._record.emit
        self._add = self._record.add
        self.room = room

    @property
    def ended(self) -> bool:
        """Whether `run_end` was emitted."""
        return self._record.ended

    def __enter__(self) -> Run:
        self._record.begin()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self.end()
            return
        status: RunStatus = "stopped"
        why = type(error).__name__
        try:  # what is raised in here would take the place of their exception
            if isinstance(error, Exception):
                status, why = "crashed", _summary(error)
                self.error(error, fatal=True)
        except ArenaError as ours:
            _log.error("run %s: its last error is not recorded: %s", self.id, ours)
        try:
            self.end(status=status, reason=why)
        except ArenaError as ours:
            _log.error("run %s: its end is not recorded: %s", self.id, ours)

    async def __aenter__(self) -> Run:
        await self.room()
        return self.__enter__()

    async def __aexit__(self, *raised: Any) -> None:
        self.__exit__(*raised)

    def at(self, ts: datetime | None) -> Run:
        """Say when everything recorded from here on happened, its end too; None: as it is recorded.

        For logs written earlier or elsewhere: `with arena.run("chess").at(begun) as run: …`.

        Raises:
            EventError: It is no time, or has no time zone, and the run is strict.
        """
        self._record.at(ts)
        return self

    def turn(self, turn: int, player: str | None = None, state: str | None = None) -> None:
        """Begin a turn; later events of this thread or task carry its number and player."""
        begun = self.emit(events.TurnStart(turn=turn, agent_id=player, player=player, state=state))
        self._turns.begin(begun.turn, begun.agent_id)

    def step(
        self, action: Any, player: str | None = None, *, observation: str | None = None,
        ok: bool = True, reward: float | None = None, detail: Any = None,
    ) -> None:  # fmt: skip
        """Record a whole turn, the one after this: what the player sees and does, and its result.

        Args:
            observation: What the player sees; None to record none.
            ok, reward, detail: As for `result`, recorded when one of them says something.
        """
        self._record.check(  # all of it, before any of it is recorded
            events.TurnStart(agent_id=player, player=player),
            events.Observation(text="" if observation is None else _text(observation)),
            events.Action(action=text_of(action) if type(action) is bytes else action),
            events.ActionResult(ok=ok, reward=reward, detail=detail),
        )
        self.turn((self._turns.now().number or 0) + 1, player)
        if observation is not None:
            self.observation(observation)
        self.action(action)
        if reward is not None or detail is not None or not _is_true(ok):
            self.result(ok, reward=reward, detail=detail)

    def observation(
        self, text: str, legal_actions: Sequence[str] | None = None, data: Any = None,
        agent_id: str | None = None,
    ) -> None:  # fmt: skip
        """Record what the agent sees; a board is text, what has fields is kept as JSON."""
        now = self._turns.now()
        (self._add if data is None else self.emit)(events.Observation(
            turn=now.number, agent_id=now.player if agent_id is None else agent_id,
            text=_text(text), legal_actions=_listed(legal_actions), data=data,
        ))  # fmt: skip

    def llm_prompt(
        self, text: str | None = None, messages: Sequence[Any] | None = None,
        model: str | None = None, agent_id: str | None = None,
    ) -> None:  # fmt: skip
        """Record the prompt to a model.

        Args:
            messages: As OpenAI, Anthropic, LangChain or pydantic-ai have them; images and other
                files become a placeholder with their size.
        """
        now = self._turns.now()
        self.emit(events.LlmPrompt(
            turn=now.number, agent_id=now.player if agent_id is None else agent_id,
            model=model, text=_text(text), messages=_shaped(messages_of, messages),
        ))  # fmt: skip

    def llm_response(
        self, text: str | None = None, *, tool_calls: Sequence[Any] | None = None,
        model: str | None = None, reasoning: str | None = None,
        input_tokens: int | None = None, output_tokens: int | None = None,
        cached_input_tokens: int | None = None, reasoning_tokens: int | None = None,
        cost_usd: float | None = None, latency_s: float | None = None,
        finish_reason: str | None = None, agent_id: str | None = None,
    ) -> None:  # fmt: skip
        """Record a model's response; leave out what is not known.

        Args:
            tool_calls: What it calls instead of answering, or beside; as OpenAI, Anthropic,
                LangChain or pydantic-ai have them.
            cached_input_tokens: Those of `input_tokens` that were read from a cache.
            reasoning_tokens: Those of `output_tokens` that went into reasoning.
            cost_usd: None is unknown, not free: a dashboard then estimates it from the tokens.
        """
        now = self._turns.now()
        self.emit(events.LlmResponse(
            turn=now.number, agent_id=now.player if agent_id is None else agent_id,
            text=_text(text), tool_calls=_shaped(tool_calls_of, tool_calls),
            reasoning=reasoning, model=model,
            input_tokens=input_tokens, output_tokens=output_tokens,
            cached_input_tokens=cached_input_tokens, reasoning_tokens=reasoning_tokens,
            cost_usd=cost_usd, latency_s=latency_s, finish_reason=finish_reason,
        ))  # fmt: skip

    def action(self, action: Any, agent_id: str | None = None) -> None:
        """Record an agent's action; numbered within the turn."""
        if type(action) is bytes:  # in JSON it would be base64
            action = text_of(action)
        now = self._turns.now()
        index = now.actions + 1
        (self._add if type(action) is str else self.emit)(events.Action(
            turn=now.number, agent_id=now.player if agent_id is None else agent_id,
            action=action, index_in_turn=index,
        ))  # fmt: skip
        now.actions = index

    def result(
        self, ok: bool = True, *, changed: bool | None = None, reward: float | None = None,
        detail: Any = None, agent_id: str | None = None,
    ) -> None:  # fmt: skip
        """Record the result of the last action."""
        now = self._turns.now()
        self.emit(events.ActionResult(
            turn=now.number, agent_id=now.player if agent_id is None else agent_id,
            index_in_turn=now.actions, ok=ok, changed=changed, reward=reward, detail=detail,
        ))  # fmt: skip

    def mutation(self, before: str | None, after: str | None, reason: str | None = None) -> None:
        """Record a change of the world outside the agents' actions."""
        self._add(events.WorldMutation(
            turn=self._turns.now().number,
            before_summary=before, after_summary=after, reason=reason,
        ))  # fmt: skip

    def fork(
        self, parent_run_id: str, parent_seq: int | None = None, mutation: str | None = None
    ) -> None:
        """Record that this run continues another one from its event `parent_seq`."""
        self._add(events.Fork(
            parent_run_id=parent_run_id, parent_seq=parent_seq, mutation_summary=mutation
        ))  # fmt: skip

    def metric(self, name: str, value: float, unit: str | None = None) -> None:
        """Record one measured value."""
        now = self._turns.now()
        self.emit(events.Metric(
            turn=now.number, agent_id=now.player, name=name, value=value, unit=unit
        ))  # fmt: skip

    def error(
        self, message: str | BaseException, where: str | None = None, traceback: str | None = None,
        fatal: bool = False, agent_id: str | None = None,
    ) -> None:  # fmt: skip
        """Record an error, in words or as the exception; the run goes on unless it is `fatal`."""
        # A lazy proxy may raise when it is asked what it is.
        if issubclass(type(message), BaseException) and isinstance(message, BaseException):
            where = where or type(message).__name__
            traceback = traceback or _traceback(message)
            message = _summary(message)
        now = self._turns.now()
        self._add(events.ErrorEvent(
            turn=now.number, agent_id=now.player if agent_id is None else agent_id,
            where=where, message=message,  # type: ignore[arg-type]
            traceback=traceback, fatal=fatal,
        ))  # fmt: skip

    def log(self, text: str, level: str = "info") -> None:
        """Record a line of the run's own log."""
        now = self._turns.now()
        self.emit(
            events.LogEvent(turn=now.number, agent_id=now.player, level=level, text=_text(text))
        )

    def end(
        self,
        outcome: Mapping[str, float] | None = None,
        status: RunStatus = "finished",
        reason: str | None = None,
    ) -> None:
        """End the run; later calls do nothing.

        Args:
            outcome: The score of each agent, by id; higher is better. Of places, of which the
                first is best, give `-place`. Ratings leave out who has none.
        """
        self._record.end(events.RunEnd(
            turn=self._turns.now().number, status=status, reason=reason,
            outcome={} if outcome is None else outcome,  # type: ignore[arg-type]
        ))  # fmt: skip


def _players(agents: Any) -> Any:
    """The players as their event has them, unless that needs fitting; one alone is a list, too."""
    if issubclass(type(agents), str | AgentInfo):
        agents = [agents]
    agents = _listed(agents)
    if type(agents) is not list:
        return agents
    return [AgentInfo(id=agent) if type(agent) is str else agent for agent in agents]


def _listed(values: Any) -> Any:
    """The values as a list of their own, whatever they come in; as they are, if that is not one."""
    if type(values) in (list, tuple):
        return list(values)
    return _shaped(lambda each: listed(each) if is_listing(each) else each, values)


def _text(value: Any) -> Any:
    """The value; bytes, which JSON would have as base64, as text."""
    return text_of(value) if issubclass(type(value), bytes | bytearray) else value


def _shaped(shape: Callable[[Any], Any], value: Any) -> Any:
    """The value in our shape; as it is, if it cannot be had in it."""
    try:
        return shape(value)
    except Exception:  # noqa: BLE001 - the program's values may raise anything
        return value


def _summary(error: BaseException) -> str:
    try:
        text = encodable_text(str(error)) or type(error).__name__
    except Exception:  # noqa: BLE001 - it is theirs, and may do anything
        text = f"{type(error).__name__}, whose text cannot be had"
    return text if len(text) <= _SUMMARY_CHARS else text[: _SUMMARY_CHARS - 1] + "…"


def _traceback(error: BaseException) -> str:
    """Its traceback, of which the end says most."""
    try:
        return encodable_text("".join(traceback.format_exception(error)))[-_TRACEBACK_CHARS:]
    except Exception as ours:  # noqa: BLE001 - it is theirs, and may do anything
        return f"its traceback cannot be had: {type(ours).__name__}"


def _is_true(value: Any) -> bool:
    """Whether it is; a value that cannot tell, as an array, is not."""
    try:
        return bool(value)
    except Exception:  # noqa: BLE001 - it is theirs, and may do anything
        return False
