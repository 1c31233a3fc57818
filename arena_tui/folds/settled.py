"""Whether it is sure which of two neighbours is better, however often one looks. Pure.

A 95 % interval may be looked at once: who looks after every round and stops as soon as it excludes
zero is wrong far more often than in 5 of 100 cases. Here two players are apart once the outcomes
are 20 times as likely if they differ, by what the prior of strengths permits, as if they were one
player. Of equals that ratio ever reaches 20 with a probability of 1 in 20 at most (Ville's
inequality; see Robbins, Annals of Mathematical Statistics 41, 1970), whatever the number of looks.
The ratio is that of two marginal likelihoods (a Bayes factor), by Laplace's approximation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from arena_tui.folds.matches import Match
from arena_tui.folds.ratings import Pair, Standings, more_games
from arena_tui.folds.strengths import estimate

_ENOUGH: Final = math.log(20)


def unsettled(table: Standings, matches: Iterable[Match]) -> Iterable[Pair]:
    """Neighbours of the table of these matches that are not surely apart, the best first; lazily.

    `more_games` of each tells when they would be, if the difference is what it seems.
    """
    rating = [match for match in matches if match.rates]
    free = estimate(rating).fit
    for pair in table.pairs:
        tied = estimate([_as_one(match, pair) for match in rating]).fit
        gain = free.log_posterior - tied.log_posterior
        needed = _ENOUGH + free.complexity - tied.complexity
        if gain < needed:
            more = more_games(pair.played, gain, needed) if pair.linked else None
            yield replace(pair, more_games=more)


def _as_one(match: Match, pair: Pair) -> Match:
    """The match as if both were the better one."""
    return replace(
        match,
        players=tuple(
            replace(player, id=pair.better) if player.id == pair.worse else player
            for player in match.players
        ),
    )
