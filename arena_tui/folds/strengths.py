"""How strong players are, from who came before whom in their matches. Pure.

Two sides: Davidson's model (JASA 65, 1970), which is Bradley and Terry's with draws, and with an
advantage of moving first as in Davidson and Beaver (Biometrics 33, 1977). With d = first - second +
advantage, in natural logarithms, the first wins, loses and draws in proportion to exp(d/2),
exp(-d/2) and exp(draws).

More sides: Plackett and Luce's model; the best is chosen among all, the second among the others,
and so on, each in proportion to the exponential of its strength. Sides that share a place count as
in Efron's approximation (JASA 72, 1977).

A team is as strong as the mean of its players. Strengths are shared by all games; every game has
an advantage and a tendency to draw of its own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple

from arena_tui.folds.choices import Alternative, Choice, Fit, Terms, fit
from arena_tui.folds.matches import Contender, Match, side_score

STRENGTH_SD: Final = 3.0
"""Of the prior of a strength: 521 Elo points. Weak enough to matter only where matches say little;
without it a player who has only won would be infinitely strong."""

_ADVANTAGE_SD: Final = 1.5
_DRAWS_SD: Final = 3.0


class Strengths(NamedTuple):
    """Estimates, natural logarithms.

    Attributes:
        players: Their numbers.
        fit: Strengths by those numbers, their mean 0, and what else was estimated.
        advantages: Where the advantage of each game is in `fit` for which it can be told.
        groups: Of each player, a number that it shares with those whom it has met, whom these have
            met, and so on; between groups only the prior says anything.
    """

    players: dict[str, int]
    fit: Fit
    advantages: dict[str, int]
    groups: dict[str, int]

    def strength(self, player: str) -> tuple[float, float]:
        """Against the mean of all players, with its standard error."""
        share = 1 / len(self.players)
        own = self.players[player]
        terms = [(each, float(each == own) - share) for each in self.players.values()]
        return self.fit.values[own], math.sqrt(self.fit.variance(terms))

    def difference(self, better: str, worse: str) -> tuple[float, float]:
        """Of two strengths, with its standard error."""
        one, other = self.players[better], self.players[worse]
        found = self.fit.values[one] - self.fit.values[other]
        return found, math.sqrt(self.fit.variance([(one, 1.0), (other, -1.0)]))

    def advantage(self, game: str) -> tuple[float, float] | None:
        """Of moving first, with its standard error; None where it cannot be told."""
        place = self.advantages.get(game)
        if place is None:
            return None
        return self.fit.values[place], math.sqrt(self.fit.variance([(place, 1.0)]))


def estimate(matches: Sequence[Match]) -> Strengths:
    """Estimate the strengths of all players of matches that rate, in this order."""
    players = {
        name: number
        for number, name in enumerate(sorted({p.id for match in matches for p in match.players}))
    }
    two_sided: defaultdict[str, list[Match]] = defaultdict(list)
    for match in matches:
        if len(match.sides) == 2:
            two_sided[match.game].append(match)
    sds = [STRENGTH_SD] * len(players)
    advantages: dict[str, int] = {}
    draws: dict[str, int] = {}
    for game, some in sorted(two_sided.items()):
        if _tells_advantage(some):
            advantages[game] = len(sds)
            sds.append(_ADVANTAGE_SD)
        if any(_is_draw(match) for match in some):
            draws[game] = len(sds)
            sds.append(_DRAWS_SD)
    counts: defaultdict[Choice, list[float]] = defaultdict(list)
    for match in matches:
        sides = [_terms(side, players) for side in match.sides]
        scores = [side_score(side) for side in match.sides]
        if len(sides) == 2:
            _count_pair(counts, sides, scores, advantages.get(match.game), draws.get(match.game))
        else:
            _count_order(counts, sides, scores)
    return Strengths(players, fit(sds, counts), advantages, _groups(players, matches))


def _groups(players: dict[str, int], matches: Sequence[Match]) -> dict[str, int]:
    members = {number: {name} for name, number in players.items()}
    groups = dict(players)
    for match in matches:
        target = groups[match.players[0].id]
        for number in {groups[player.id] for player in match.players} - {target}:
            moved = members.pop(number)
            members[target] |= moved
            groups.update(dict.fromkeys(moved, target))
    return groups


def _terms(side: Sequence[Contender], players: dict[str, int]) -> Terms:
    factors: defaultdict[int, float] = defaultdict(float)
    for player in side:
        factors[players[player.id]] += 1 / len(side)
    return tuple(sorted(factors.items()))


def _count_pair(
    counts: defaultdict[Choice, list[float]],
    sides: Sequence[Terms],
    scores: Sequence[float],
    advantage: int | None,
    draws: int | None,
) -> None:
    first, second = sides
    ahead = [(place, factor / 2) for place, factor in first]
    ahead += [(place, -factor / 2) for place, factor in second]
    if advantage is not None:
        ahead.append((advantage, 0.5))
    behind = tuple((place, -factor) for place, factor in ahead)
    choice = [Alternative(tuple(ahead)), Alternative(behind)]
    if draws is not None:
        choice.append(Alternative(((draws, 1.0),)))
    result = 2 if scores[0] == scores[1] else int(scores[0] < scores[1])
    _count(counts, tuple(choice), result)


def _count_order(
    counts: defaultdict[Choice, list[float]], sides: Sequence[Terms], scores: Sequence[float]
) -> None:
    ranked = sorted(zip(scores, sides, strict=True), key=lambda each: (-each[0], each[1]))
    for _, group in groupby(list(ranked), key=lambda each: each[0]):
        tied = [terms for _, terms in group]
        rest = [terms for _, terms in ranked[len(tied) :]]
        ranked = ranked[len(tied) :]
        if not rest and len(tied) == 1:
            return
        for place, terms in enumerate(tied):
            weight = 1 - place / len(tied)
            among = [Alternative(each, weight) for each in tied]
            choice = (*among, *sorted(Alternative(each) for each in rest))
            _count(counts, choice, [each.terms for each in choice].index(terms))


def _count(counts: defaultdict[Choice, list[float]], choice: Choice, taken: int) -> None:
    found = counts[choice] or [0.0] * len(choice)
    found[taken] += 1
    counts[choice] = found


def _is_draw(match: Match) -> bool:
    first, second = map(side_score, match.sides)
    return first == second


def _tells_advantage(matches: Sequence[Match]) -> bool:
    """Whether the advantage of the first can be told from the strengths: it cannot if strengths
    could stand in for it in every match, as where two players never change seats."""
    neighbours: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
    for match in matches:
        first, second = ("+".join(sorted(player.id for player in side)) for side in match.sides)
        neighbours[first].add((second, -1))
        neighbours[second].add((first, 1))
    heights: dict[str, int] = {}
    for start in sorted(neighbours):
        queue = [] if start in heights else [start]
        heights.setdefault(start, 0)
        while queue:
            here = queue.pop()
            for there, change in neighbours[here]:
                if there not in heights:
                    heights[there] = heights[here] + change
                    queue.append(there)
                elif heights[there] != heights[here] + change:
                    return True
    return False
