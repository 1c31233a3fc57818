"""A run's totals: one fold, shared by the store, the screen and verification."""

from __future__ import annotations

import math
from copy import copy
from datetime import datetime
from typing import Final, Literal, TypeAlias

from msgspec import Struct, field

from arena_tui.events import (
    AgentInfo,
    Envelope,
    ErrorEvent,
    Event,
    Fork,
    Gap,
    LlmResponse,
    RunEnd,
    RunStart,
    RunStatus,
)
from arena_tui.folds.result import winners_of

TotalsStatus: TypeAlias = Literal["running"] | RunStatus

BIGINT_MAX = 2**63 - 1
"""Token counts saturate here: the store's columns hold no more."""


SUMMARY: Final = (
    "run_id", "game", "label", "agents", "status", "outcome", "winners", "turns", "events",
    "errors", "lost", "lost_unknown", "input_tokens", "output_tokens", "cost_usd", "started_at",
    "ended_at", "duration_s", "parent_run_id", "seed", "tags", "reason",
)  # fmt: skip


class Usage(Struct, kw_only=True):
    """What answers of one model used; tokens and US dollars are None while unknown.

    Attributes:
        cached_input_tokens, reasoning_tokens: Those among the input, and among the output.
        cost_usd: The sum of what producers gave.
        unpriced: Answers without a cost; the tokens of these alone are the `unpriced_…` ones.
        unmeasured: Those of them whose tokens were not given either, or not both counts.
    """

    responses: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    unpriced: int = 0
    unmeasured: int = 0
    unpriced_input_tokens: int = 0
    unpriced_output_tokens: int = 0
    unpriced_cached_tokens: int = 0

    def add(self, response: LlmResponse) -> None:
        """Add what one answer used."""
        fresh, made = response.input_tokens, response.output_tokens
        cached, reasoning = response.cached_input_tokens, response.reasoning_tokens
        cost_usd = response.cost_usd
        self.responses += 1
        if fresh is not None:
            self.input_tokens = (self.input_tokens or 0) + fresh
        if made is not None:
            self.output_tokens = (self.output_tokens or 0) + made
        if cached is not None:
            self.cached_input_tokens = (self.cached_input_tokens or 0) + cached
        if reasoning is not None:
            self.reasoning_tokens = (self.reasoning_tokens or 0) + reasoning
        if cost_usd is not None and math.isfinite(cost_usd):
            self.cost_usd = (self.cost_usd or 0.0) + cost_usd
            return
        self.unpriced += 1
        self.unmeasured += fresh is None or made is None
        self.unpriced_input_tokens += fresh or 0
        self.unpriced_output_tokens += made or 0
        self.unpriced_cached_tokens += cached or 0

    @property
    def tokens(self) -> int | None:
        """Input and output together."""
        return together(self.input_tokens, self.output_tokens)

    def add_usage(self, other: Usage) -> None:
        """Add what others used."""
        for name in self.__struct_fields__:
            more = getattr(other, name)
            if more is not None:
                setattr(self, name, (getattr(self, name) or 0) + more)


class AgentTally(Struct, kw_only=True):
    """One agent's actions and usage so far.

    Attributes:
        by_model: What it used of each model; of answers that name none, under `""`.
    """

    actions: int = 0
    errors: int = 0
    by_model: dict[str, Usage] = {}

    def add(self, response: LlmResponse) -> None:
        """Add what one answer used."""
        model = response.model or ""
        usage = self.by_model.get(model)
        if usage is None:
            usage = self.by_model[model] = Usage()
        usage.add(response)

    def add_tally(self, later: AgentTally) -> None:
        """Add what it did and used later."""
        self.actions += later.actions
        self.errors += later.errors
        for model, usage in later.by_model.items():
            self.by_model.setdefault(model, Usage()).add_usage(usage)

    def usage(self) -> Usage:
        """What it used of all models."""
        whole = Usage()
        for each in self.by_model.values():
            whole.add_usage(each)
        return whole

    def copy(self) -> AgentTally:
        """The same, that does not change with what is folded later."""
        by_model = {model: copy(usage) for model, usage in self.by_model.items()}
        return AgentTally(actions=self.actions, errors=self.errors, by_model=by_model)


