"""Finished runs as matches between players: who played, how it came out, what it cost. Pure.

Knows nothing of ratings (see `ratings`) or of how runs are stored (see `store.matches`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct, field

from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    Envelope,
    ErrorEvent,
    Gap,
    LlmResponse,
    RunStatus,
)
from arena_tui.folds.result import scores_of, winners_of
from arena_tui.folds.totals import RunTotals, saturating_sum

NANO: Final = 10**9
"""Costs and latencies are summed as whole billionths, so that their order makes no difference."""

PLAUSIBLE_MAX: Final = 1e6
"""US dollars or seconds of one answer; a higher value, or one below zero, counts as unknown."""

_NUMBERED: Final = re.compile(r"(.+)#\d+")


class Usage(Struct, kw_only=True):
    """What one agent did and used in one run.

    Attributes:
        actions: `action` events.
        illegal: `action_result` events with `ok` false.
        errors: `error` events that name the agent.
        input_tokens, output_tokens: None until an answer reports some.
        cost_nano: Billionths of a US dollar; None while unknown.
        latency_nano: Billionths of a second, of all answers that report it.
        timed: How many answers report their latency.
    """

    actions: int = 0
    illegal: int = 0
    errors: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano: int | None = None
    latency_nano: int = 0
    timed: int = 0

    def plus(self, other: Usage) -> Usage:
        """Both together; what neither knows stays unknown."""
        cost = (
            None
            if self.cost_nano is None and other.cost_nano is None
            else (self.cost_nano or 0) + (other.cost_nano or 0)
        )
        return Usage(
            actions=self.actions + other.actions, illegal=self.illegal + other.illegal,
            errors=self.errors + other.errors,
            input_tokens=saturating_sum(self.input_tokens, other.input_tokens),
            output_tokens=saturating_sum(self.output_tokens, other.output_tokens),
            cost_nano=cost, latency_nano=self.latency_nano + other.latency_nano,
            timed=self.timed + other.timed,
        )  # fmt: skip


class Contender(Struct, frozen=True, kw_only=True):
    """One player in one match.

    Attributes:
        id: The player; several contenders of a match may be the same one.
        score: Higher is better; None: not told.
        team: Those of the same team win and lose together; None: plays alone.
    """

    id: str
    score: float | None = None
    team: str | None = None
    usage: Usage = field(default_factory=Usage)


class Match(Struct, frozen=True, kw_only=True):
    """One run that has ended.

    Attributes:
        players: In the order in which they move.
    """

    run_id: str
    game: str
    status: RunStatus
    started_at: datetime | None = None
    players: tuple[Contender, ...] = ()

    @property
    def rates(self) -> bool:
        """Whether it says who is better: finished, with two sides or more, each with a score."""
        return self.status == "finished" and len(self.sides) > 1 and all(self.sides)

    @property
    def sides(self) -> list[list[Contender]]:
        """Teams and players alone, in the order of their first player; of none without a score."""
        sides: dict[tuple[str, object], list[Contender]] = {}
        for seat, player in enumerate(self.players):
            key = ("seat", seat) if player.team is None else ("team", player.team)
            sides.setdefault(key, []).append(player)
        return [side for side in sides.values() if all(player.score is not None for player in side)]

    @property
    def order(self) -> tuple[str, str]:
        """Sorts matches by their start, always the same way."""
        return ("" if self.started_at is None else self.started_at.isoformat(), self.run_id)


def side_score(side: Sequence[Contender]) -> float:
    """The mean score of its players."""
    return sum(player.score or 0.0 for player in side) / len(side)


def player_ids(agents: Sequence[AgentInfo]) -> list[str]:
    """The player that each agent of a run is: its id, without the number that only tells apart
    several agents of one run that are the same (`random#1` and `random#2` are `random`)."""
    kinds = [
        (found[1] if (found := _NUMBERED.fullmatch(agent.id)) else "", agent.spec)
        for agent in agents
    ]
    alike = Counter(kinds)
    return [
        kind[0] if kind[0] and alike[kind] > 1 else agent.id
        for kind, agent in zip(kinds, agents, strict=True)
    ]


def match_of(totals: RunTotals, usage: Mapping[str, Usage]) -> Match | None:
    """The match that a run was, with what each agent used by agent id; None while it goes on.

    A fork is none, as it begins in the middle of another one.

    `config["teams"]`, a mapping of agent ids to names of teams, says who plays together. Of two
    players of whom only the winner has a score, the other one's counts as 0.
    """
    if totals.status == "running" or totals.parent_run_id is not None:
        return None
    scores = scores_of(totals.agents, totals.outcome)
    teams = totals.config.get("teams")
    team_of = teams if isinstance(teams, dict) else {}
    untold = 0.0 if len(totals.agents) == 2 and winners_of(totals.agents, scores) else None
    players = [
        Contender(
            id=player, score=scores.get(agent.id, untold), usage=usage.get(agent.id, Usage()),
            team=None if team_of.get(agent.id) is None else str(team_of[agent.id]),
        )
        for agent, player in zip(totals.agents, player_ids(totals.agents), strict=True)
    ]  # fmt: skip
    return Match(
        run_id=totals.run_id, game=totals.game, status=totals.status,
        started_at=totals.started_at, players=tuple(players),
    )  # fmt: skip


class MatchFold:
    """Folds one run's events into the match it becomes.

    Attributes:
        whole: Whether no event is missing.
    """

    def __init__(self, run_id: str) -> None:
        self.whole = True
        self._totals = RunTotals(run_id=run_id)
        self._usage: dict[str, Usage] = {}

    def add(self, delivery: Envelope | Gap) -> None:
        """Fold in the run's next event, or a gap."""
        if isinstance(delivery, Gap):
            self.whole = False
            self._totals.add_gap(delivery)
            return
        self._totals.add(delivery)
        event = delivery.event
        if type(event) in _USAGE and event.agent_id is not None:
            usage = self._usage.setdefault(event.agent_id, Usage())
            match event:
                case Action():
                    usage.actions += 1
                case ActionResult():
                    usage.illegal += not event.ok
                case ErrorEvent():
                    usage.errors += 1
                case LlmResponse():
                    _add_answer(usage, event)

    def match(self) -> Match | None:
        """The match; None while the run goes on."""
        return match_of(self._totals, self._usage)


def _add_answer(usage: Usage, event: LlmResponse) -> None:
    usage.input_tokens = saturating_sum(usage.input_tokens, event.input_tokens)
    usage.output_tokens = saturating_sum(usage.output_tokens, event.output_tokens)
    if event.cost_usd is not None and 0 <= event.cost_usd <= PLAUSIBLE_MAX:
        usage.cost_nano = (usage.cost_nano or 0) + round(event.cost_usd * NANO)
    if event.latency_s is not None and 0 <= event.latency_s <= PLAUSIBLE_MAX:
        usage.latency_nano += round(event.latency_s * NANO)
        usage.timed += 1


_USAGE: Final = frozenset({Action, ActionResult, ErrorEvent, LlmResponse})
