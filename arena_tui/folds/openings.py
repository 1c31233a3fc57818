"""What many runs of one game come to: who wins how often, and how they open. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct, field

from arena_tui.events import short_id
from arena_tui.folds.matches import player_ids
from arena_tui.folds.result import is_draw, winners_of
from arena_tui.folds.totals import RunTotals

_Z_95: Final = 1.959964
"""Standard deviations on each side of the mean that hold 95 % of a normal distribution."""


class Interval(Struct, frozen=True):
    """A share, from 0 to 1, and the bounds between which it is likely to be."""

    share: float
    low: float
    high: float


def wilson(wins: int, games: int) -> Interval:
    """The share of games won, with its 95 % score interval (E. B. Wilson, "Probable inference, the
    law of succession, and statistical inference", JASA 22, 1927); of no games, all is possible."""
    if not games:
        return Interval(0.0, 0.0, 1.0)
    share, z = wins / games, _Z_95 * _Z_95 / games
    middle = (share + z / 2) / (1 + z)
    half = _Z_95 * math.sqrt(share * (1 - share) / games + z / (4 * games)) / (1 + z)
    low, high = min(share, middle - half), max(share, middle + half)
    return Interval(share, max(0.0, low) if wins else 0.0, 1.0 if wins == games else high)


class Tally(Struct, kw_only=True):
    """How games came out for one player, in whatever seats: only finished ones that somebody won,
    or several drew."""

    games: int = 0
    wins: int = 0
    draws: int = 0

    @property
    def rate(self) -> Interval:
        """Of games won."""
        return wilson(self.wins, self.games)


class Origin(NamedTuple):
    """An event of a run, at which others go on; without a seq they do not tell which."""

    run_id: str
    seq: int | None

    @property
    def short(self) -> str:
        """`7f3a:120`."""
        run = short_id(self.run_id)
        return run if self.seq is None else f"{run}:{self.seq}"


class Opening(Struct, frozen=True, kw_only=True):
    """One run, and the first moves of it, as they were told.

    Attributes:
        origin: Of a fork, the event of another run that it goes on from; None of a whole game.
    """

    totals: RunTotals
    moves: tuple[str, ...] = ()
    origin: Origin | None = None


class Node(Struct, kw_only=True):
    """Runs that begin with the same moves.

    Attributes:
        move: The last of these; "" of all runs.
        run_ids: All of them, in the order in which they were given.
        won: By player, how many of them it won.
        children: By what comes next, those with the most runs first.
        ended: Runs of which no further move is known.
    """

    move: str = ""
    run_ids: list[str] = field(default_factory=list)
    won: dict[str, int] = field(default_factory=dict)
    draws: int = 0
    children: list[Node] = field(default_factory=list)
    ended: int = 0

    @property
    def runs(self) -> int:
        return len(self.run_ids)


class Group(Struct, frozen=True, kw_only=True):
    """What the runs of one game between the same players come to, from its beginning or, of forks,
    from the same event of the same run.

    Attributes:
        players: In the order of their names.
        decided: Runs that finished with a winner, or drawn; draws are among them.
        turns, cost_usd, tokens: Means of a run; None where no run tells.
        errors: Of all runs together.
        tree: Where they part.
    """

    game: str
    players: tuple[str, ...]
    tallies: dict[str, Tally]
    runs: int
    decided: int
    draws: int
    turns: float
    cost_usd: float | None
    tokens: float | None
    errors: int
    tree: Node
    origin: Origin | None = None


def group_runs(openings: Iterable[Opening]) -> list[Group]:
    """By game and players, whatever their seats, and by where they begin; those of the most runs
    first."""
    found: dict[tuple[str, tuple[str, ...], Origin | None], list[Opening]] = {}
    for each in openings:
        players = tuple(sorted(player_ids(each.totals.agents)))
        found.setdefault((each.totals.game, players, each.origin), []).append(each)
    groups = [_group(*key, each) for key, each in found.items()]
    return sorted(groups, key=lambda group: (-group.runs, group.game, group.players))


def tree_of(openings: Sequence[Opening]) -> Node:
    """The runs by their first moves. Where only one run goes on, it is not followed: it has no
    children there."""
    root = Node()
    layers = [(root, [(each, _result(each.totals)) for each in openings], 0)]
    while layers:
        node, runs, depth = layers.pop()
        node.run_ids = [each.totals.run_id for each, _ in runs]
        for _, result in runs:
            node.draws += result.is_drawn
            for player in result.winners:
                node.won[player] = node.won.get(player, 0) + 1
        if len(runs) < 2:
            continue
        by_move: dict[str, list[tuple[Opening, _Result]]] = {}
        for each, result in runs:
            if depth < len(each.moves):
                by_move.setdefault(each.moves[depth], []).append((each, result))
            else:
                node.ended += 1
        for move, some in sorted(by_move.items(), key=lambda each: (-len(each[1]), each[0])):
            child = Node(move=move)
            node.children.append(child)
            layers.append((child, some, depth + 1))
    return root


def _group(
    game: str, players: tuple[str, ...], origin: Origin | None, openings: list[Opening]
) -> Group:
    totals = [each.totals for each in openings]
    tallies = {player: Tally() for player in dict.fromkeys(players)}
    for run in totals:
        _score(tallies, run)
    costs = [run.cost_usd for run in totals if run.cost_usd is not None]
    tokens = [run.tokens for run in totals if run.tokens is not None]
    return Group(
        game=game, players=players, tallies=tallies, runs=len(totals),
        decided=sum(_is_decided(run) for run in totals),
        draws=sum(_is_drawn(run) for run in totals),
        turns=sum(run.turns for run in totals) / len(totals),
        cost_usd=sum(costs) / len(costs) if costs else None,
        tokens=sum(tokens) / len(tokens) if tokens else None,
        errors=sum(run.errors for run in totals), tree=tree_of(openings),
        origin=origin,
    )  # fmt: skip


def _score(tallies: dict[str, Tally], run: RunTotals) -> None:
    if not _is_decided(run):
        return
    for agent, player in zip(run.agents, player_ids(run.agents), strict=True):
        tally = tallies[player]
        tally.games += 1
        tally.draws += _is_drawn(run)
        tally.wins += agent.id in run.winners


class _Result(NamedTuple):
    """How a run came out, which each node on its way counts: whether it was drawn, and the players
    that won it."""

    is_drawn: bool
    winners: tuple[str, ...]


def _result(run: RunTotals) -> _Result:
    if not _is_decided(run):
        return _Result(is_drawn=False, winners=())
    names = dict(zip((agent.id for agent in run.agents), player_ids(run.agents), strict=True))
    return _Result(_is_drawn(run), tuple(names.get(each, each) for each in run.winners))


def _is_drawn(run: RunTotals) -> bool:
    return run.status == "finished" and is_draw(run.agents, run.outcome)


def _is_decided(run: RunTotals) -> bool:
    return _is_drawn(run) or (
        run.status == "finished" and bool(winners_of(run.agents, run.outcome))
    )