class RunTotals(Struct, kw_only=True):
    """One run's summary, folded from its events up to `(epoch, seq)`.

    Attributes:
        status: `running` until its `run_end` was folded.
        turns: Highest turn number seen.
        errors: `error` events; input_tokens, output_tokens and cost_usd (US dollars): None until an
            event reports one.
        lost: Events in gaps of known length.
        lost_unknown: Gaps of unknown length; with one, `lost` is the least that was lost.
        broker: Name of the broker that its newest events came through; None while unknown.
        started_at, ended_at, last_at: Times of the first, the `run_end` and the newest event, UTC.
    """

    run_id: str
    epoch: int = 0
    seq: int = 0
    game: str = ""
    label: str | None = None
    agents: list[AgentInfo] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    seed: int | None = None
    config: dict[str, object] = field(default_factory=dict)
    status: TotalsStatus = "running"
    outcome: dict[str, float] = field(default_factory=dict)
    reason: str | None = None
    turns: int = 0
    events: int = 0
    errors: int = 0
    lost: int = 0
    lost_unknown: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    last_at: datetime | None = None
    parent_run_id: str | None = None
    broker: str | None = None

    @property
    def tokens(self) -> int | None:
        """Input and output together."""
        return together(self.input_tokens, self.output_tokens)

    @property
    def duration_s(self) -> float | None:
        """Seconds from the first to the newest event, never less than none."""
        if self.started_at is None or self.last_at is None:
            return None
        return max(0.0, (self.last_at - self.started_at).total_seconds())

    @property
    def winners(self) -> list[str]:
        """See `winners_of`."""
        return winners_of(self.agents, self.outcome)

    def add(self, envelope: Envelope) -> None:
        """Fold in the run's next event."""
        event = envelope.event
        if envelope.epoch != self.epoch:
            self.start_epoch(envelope.epoch)
        self.seq = envelope.seq
        self.events += 1
        self.last_at = event.ts
        if self.started_at is None:
            self.started_at = event.ts
        if event.turn is not None and event.turn > self.turns:
            self.turns = event.turn
        if type(event) in _FOLDED:
            self._fold(event)

    def add_gap(self, gap: Gap) -> None:
        """Fold in a gap: count its events as lost and move past them."""
        self.lost += gap.count
        self.lost_unknown += gap.unknown
        if gap.epoch != self.epoch:
            self.start_epoch(gap.epoch)
        self.seq = max(self.seq, gap.to_seq)

    def start_epoch(self, epoch: int) -> None:
        """The stream was recreated under the same id; the end of the old one does not apply."""
        self.epoch, self.seq = epoch, 0
        self.status, self.outcome, self.reason, self.ended_at = "running", {}, None, None

    def _fold(self, event: Event) -> None:
        if isinstance(event, LlmResponse):
            self.input_tokens = saturating_sum(self.input_tokens, event.input_tokens)
            self.output_tokens = saturating_sum(self.output_tokens, event.output_tokens)
            if event.cost_usd is not None and math.isfinite(event.cost_usd):
                self.cost_usd = (self.cost_usd or 0.0) + event.cost_usd
        elif isinstance(event, RunStart):
            self.game, self.label, self.seed = event.game, event.label, event.seed
            self.agents, self.tags, self.config = event.agents, event.tags, event.config
        elif isinstance(event, RunEnd):
            self.status, self.outcome, self.reason = event.status, event.outcome, event.reason
            self.ended_at = event.ts
        elif isinstance(event, Fork):
            self.parent_run_id = event.parent_run_id
        else:
            self.errors += 1


def summary(totals: RunTotals, status: str | None = None) -> dict[str, object]:
    """The fields that `runs --json` and the HTTP API give of a run, with this status if any."""
    return {name: getattr(totals, name) for name in SUMMARY} | {"status": status or totals.status}


def lost_text(lost: int, unknown: int) -> str:
    """`1,200` events lost, or `≥1,200` if there are gaps of unknown length as well."""
    return f"{'≥' if unknown else ''}{lost:,}"


def saturating_sum(total: int | None, count: int | None) -> int | None:
    """Add token counts, of which None is unknown."""
    return total if count is None else min((total or 0) + count, BIGINT_MAX)


def together(input_tokens: int | None, output_tokens: int | None) -> int | None:
    """The sum of two counts; None where both are unknown."""
    if input_tokens is None and output_tokens is None:
        return None
    return (input_tokens or 0) + (output_tokens or 0)


_FOLDED = frozenset({LlmResponse, RunStart, RunEnd, Fork, ErrorEvent})
