"""One run as a screen shows it: a fold over its deliveries."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from arena_tui.broker.protocol import Cursor, RunMeta, RunState
from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    Delivery,
    ErrorEvent,
    Event,
    Gap,
    LlmPrompt,
    LlmResponse,
    Observation,
    TurnStart,
)
from arena_tui.folds.costs import Cost, NoPrices, PriceList, Spent
from arena_tui.folds.pulse import Pulse
from arena_tui.folds.run_costs import RunCosts
from arena_tui.folds.totals import AgentTally, RunTotals, TotalsStatus
from arena_tui.folds.trouble import Signs, Trouble, calm_s, find_troubles
from arena_tui.settings import TroubleLimits

_NO_PRICES = NoPrices()
_RECENT = 24
_LIMITS = TroubleLimits()
_RATE_SECONDS = 60
BOARD_FRESH_S = 1.0
"""For how long a change of the board is new."""

PaneState: TypeAlias = Literal["running", "stuck", "silent", "finished", "crashed", "stopped"]


class Pane(Struct, frozen=True, kw_only=True):
    """A snapshot of one run, ready to render.

    Attributes:
        number: Order of appearance; keeps the pane in its place.
        waiting_s: Seconds since an unanswered prompt; None if no response is pending.
        idle_s: Seconds since the newest event arrived.
        per_second: Events in each of the last seconds, newest last.
        held, capacity: Fill of the run's log; lag: events not yet stored, None without a store.
        is_store_late: Whether the store is so far behind that `lag` tells of more than its rhythm.
        partial: Whether its beginning is missing here: tokens, cost and errors are lower bounds.
        cost_usd: What producers gave; cost_estimated_usd: what comes on top, by tokens and price;
            cost_incomplete: whether some of the cost is unknown.
        agent_costs: What each agent's part of it is.
        board_before: The newest board that differs from `board`; board_is_fresh: whether that has
            only just changed.
        lost: Events lost; lost_unknown: gaps of unknown length, with which `lost` is the least.
        troubles: What is wrong with it, the worst first.
        started_at, ended_at: UTC; None while it has not.
    """

    run_id: str
    number: int
    game: str
    label: str | None
    agents: tuple[AgentInfo, ...]
    state: PaneState
    turn: int
    player: str | None
    board: str
    outcome: dict[str, float]
    winners: tuple[str, ...]
    recent: tuple[Delivery, ...]
    per_second: tuple[int, ...]
    events: int
    tokens: int | None
    cost_usd: float | None
    errors: int
    last_error: str | None
    waiting_s: float | None
    idle_s: float
    duration_s: float
    held: int
    capacity: int
    lag: int | None
    lost: int
    reason: str | None
    partial: bool = False
    lost_unknown: int = 0
    cost_estimated_usd: float | None = None
    cost_incomplete: bool = False
    agent_costs: dict[str, Cost] = {}
    board_before: str = ""
    board_is_fresh: bool = False
    is_store_late: bool = False

    @property
    def cost(self) -> Cost:
        """What the run costs, as far as that is known."""
        return Cost(
            known_usd=self.cost_usd, estimated_usd=self.cost_estimated_usd,
            incomplete=self.cost_incomplete or self.partial,
        )  # fmt: skip

    troubles: tuple[Trouble, ...] = ()
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def losing(self) -> bool:
        """Whether events were lost, also when nobody knows how many."""
        return bool(self.lost or self.lost_unknown)

    @property
    def rate(self) -> float:
        """Events a second over the last three seconds."""
        newest = self.per_second[-3:]
        return sum(newest) / len(newest) if newest else 0.0

    @property
    def is_live(self) -> bool:
        """Whether more events may arrive."""
        return self.state in ("running", "stuck", "silent")


class Instant(Struct, frozen=True, kw_only=True):
    """One run as it was right after one of its events.

    Attributes:
        turn: Highest turn number until then.
        player: Whose turn it is.
        board: Text of the newest observation; board_before: of the newest that differs from it.
        tallies: What each agent had done and used, by agent id.
    """

    run_id: str = ""
    game: str = ""
    label: str | None = None
    agents: tuple[AgentInfo, ...] = ()
    seed: int | None = None
    status: TotalsStatus = "running"
    winners: tuple[str, ...] = ()
    turn: int = 0
    player: str | None = None
    board: str = ""
    board_before: str = ""
    tallies: dict[str, AgentTally] = {}
    last_error: str | None = None


class RunView:
    """Folds one run's deliveries, in order; `now` is in seconds, from any monotonic clock.

    Args:
        recent: How many of the newest deliveries to keep.
        limits: From when on the run is in trouble.

    Attributes:
        board: Text of the newest observation; board_before: of the newest that differs from it.
        player: Whose turn it is.
        recent: The newest deliveries, newest last.
        version: Increases with every change.
    """

    def __init__(
        self, run_id: str, number: int = 0, now: float = 0.0, recent: int = _RECENT,
        limits: TroubleLimits = _LIMITS,
    ) -> None:  # fmt: skip
        self.totals = RunTotals(run_id=run_id)
        self.number = number
        self.board = self.board_before = ""
        self._board_at = now
        self.player: str | None = None
        self.tallies: dict[str, AgentTally] = {}
        self._costs = RunCosts()
        self.recent: deque[Delivery] = deque(maxlen=recent)
        self.last_error: str | None = None
        self.version = 0
        self.arrived_at = now
        self._limits = limits
        self._pulse = Pulse()
        self._first_seq = 0
        self._prompted_at: float | None = None
        self._per_second: deque[int] = deque(maxlen=_RATE_SECONDS)
        self._this_second = 0

    def add(self, delivery: Delivery, now: float = 0.0) -> None:
        self.version += 1
        if now > self.arrived_at:
            self._pulse.beat(now - self.arrived_at)
            self.arrived_at = now
        self.recent.append(delivery)
        if not self._first_seq:
            self._first_seq = delivery.first_seq
        if isinstance(delivery, Gap):
            self.totals.add_gap(delivery)
            return
        self._this_second += 1
        self.totals.add(delivery)
        event = delivery.event
        if type(event) in _FOLDED:
            self._fold(event, now)
        elif type(event) is ActionResult:
            self._pulse.result(event)

    def begin_at(self, seq: int) -> None:
        """Start at this seq: earlier events predate the subscription and are not lost."""
        self._first_seq = seq

    def stand_at(self, at: Cursor) -> None:
        """Go on from there: what was folded so far is the run's state at that position."""
        if at.epoch != self.totals.epoch:
            self.totals.start_epoch(at.epoch)
        self.totals.seq = at.seq

    def introduce(self, meta: RunMeta) -> None:
        """Take game, label and agents from the metadata if the `run_start` was not seen."""
        if not self.totals.game and (meta.game or meta.agents):
            self.totals.game, self.totals.label = meta.game, meta.label
            self.totals.agents = list(meta.agents)
            self.version += 1

    def end_seconds(self, seconds: int) -> None:
        """Add that many seconds to the rate history, sharing the events since the last call."""
        rate = round(self._this_second / seconds)
        self._per_second += [rate] * min(seconds, _RATE_SECONDS)
        self._this_second = 0

    @property
    def partial(self) -> bool:
        """Whether the run's beginning is missing here."""
        return self._first_seq > 1

    def board_is_fresh(self, now: float) -> bool:
        """Whether the board changed within the last second, and not with the first observation."""
        return bool(self.board_before) and now - self._board_at < BOARD_FRESH_S

    def pane(
        self, now: float, run_state: RunState, held: int, capacity: int, lag: int | None,
        overflow: int, stored: RunTotals | None = None, prices: PriceList = _NO_PRICES,
        overspent: str | None = None,
    ) -> Pane:  # fmt: skip
        """Snapshot the run.

        Args:
            stored: The totals of the whole run, if the store has them.
            overspent: What the session has overspent, if it has.
        """
        totals = self.totals
        whole = stored if self.partial and stored is not None else totals
        signs = self._signs(run_state, now, whole, prices, overspent)
        troubles = find_troubles(signs, self._limits)
        return Pane(
            run_id=totals.run_id, number=self.number, game=totals.game, label=totals.label,
            agents=tuple(totals.agents), state=self._state(run_state, troubles),
            turn=totals.turns, player=self.player, board=self.board,
            board_before=self.board_before, board_is_fresh=self.board_is_fresh(now),
            outcome=totals.outcome, winners=tuple(totals.winners), reason=totals.reason,
            recent=tuple(self.recent), per_second=tuple(self._per_second),
            events=max(totals.seq, totals.events) if self.partial else totals.events,
            tokens=whole.tokens, cost_usd=whole.cost_usd, errors=whole.errors,
            last_error=self.last_error, waiting_s=signs.waiting_s, idle_s=signs.idle_s,
            duration_s=whole.duration_s or 0.0, started_at=whole.started_at,
            held=held, capacity=capacity, lag=lag, lost=max(totals.lost, overflow),
            lost_unknown=max(totals.lost_unknown, whole.lost_unknown), troubles=troubles,
            cost_estimated_usd=signs.cost.estimated_usd, agent_costs=dict(signs.agent_costs),
            # Whether all of what came before was priced, nobody knows.
            cost_incomplete=signs.cost.incomplete
            or (self.partial and signs.cost.estimated_usd is not None),
            partial=self.partial and stored is None, ended_at=totals.ended_at,
        )  # fmt: skip

    def spent(self, prices: PriceList) -> Spent:
        """What all its agents used, as far as it is folded here; the same until that changes."""
        return self._costs.spent(self.totals.run_id, self.version, self.tallies, prices)

    def instant(self) -> Instant:
        """The run as it looks now; does not change with what is folded later."""
        totals = self.totals
        return Instant(
            run_id=totals.run_id, game=totals.game, label=totals.label,
            agents=tuple(totals.agents), seed=totals.seed, status=totals.status,
            winners=tuple(totals.winners), turn=totals.turns, player=self.player, board=self.board,
            board_before=self.board_before,
            tallies={agent: tally.copy() for agent, tally in self.tallies.items()},
            last_error=self.last_error,
        )  # fmt: skip

    def state(self, run_state: RunState, now: float) -> PaneState:
        """What becomes of the run, as far as its events and the broker tell."""
        return self._state(run_state, self.troubles(run_state, now))

    def troubles(self, run_state: RunState, now: float) -> tuple[Trouble, ...]:
        """What is wrong with the run, as far as what was folded tells."""
        return find_troubles(self._signs(run_state, now, self.totals, _NO_PRICES), self._limits)

    def calm_s(self, run_state: RunState, now: float) -> float:
        """For how many seconds its troubles stay the same ones if nothing happens."""
        return calm_s(self._signs(run_state, now, self.totals, _NO_PRICES), self._limits)

    def _state(self, run_state: RunState, troubles: Iterable[Trouble]) -> PaneState:
        if self.totals.status != "running":
            return self.totals.status
        if run_state == "silent":
            return "silent"
        return "stuck" if any(each.kind == "stuck" for each in troubles) else "running"

    def _signs(
        self, run_state: RunState, now: float, whole: RunTotals, prices: PriceList,
        overspent: str | None = None,
    ) -> Signs:  # fmt: skip
        prompted_at = self._prompted_at
        agent_costs, cost = self._costs.by_agent(self.version, self.tallies, prices)
        return Signs(
            totals=self.totals, whole=whole, tallies=self.tallies, pulse=self._pulse,
            state=run_state, idle_s=max(0.0, now - self.arrived_at), prices_pending=prices.pending,
            waiting_s=None if prompted_at is None else max(0.0, now - prompted_at),
            last_error=self.last_error, overspent=overspent, cost=cost, agent_costs=agent_costs,
        )  # fmt: skip

    def _fold(self, event: Event, now: float) -> None:
        tally = self.tallies.get(event.agent_id) if event.agent_id else self._costs.nobodys
        if tally is None:
            tally = self.tallies[event.agent_id or ""] = AgentTally()
        if isinstance(event, Observation):
            if event.text and event.text != self.board:
                self.board_before, self.board, self._board_at = self.board, event.text, now
            self._pulse.legal_actions = event.legal_actions
        elif isinstance(event, TurnStart):
            self.player = event.player
            self._pulse.turn(event.ts)
        elif isinstance(event, LlmPrompt):
            self._prompted_at = now
            self._pulse.prompted_at = event.ts
        elif isinstance(event, LlmResponse):
            self._prompted_at = None
            tally.add(event)
            self._pulse.response(event)
        elif isinstance(event, Action):
            tally.actions += 1
            self._pulse.action(event, self.board)
        elif isinstance(event, ErrorEvent):
            self.last_error = event.message
            tally.errors += 1
            self._pulse.error()


_FOLDED = frozenset({Observation, TurnStart, LlmPrompt, LlmResponse, Action, ErrorEvent})
