"""Ratings of players from their matches, with what can and cannot be said about them. Pure.

Points are Elo's: 400 more are ten times the odds to come out ahead; the mean of all players is
1,500. The models are in `strengths`. Intervals cover 95 %: 1.96 standard errors on both sides, from
the curvature of the penalised likelihood. Resampling matches and taking percentiles covered only
78 to 94 % in simulations of up to 60 matches a game, since a player who has only won has only won
in every resample; these covered 93 to 98 % there (see the tests), the
least where three players are many hundreds of points apart. They hold as far as matches are
independent and the model is right: the same deterministic game played again adds nothing new.

The overall rating is one strength per player fitted to the matches of all games at once, in which
every game keeps an advantage of moving first and a tendency to draw of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from arena_tui.folds.matches import NANO, Contender, Match, Usage, side_score
from arena_tui.folds.openskills import Skill, skills
from arena_tui.folds.strengths import Strengths, estimate

__all__ = [
    "Advantage", "Match", "Pair", "Ratings", "Record", "Row", "Standings", "more_games", "rate",
]  # fmt: skip

MEAN: Final = 1_500.0
POINTS: Final = 400 / math.log(10)
"""Elo points of one unit of natural logarithms."""

_Z: Final = 1.959964
"""Standard errors on each side of a 95 % interval."""

_MORE_MAX: Final = 100_000
"""More games than this are not worth a forecast."""


class Record(Struct, frozen=True, kw_only=True):
    """How often a player came out ahead of, level with and behind another, or all others."""

    wins: int = 0
    draws: int = 0
    losses: int = 0


class Row(Struct, frozen=True, kw_only=True):
    """One player of a table.

    Attributes:
        rating, low, high: Points; None for one of whom no match rates.
        games: Its matches that rate; `wins`, `draws` and `losses` of them: ahead of the others,
            alone or with some; all level; and the rest.
        runs: All its matches that have ended; `crashed` of them crashed.
        actions, illegal, errors: Events in `runs`; illegal: `action_result` with `ok` false;
            errors: `error` events that name the player.
        cost_usd, tokens: A match's, on average over `runs`; None while unknown.
        latency_s: An answer's, on average.
        against: By opponent, sorted.
        skill: openskill's figures, where matches have more than two sides and it is installed.
    """

    player: str
    rating: float | None = None
    low: float | None = None
    high: float | None = None
    games: int = 0
    wins: int = 0
    draws: int = 0
    losses: int = 0
    runs: int = 0
    crashed: int = 0
    actions: int = 0
    illegal: int = 0
    errors: int = 0
    cost_usd: float | None = None
    tokens: float | None = None
    latency_s: float | None = None
    against: dict[str, Record] = {}
    skill: Skill | None = None


class Pair(Struct, frozen=True, kw_only=True):
    """Two neighbours of a table.

    Attributes:
        difference, low, high: Points by which the first is better.
        linked: Whether they have met, or opponents of theirs have, and so on; else the difference
            is as good as unknown.
        played: Matches of either.
        more_games: About how many more of these, to two digits, would make this difference real, if
            it is what it seems; 0 where it is real, None where no number in sight would.
    """

    better: str
    worse: str
    difference: float
    low: float
    high: float
    linked: bool = True
    played: int = 0
    more_games: int | None = None

    @property
    def real(self) -> bool:
        """Whether the interval excludes that they are equal."""
        return self.low > 0


class Advantage(Struct, frozen=True, kw_only=True):
    """Of moving first, in points."""

    game: str
    points: float
    low: float
    high: float


class Standings(Struct, frozen=True, kw_only=True):
    """The table of one game, or of all.

    Attributes:
        game: Its name; empty: all games.
        matches: How many rate.
        crashed: Matches that crashed.
        rows: The best first; those of whom no match rates last.
        pairs: All neighbours that are rated.
        advantages: Of the two-sided games where it can be told: players have changed seats.
    """

    game: str = ""
    matches: int = 0
    crashed: int = 0
    rows: tuple[Row, ...] = ()
    pairs: tuple[Pair, ...] = ()
    advantages: tuple[Advantage, ...] = ()

    @property
    def unsettled(self) -> list[Pair]:
        """Neighbours whose difference is not real yet."""
        return [pair for pair in self.pairs if not pair.real]

    @property
    def complete(self) -> bool:
        """Whether there are two players or more, and all are rated."""
        return len(self.rows) > 1 and all(row.rating is not None for row in self.rows)

    @property
    def settled(self) -> bool:
        """Whether the order of all players is known, for who looks once; see `folds.settled`."""
        return self.complete and not self.unsettled


class Ratings(Struct, frozen=True, kw_only=True):
    """All tables: overall, and per game in alphabetical order."""

    overall: Standings = Standings()
    games: tuple[Standings, ...] = ()


def rate(matches: Iterable[Match]) -> Ratings:
    """Rate all players. The same matches in whatever order give the same ratings, to the bit."""
    ordered = sorted(matches, key=lambda match: match.order)
    by_game: dict[str, list[Match]] = {}
    for match in ordered:
        by_game.setdefault(match.game, []).append(match)
    return Ratings(
        overall=_standings("", ordered),
        games=tuple(_standings(game, some) for game, some in sorted(by_game.items())),
    )


def more_games(played: int, gained: float, needed: float) -> int | None:
    """About how many more it takes, to two digits, where every game gains as much as those played;
    None where no number in sight would do."""
    if gained <= 0:
        return None
    more = math.ceil(played * max(0.0, needed / gained - 1))
    unit = 10 ** max(0, len(str(more)) - 2)
    return math.ceil(more / unit) * unit if more <= _MORE_MAX else None


def _standings(game: str, matches: Sequence[Match]) -> Standings:
    rating = [match for match in matches if match.rates]
    strengths = estimate(rating)
    rows = _rows(matches, rating, strengths)
    advantages = [
        Advantage(game=each, points=points, low=low, high=high)
        for each in strengths.advantages
        if (found := strengths.advantage(each)) is not None
        for points, low, high in [_interval(*found)]
    ]
    return Standings(
        game=game, matches=len(rating),
        crashed=sum(match.status == "crashed" for match in matches),
        rows=rows, pairs=tuple(_pairs(rows, rating, strengths)), advantages=tuple(advantages),
    )  # fmt: skip


def _rows(
    matches: Sequence[Match], rating: Sequence[Match], strengths: Strengths
) -> tuple[Row, ...]:
    tallies: dict[str, _Tally] = {}
    for match in matches:
        for contender in match.players:
            tallies.setdefault(contender.id, _Tally()).add(match, contender)
    for match in rating:
        _compare(match, tallies)
    skill_of = skills(rating)
    rows = []
    for player, tally in tallies.items():
        points: tuple[float | None, ...] = (None, None, None)
        if player in strengths.players:
            found, error = strengths.strength(player)
            points = tuple(round(MEAN + each, 1) for each in _interval(found, error))
        rows.append(tally.row(player, points, skill_of.get(player)))
    return tuple(sorted(rows, key=lambda row: (row.rating is None, -(row.rating or 0), row.player)))


def _pairs(rows: Sequence[Row], rating: Sequence[Match], strengths: Strengths) -> Iterable[Pair]:
    for one, other in pairwise(row.player for row in rows if row.rating is not None):
        found, error = strengths.difference(one, other)
        played = sum(any(p.id in (one, other) for p in match.players) for match in rating)
        points, low, high = _interval(found, error)
        linked = strengths.groups[one] == strengths.groups[other]
        yield Pair(
            better=one, worse=other, difference=points, low=low, high=high, linked=linked,
            played=played,
            more_games=more_games(played, found**2, (_Z * error) ** 2) if linked else None,
        )  # fmt: skip


def _interval(value: float, error: float) -> tuple[float, float, float]:
    """The value and its bounds, in points, to a tenth: no more can be meant."""
    return tuple(
        round(POINTS * each, 1) + 0.0  # never -0.0
        for each in (value, value - _Z * error, value + _Z * error)
    )  # type: ignore[return-value]


class _Tally:
    """Counts for one row."""

    def __init__(self) -> None:
        self._runs: dict[str, str] = {}
        self._usage = Usage()
        self._against: dict[str, list[int]] = {}
        self._results = [0, 0, 0]

    def add(self, match: Match, contender: Contender) -> None:
        """Count what the player did in a match, perhaps in several seats."""
        self._runs[match.run_id] = match.status
        self._usage = self._usage.plus(contender.usage)

    def count(self, result: int) -> None:
        """Count a win (0), a draw (1) or a loss (2) of a match."""
        self._results[result] += 1

    def compare(self, opponent: str, result: int) -> None:
        """Count a win (0), a draw (1) or a loss (2) against another player."""
        self._against.setdefault(opponent, [0, 0, 0])[result] += 1

    def row(self, player: str, points: Sequence[float | None], skill: Skill | None) -> Row:
        """The row; `points` are rating, low and high."""
        usage, runs = self._usage, len(self._runs)
        tokens = (
            None
            if usage.input_tokens is None and usage.output_tokens is None
            else round(((usage.input_tokens or 0) + (usage.output_tokens or 0)) / runs, 1)
        )
        wins, draws, losses = self._results
        return Row(
            player=player, rating=points[0], low=points[1], high=points[2],
            games=sum(self._results), wins=wins, draws=draws, losses=losses,
            runs=runs, crashed=sum(each == "crashed" for each in self._runs.values()),
            actions=usage.actions, illegal=usage.illegal, errors=usage.errors,
            cost_usd=None if usage.cost_nano is None else round(usage.cost_nano / NANO / runs, 9),
            tokens=tokens,
            latency_s=round(usage.latency_nano / NANO / usage.timed, 6) if usage.timed else None,
            against={
                other: Record(wins=found[0], draws=found[1], losses=found[2])
                for other, found in sorted(self._against.items())
            },
            skill=skill,
        )  # fmt: skip


def _compare(match: Match, tallies: Mapping[str, _Tally]) -> None:
    """Count a match's result for each player; one in several seats has the best of them, and one
    that plays only itself has none."""
    best: dict[str, float] = {}
    mates: dict[str, set[str]] = {}
    for side in match.sides:
        score, names = side_score(side), {player.id for player in side}
        for name in names:
            best[name] = max(best.get(name, score), score)
            mates.setdefault(name, set()).update(names)
    top, is_draw = max(best.values()), len({side_score(side) for side in match.sides}) == 1
    for name, score in best.items():
        if len(best) > 1:
            tallies[name].count(1 if is_draw else 0 if score == top else 2)
        for opponent in best.keys() - mates[name]:
            level = score == best[opponent]
            tallies[name].compare(opponent, 1 if level else 0 if score > best[opponent] else 2)
