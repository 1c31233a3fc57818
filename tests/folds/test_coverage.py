"""The intervals of ratings hold the truth about as often as they say: 95 of 100 times."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import pytest

from arena_tui.folds.ratings import Match, rate
from tests.folds.simulated import fours, pairs, strengths

FULL = bool(os.environ.get("ARENA_FULL"))
SERIES = 400 if FULL else 40
LEAST, MOST = (0.93, 0.985) if FULL else (0.90, 0.995)
"""Of 95 %. In the long version chance moves the share by 1 %; where matches are few, the prior
makes the intervals a little too wide (98 % of those from 12 games)."""

Play: TypeAlias = Callable[[random.Random, Mapping[str, float]], Iterable[Match]]

ADVANTAGE = 50.0
CASES: dict[str, tuple[int, Play]] = {
    "12 two-player games with draws": (4, lambda rng, truth: pairs(rng, truth, 1, ADVANTAGE, 1.0)),
    "36 two-player games with draws": (4, lambda rng, truth: pairs(rng, truth, 3, ADVANTAGE, 1.0)),
    "150 two-player games with draws": (6, lambda rng, truth: pairs(rng, truth, 5, ADVANTAGE, 1.0)),
    "60 two-player games without draws": (4, lambda rng, truth: pairs(rng, truth, 5, 0.0, 0.0)),
    "20 four-player games": (6, lambda rng, truth: fours(rng, truth, 20)),
    "100 four-player games": (6, lambda rng, truth: fours(rng, truth, 100)),
}


@pytest.mark.parametrize("name", CASES)
def test_intervals_hold_the_truth_about_95_times_of_100(name: str) -> None:
    players, play = CASES[name]
    rng = random.Random(name)
    held: list[bool] = []
    apart: list[bool] = []
    for _ in range(SERIES):
        truth = strengths(rng, players)
        table = rate(play(rng, truth)).overall
        for row in table.rows:
            assert row.low is not None
            assert row.high is not None
            held.append(row.low <= truth[row.player] <= row.high)
        for pair in table.pairs:
            real = truth[pair.better] - truth[pair.worse]
            apart.append(pair.low <= real <= pair.high)

    share, neighbours = sum(held) / len(held), sum(apart) / len(apart)
    assert LEAST <= share <= MOST, f"{share:.1%}"
    assert neighbours >= LEAST, f"{neighbours:.1%}"


def test_the_advantage_of_moving_first_is_held_by_its_interval() -> None:
    rng = random.Random(5)
    held = []
    for _ in range(SERIES):
        (found,) = rate(pairs(rng, strengths(rng, 4), 5, ADVANTAGE, 1.0)).overall.advantages
        held.append(found.low <= ADVANTAGE <= found.high)

    assert LEAST <= sum(held) / len(held) <= 1


def test_strong_players_stand_above_weak_ones() -> None:
    truth = {f"p{number}": 1900.0 - 160 * number for number in range(6)}

    two = rate(pairs(random.Random(1), truth, 30, ADVANTAGE, 1.0)).overall
    four = rate(fours(random.Random(2), truth, 800)).overall

    assert [row.player for row in two.rows] == list(truth)
    assert [row.player for row in four.rows] == list(truth)
    assert two.settled
    assert four.settled
