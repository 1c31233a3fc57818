"""Who is better among some runs, in one line: how often each player won, and what it took. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from arena_tui.events import AgentInfo
from arena_tui.folds.matches import player_ids
from arena_tui.folds.ratings import Record
from arena_tui.folds.result import is_draw, winners_of
from arena_tui.folds.totals import TotalsStatus


class AlikeRuns(Struct, frozen=True, kw_only=True):
    """Runs of the same agents that came out the same way.

    Attributes:
        runs: How many.
        tokens, cost_usd: Of all together; None where nobody told any.
        lost: Events lost, at least.
    """

    agents: list[AgentInfo]
    status: TotalsStatus
    outcome: dict[str, float]
    runs: int
    errors: int = 0
    tokens: int | None = None
    cost_usd: float | None = None
    lost: int = 0


class Scores(Struct, frozen=True, kw_only=True):
    """What many runs come to.

    Attributes:
        records: By player, those with the most points a run first, of which a draw is half a one;
            of finished runs that somebody won, or several drew.
        tokens, cost_usd: None where nobody told any.
    """

    records: dict[str, Record] = {}
    runs: int = 0
    errors: int = 0
    tokens: int | None = None
    cost_usd: float | None = None
    lost: int = 0


def scores_of_runs(groups: Iterable[AlikeRuns]) -> Scores:
    """Sum up runs that are told in groups."""
    groups = list(groups)
    found: dict[str, list[int]] = {}
    for group in groups:
        drawn, won = is_draw(group.agents, group.outcome), winners_of(group.agents, group.outcome)
        if group.status != "finished" or not (drawn or won):
            continue
        players = player_ids(group.agents)
        for agent, player in zip(group.agents, players, strict=True):
            place = 1 if drawn else 0 if agent.id in won else 2
            found.setdefault(player, [0, 0, 0])[place] += group.runs
    records = {
        player: Record(wins=wins, draws=draws, losses=losses)
        for player, (wins, draws, losses) in sorted(
            found.items(), key=lambda each: (-(2 * each[1][0] + each[1][1]) / sum(each[1]), each[0])
        )
    }
    tokens = [group.tokens for group in groups if group.tokens is not None]
    costs = [group.cost_usd for group in groups if group.cost_usd is not None]
    return Scores(
        records=records,
        runs=sum(group.runs for group in groups),
        errors=sum(group.errors for group in groups),
        tokens=sum(tokens) if tokens else None,
        cost_usd=sum(costs) if costs else None,
        lost=sum(group.lost for group in groups),
    )
