"""Reads a turn of a run so that a game can go on from it: what is asked of whom, and with what
state. Starts nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UsageError
from arena_tui.events import (
    Action,
    AgentInfo,
    Delivery,
    Envelope,
    Event,
    Fork,
    Observation,
    RunStart,
    TurnStart,
    short_id,
)
from arena_tui.folds.places import Places
from arena_tui.folds.totals import RunTotals
from arena_tui.games.forking import ForkSpec, change_text
from arena_tui.games.position import Origin, Position, refuse
from arena_tui.games.specs import SYNTH, GameSpec
from arena_tui.services.playback.hot import Hot
from arena_tui.services.playback.seeker import Seeker
from arena_tui.services.playback.starts import TurnChange
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.runtime import Runtime
from arena_tui.store.history import History
from arena_tui.store.windows import WINDOW, read_turn_changes

_OF_A_TURN: Final = 200
"""Events of a turn among which its board and its actions are looked for."""

_CHILDREN_MAX: Final = 200
_TAG: Final = "fork"


class Past(Protocol):
    """One run to be read by place; a `RunTape` is one."""

    seek: Seeker

    @property
    def last(self) -> int: ...
    async def window(self, first: int, last: int) -> list[Delivery]: ...


class StoredRun:
    """A run as it is stored, to be read by place; a `Paged` too."""

    renumbered = 0
    live = False

    def __init__(self, run_id: str, history: History, lengths: Mapping[int, int]) -> None:
        self._run_id = run_id
        self._history = history
        self._places = Places(lengths)
        self.seek = Seeker(run_id, self._places, Hot(self._places, is_stored=True), history)

    @property
    def last(self) -> int:
        return self._places.last

    async def window(self, first: int, last: int) -> list[Delivery]:
        """Deliveries from place `first` to `last`, in order."""
        found: list[Delivery] = []
        for span in self._places.spans(first, last):
            found += await self._history.window(self._run_id, span.first, span.last, span.epoch)
        return found

    def places_of(self, delivery: Delivery) -> range:
        """The places of a delivery (see `Places`)."""
        return self._places.range_of(delivery)

    async def turn_changes(self, first: int, last: int) -> list[TurnChange]:
        """The events from `first` to `last` with which a turn may begin, in order."""
        found: list[TurnChange] = []
        for span in self._places.spans(first, last):
            query = partial(read_turn_changes, run_id=self._run_id, from_seq=span.first,
                            to_seq=span.last, epoch=span.epoch)  # fmt: skip
            before = self._places.before(span.epoch)
            found += [
                TurnChange(before + seq, kind, turn, at_us)
                for seq, kind, turn, at_us in await self._history.read(query)
            ]
        return found


class TurnHere(Struct, frozen=True, kw_only=True):
    """One turn of a run, from which a game can go on.

    Attributes:
        seq: Of its `turn_start`.
        start: What the run is.
        player: Whose turn it is; None where several move at the same time.
        played: What was done in the turn: each agent's id, and its action.
    """

    run_id: str
    seq: int
    start: RunStart
    position: Position
    player: str | None = None
    played: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """`connect_four · 7f3a`."""
        return f"{self.start.game or 'run'} · {short_id(self.run_id)}"

    @property
    def agents(self) -> tuple[str, ...]:
        """The run's own, as they are given to a new one; "" where nobody knows how."""
        if self.position.game == SYNTH:
            return tuple(each.id for each in self.start.agents)
        return tuple(each.spec for each in self.start.agents)

    @property
    def delay_s(self) -> float:
        """Seconds between its turns."""
        delay_s = self.start.config.get("delay_s")
        return float(delay_s) if isinstance(delay_s, int | float) else 0.0

    def fork(self, wanted: GameSpec) -> ForkSpec:
        """Games as wanted that go on from here: with the run's own agents, label and turn cap where
        none are given.

        Raises:
            UsageError: None are given, and nobody knows how to make the run's own.
        """
        own = self.agents
        if not wanted.agents and not all(own):
            unknown = self.start.agents[own.index("")] if own else AgentInfo(id="its agents")
            raise UsageError(f"nobody knows how to make {unknown.id[:40]!r} again: name the agents")
        agents = wanted.agents or own
        everywhere = agents * len(own) if len(agents) == 1 else agents
        capped = self.start.config.get("max_turns")
        spec = replace(
            wanted, game=self.position.game, agents=agents, label=wanted.label or self.start.label,
            max_turns=wanted.max_turns or (capped if isinstance(capped, int) else None),
        )  # fmt: skip
        tags = tuple(dict.fromkeys((*self.start.tags, _TAG)))
        change = change_text(self.position.turn, own, everywhere)
        origin = Origin(run_id=self.run_id, seq=self.seq, position=self.position, change=change,
                        tags=tags)  # fmt: skip
        return ForkSpec(spec=spec, origin=origin)


