"""How a tournament stands: a fold over its games that are over. Knows no store and no schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import inf
from typing import Literal

from msgspec import Struct

from arena_tui.folds.matches import Contender, Match
from arena_tui.folds.ratings import Pair, Row, rate
from arena_tui.folds.settled import unsettled


class Game(Struct, frozen=True, kw_only=True):
    """One game that is over.

    Attributes:
        index: Its number in the schedule, from 0.
        agents: One a seat, in turn order.
        scores: One a seat; None where a seat has none.
        status: `stopped` at its last permitted turn.
    """

    index: int
    run_id: str | None
    game: str
    agents: tuple[str, ...]
    scores: tuple[float | None, ...]
    status: Literal["finished", "crashed", "stopped"]
    reason: str | None = None
    cost_usd: float | None = None
    duration_s: float | None = None


class Record(Struct, kw_only=True):
    """Games between two agents, or of one against all, from the first one's side.

    In a game of more than two players each pair of them counts as one won, drawn or lost.
    """

    wins: int = 0
    draws: int = 0
    losses: int = 0

    @property
    def met(self) -> int:
        return self.wins + self.draws + self.losses

    @property
    def score(self) -> float:
        """One for each won, a half for each drawn."""
        return self.wins + self.draws / 2

    def add(self, own: float, other: float) -> None:
        self.wins += own > other
        self.draws += own == other
        self.losses += own < other

    def __str__(self) -> str:
        return f"{self.wins}–{self.draws}–{self.losses}"


class Standing(Struct, frozen=True, kw_only=True):
    """One agent's place.

    Attributes:
        place: From 1, by rating; those of the same one have the same.
        rating, low, high: Points, with their 95 % interval; see `ratings`. None for one that has
            finished no game.
        games, crashed, stopped: Games it took part in, however they ended, and those of them
            that crashed or were stopped: nobody has won or lost these.
        against: Its record against each other agent.
    """

    place: int
    agent: str
    rating: float | None = None
    low: float | None = None
    high: float | None = None
    games: int
    crashed: int
    stopped: int
    record: Record
    against: Mapping[str, Record]


class Standings(Struct, frozen=True, kw_only=True):
    """A tournament's standings, best first.

    Attributes:
        settled: Whether it is sure of all agents which is better than which; see `settled`.
        unsettled: Neighbours of whom it is not sure yet.
        cost_usd: US dollars of all games; None while unknown.
        play_s: Seconds of play of all games, as if one had followed the other.
    """

    rows: tuple[Standing, ...]
    settled: bool
    unsettled: tuple[Pair, ...]
    finished: int
    crashed: int
    stopped: int
    cost_usd: float | None
    play_s: float

    @property
    def games(self) -> int:
        return self.finished + self.crashed + self.stopped


def standings(agents: Sequence[str], games: Iterable[Game]) -> Standings:
    """The standings after these games, of agents with equal records in the order given."""
    games = list(games)
    against = {one: {other: Record() for other in agents if other != one} for one in agents}
    total = {agent: Record() for agent in agents}
    for game in games:
        if game.status != "finished":
            continue
        for (one, score), (other, others) in combinations(
            zip(game.agents, game.scores, strict=True), 2
        ):
            if score is not None and others is not None:
                against[one][other].add(score, others)
                against[other][one].add(others, score)
                total[one].add(score, others)
                total[other].add(others, score)
    matches = list(map(_match, games))
    ratings = rate(matches).overall
    pairs = tuple(unsettled(ratings, matches))
    rated = {row.player: row for row in ratings.rows}
    best_first = sorted(agents, key=lambda agent: -_points(rated.get(agent)))
    points = [_points(rated.get(agent)) for agent in best_first]
    ended = [game.status for game in games]
    costs = [game.cost_usd for game in games if game.cost_usd is not None]
    return Standings(
        rows=tuple(
            _standing(agent, 1 + points.index(_points(rated.get(agent))), rated.get(agent),
                      [game.status for game in games if agent in game.agents], total[agent],
                      against[agent])
            for agent in best_first
        ),
        settled=ratings.complete and not pairs, unsettled=pairs,
        finished=ended.count("finished"),
        crashed=ended.count("crashed"), stopped=ended.count("stopped"),
        cost_usd=sum(costs) if costs else None,
        play_s=round(sum(game.duration_s or 0.0 for game in games), 6),
    )  # fmt: skip


def order_is_settled(games: Iterable[Game]) -> bool:
    """Whether it is sure of all agents which is better than which, however often one asks."""
    matches = list(map(_match, games))
    table = rate(matches).overall
    return table.complete and not any(True for _ in unsettled(table, matches))


def _standing(
    agent: str, place: int, rated: Row | None, ended: Sequence[str], record: Record,
    against: Mapping[str, Record],
) -> Standing:  # fmt: skip
    rated = rated or Row(player=agent)
    return Standing(
        place=place, agent=agent, games=len(ended), crashed=ended.count("crashed"),
        stopped=ended.count("stopped"), record=record, against=against,
        rating=rated.rating, low=rated.low, high=rated.high,
    )  # fmt: skip


def _points(rated: Row | None) -> float:
    """The rating; of one that has none, less than any."""
    return -inf if rated is None or rated.rating is None else rated.rating


def _match(game: Game) -> Match:
    players = tuple(
        Contender(id=agent, score=score)
        for agent, score in zip(game.agents, game.scores, strict=True)
    )
    return Match(
        run_id=game.run_id or "", game=game.game, status=game.status, players=players
    )  # fmt: skip
