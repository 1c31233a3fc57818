"""A run's totals: one fold, shared by the store, the screen and verification."""

from __future__ import annotations

import math
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


class AgentTally(Struct, kw_only=True):
    """One agent's actions and usage so far; tokens and US dollars are None while unknown."""

    actions: int = 0
    errors: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None

    @property
    def tokens(self) -> int | None:
        """Input and output together."""
        return _together(self.input_tokens, self.output_tokens)


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
        return _together(self.input_tokens, self.output_tokens)

    @property
    def duration_s(self) -> float | None:
        """Seconds from the first to the newest event."""
        if self.started_at is None or self.last_at is None:
            return None
        return (self.last_at - self.started_at).total_seconds()

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


def _together(input_tokens: int | None, output_tokens: int | None) -> int | None:
    if input_tokens is None and output_tokens is None:
        return None
    return (input_tokens or 0) + (output_tokens or 0)


_FOLDED = frozenset({LlmResponse, RunStart, RunEnd, Fork, ErrorEvent})