async def stored_turn(history: History, run_id: str, turn: int) -> TurnHere:
    """That turn of a stored run; a part of its id will do.

    Raises:
        UnknownRunError: There is no such run.
        UsageError: It has no such turn, or nothing can go on from that.
    """
    totals = await history.run(run_id)
    past = StoredRun(totals.run_id, history, await history.lengths(totals.run_id))
    place = await past.seek.turn(turn)
    if place is not None:
        place = await past.seek.next_of_kind("turn_start", place - 1, 1)
    begun = None if place is None else await _at(past, place)
    if place is None or begun is None or begun.event.turn != turn:
        raise UsageError(_no_turn(totals, turn))
    return await _turn(past, totals.run_id, place)


async def turn_here(runtime: Runtime, run_id: str, at: Cursor) -> TurnHere:
    """The turn of a run, live or stored, in which a position lies.

    Raises:
        UnknownRunError: There is no such run.
        UsageError: It lies in none, or nothing can go on from that.
    """
    tape = RunTape(run_id, runtime)
    try:
        await tape.open()
        place = await tape.seek.next_of_kind("turn_start", tape.place_of(at) + 1, -1)
        if place is None:
            raise UsageError("no turn has begun here: go on to one with ]")
        return await _turn(tape, tape.run_id, place)
    finally:
        tape.close()


async def parent_of(runtime: Runtime, run_id: str) -> tuple[str, Cursor | None] | None:
    """The run that a run is forked from, and where, as far as it tells; None: it is no fork."""
    tape = RunTape(run_id, runtime)
    try:
        await tape.open()
        place = await tape.seek.next_of_kind("fork", tape.last + 1, -1)
        found = None if place is None else await _at(tape, place)
    finally:
        tape.close()
    if found is None or not isinstance(fork := found.event, Fork):
        return None
    return fork.parent_run_id, None if fork.parent_seq is None else Cursor(0, fork.parent_seq)


async def children_of(history: History, run_id: str) -> list[RunTotals]:
    """The stored runs that are forked from a run, the newest first; 200 at most."""
    return await history.runs("parent_run_id = ?", [run_id], limit=_CHILDREN_MAX)


async def _turn(past: Past, run_id: str, place: int) -> TurnHere:
    began = await past.seek.next_of_kind("run_start", place, -1)
    first = None if began is None else await _at(past, began)
    begun = await _at(past, place)
    if began is None or first is None or begun is None or not isinstance(first.event, RunStart):
        refuse("the beginning of its run is lost: choose another run")
    start, turn = first.event, begun.event
    if not isinstance(turn, TurnStart) or turn.turn is None:
        refuse("this turn has no number: choose another turn")
    of_turn: list[Event] = []
    for each in await past.window(place + 1, min(past.last, place + _OF_A_TURN)):
        if not isinstance(each, Envelope) or isinstance(each.event, TurnStart):
            break
        of_turn.append(each.event)
    board = next((each.text for each in of_turn if isinstance(each, Observation)), "")
    game = start.config.get("game")
    position = Position(
        game=game if isinstance(game, str) else start.game, turn=turn.turn, state=turn.state,
        seats=len(start.agents), seed=start.seed, board=board,
    )  # fmt: skip
    if turn.state is None and position.game != SYNTH:
        position = replace(position, moves=await _moves(past, start, began, place))
    played = [
        (each.agent_id or "", each.action if isinstance(each.action, str) else str(each.action))
        for each in of_turn
        if isinstance(each, Action) and each.turn == turn.turn
    ]
    return TurnHere(run_id=run_id, seq=begun.seq, start=start, position=position,
                    player=turn.player, played=tuple(played))  # fmt: skip


async def _moves(
    past: Past, start: RunStart, began: int, place: int
) -> tuple[tuple[tuple[int, str], ...], ...]:
    """What was done in each turn between the two places."""
    seats = {agent.id: seat for seat, agent in enumerate(start.agents)}
    turns: list[list[tuple[int, str]]] = []
    async for each in _deliveries(past, began, place - 1):
        if not isinstance(each, Envelope):
            refuse("its turns have no state, and some of its moves are lost: choose another run")
        event = each.event
        if isinstance(event, Fork):
            refuse("its turns have no state, and it began as a fork: choose its parent")
        if isinstance(event, TurnStart):
            if event.turn != len(turns) + 1:
                refuse("its turns have no state, and are not in order: choose another run")
            turns.append([])
        elif isinstance(event, Action):
            seat = seats.get(event.agent_id or "")
            if seat is None or not turns or not isinstance(event.action, str):
                refuse("its turns have no state, and who did what is not known: choose another run")
            turns[-1].append((seat, event.action))
    return tuple(map(tuple, turns))


async def _deliveries(past: Past, first: int, last: int) -> AsyncIterator[Delivery]:
    while first <= last:
        for each in await past.window(first, min(last, first + WINDOW - 1)):
            yield each
        first += WINDOW


async def _at(past: Past, place: int) -> Envelope | None:
    found: Sequence[Any] = await past.window(place, place)
    return next((each for each in found if isinstance(each, Envelope)), None)


def _no_turn(totals: RunTotals, turn: int) -> str:
    run = f"run {short_id(totals.run_id)}"
    if not totals.turns:
        return f"{run} has no turns: choose another run"
    if turn > totals.turns:
        return f"{run} has no turn {turn}: its last is {totals.turns}"
    return f"{run} has no turn {turn}: give another, {totals.turns} at most"
