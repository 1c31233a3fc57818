"""Matches of players whose strengths are known, from the models that ratings assume."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from arena_tui.folds.matches import Contender
from arena_tui.folds.ratings import POINTS, Match

START = datetime(2026, 3, 1, tzinfo=UTC)


def match(number: int, scores: Mapping[str, float], game: str = "chess") -> Match:
    """A finished match with these scores, in the order of the players."""
    players = tuple(Contender(id=player, score=score) for player, score in scores.items())
    return Match(
        run_id=f"run-{number:05}", game=game, status="finished", players=players,
        started_at=START + timedelta(minutes=number),
    )  # fmt: skip


def strengths(rng: random.Random, players: int, sd_points: float = 180) -> dict[str, float]:
    """Points around 1,500, normally distributed; exactly 1,500 on average."""
    drawn = [rng.gauss(0, sd_points) for _ in range(players)]
    mean = sum(drawn) / players
    return {f"p{number}": 1500 + each - mean for number, each in enumerate(drawn)}


def pairs(
    rng: random.Random, truth: Mapping[str, float], rounds: int, advantage: float, draws: float
) -> Iterator[Match]:
    """Everybody against everybody, each first as often as second; `advantage` in points, `draws`
    as a weight: 1 makes a third of the games of equals draws."""
    number = 0
    for _ in range(rounds):
        for first in truth:
            for second in truth:
                if first != second:
                    half = (truth[first] - truth[second] + advantage) / POINTS / 2
                    weights = [math.exp(half), draws, math.exp(-half)]
                    (score,) = rng.choices([1.0, 0.0, -1.0], weights)
                    yield match(number, {first: score, second: -score})
                    number += 1


def fours(rng: random.Random, truth: Mapping[str, float], matches: int) -> Iterator[Match]:
    """Four of the players at a time."""
    for number in range(matches):
        seats: Sequence[str] = rng.sample(sorted(truth), 4)
        shown = {
            player: truth[player] / POINTS - math.log(-math.log(rng.random())) for player in seats
        }
        yield match(number, shown, "hearts")
