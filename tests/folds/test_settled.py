"""When the order of players is sure for somebody who looks after every round."""

from __future__ import annotations

import random

import pytest

from arena_tui.folds.matches import Match
from arena_tui.folds.ratings import rate
from arena_tui.folds.settled import unsettled
from tests.faults.accounts import FULL
from tests.folds.simulated import match, pairs

TOURNAMENTS = 300 if FULL else 40
ROUNDS = 40 if FULL else 20
"""Of two players; of three, half as many."""
WRONG_MAX = 0.08 if FULL else 0.075
"""At most 5 % are promised; chance moves the share of 300 by 1.3 %. Intervals that may be looked at
once would be wrong in about 20 %, and in 10 % of the 40 short tournaments."""


def won(count: int, of: int, change_seats: bool = True) -> list[Match]:
    """Games of a and b, of which a wins so many."""
    return [
        match(n, {"a": s, "b": -s} if n % 2 or not change_seats else {"b": -s, "a": s})
        for n, s in enumerate([1.0] * count + [-1.0] * (of - count))
    ]


def is_settled(matches: list[Match]) -> bool:
    return not list(unsettled(rate(matches).overall, matches))


@pytest.mark.parametrize(
    ("players", "rounds", "draws"), [(2, ROUNDS, 0.0), (2, ROUNDS, 1.0), (3, ROUNDS // 2, 0.0)]
)
def test_equals_are_rarely_told_apart_however_often_one_looks(
    players: int, rounds: int, draws: float
) -> None:
    rng = random.Random(11)
    equals = {f"p{number}": 1500.0 for number in range(players)}
    wrong = 0
    for _ in range(TOURNAMENTS):
        games = list(pairs(rng, equals, rounds, 50.0, draws))
        of_a_round = players * (players - 1)
        looks = range(of_a_round, len(games) + 1, of_a_round)
        wrong += any(is_settled(games[:look]) for look in looks)

    assert wrong / TOURNAMENTS <= WRONG_MAX


def test_who_wins_every_game_is_surely_better_after_a_few() -> None:
    assert not is_settled(won(4, 4))
    assert is_settled(won(8, 8))


def test_moving_first_explains_what_seats_that_never_changed_show() -> None:
    assert not is_settled(won(10, 10, change_seats=False))


def test_the_forecast_is_about_as_many_games_as_it_takes() -> None:
    few = won(24, 40)
    (pair,) = unsettled(rate(few).overall, few)
    assert pair.more_games is not None
    half, all_of_them = (40 + round(pair.more_games * share) for share in (0.5, 1.2))

    assert not is_settled(won(round(half * 0.6), half))
    assert is_settled(won(round(all_of_them * 0.6), all_of_them))


def test_players_whom_no_game_links_are_never_told_apart() -> None:
    apart = [match(n, {"a": 1, "b": 0}) for n in range(20)]
    apart += [match(20 + n, {"c": 1, "d": 0}) for n in range(20)]

    found = {
        frozenset((each.better, each.worse)): each for each in unsettled(rate(apart).overall, apart)
    }

    assert found[frozenset("ac")].more_games is None
