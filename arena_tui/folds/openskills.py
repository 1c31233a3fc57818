"""openskill's figures for players of matches with more than two sides. Pure.

They are what other leaderboards show, given beside the rating. They depend on the order of the
matches, and their sigma is no standard error: the rating and its interval are not made from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from arena_tui.folds.matches import Match, side_score


class Skill(Struct, frozen=True, kw_only=True):
    """openskill's Plackett-Luce rating with its defaults; `ordinal` is mu - 3 sigma."""

    mu: float
    sigma: float
    ordinal: float


def skills(matches: Sequence[Match]) -> dict[str, Skill]:
    """By player, from the matches in this order that have more than two sides and nobody in two
    seats; empty where there is none, or openskill is not installed."""
    many = [match for match in matches if len(match.sides) > 2 and _all_differ(match)]
    if not many:
        return {}
    try:
        from openskill.models import PlackettLuce  # noqa: PLC0415 - an extra
    except ImportError:
        return {}
    model = PlackettLuce()
    found: dict[str, Any] = {}
    for match in many:
        sides = [[player.id for player in side] for side in match.sides]
        before = [[found.get(each) or model.rating() for each in side] for side in sides]
        scores = [side_score(side) for side in match.sides]
        after = model.rate(before, scores=scores)
        for side, ratings in zip(sides, after, strict=True):
            found.update(zip(side, ratings, strict=True))
    return {
        player: Skill(
            mu=round(each.mu, 3), sigma=round(each.sigma, 3), ordinal=round(each.ordinal(), 3)
        )
        for player, each in found.items()
    }


def _all_differ(match: Match) -> bool:
    return len({player.id for player in match.players}) == len(match.players)
