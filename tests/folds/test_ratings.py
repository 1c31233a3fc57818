"""What ratings say, of whom, and how sure that is."""

from __future__ import annotations

import math
import random

import msgspec
import pytest

from arena_tui.folds.matches import Contender
from arena_tui.folds.ratings import Match, Record, rate
from tests.folds.simulated import match, pairs, strengths


def series(first: str, second: str, wins: int, draws: int, losses: int, at: int = 0) -> list[Match]:
    """Games of two, in which both are first equally often."""
    scores = [1.0] * wins + [0.0] * draws + [-1.0] * losses
    return [
        match(at + n, {first: score, second: -score} if n % 2 else {second: -score, first: score})
        for n, score in enumerate(scores)
    ]


def test_without_matches_there_is_nothing_to_rate() -> None:
    found = rate([]).overall

    assert found.rows == ()
    assert not found.settled


def test_the_mean_of_all_players_is_1500() -> None:
    rng = random.Random(3)
    table = rate(pairs(rng, strengths(rng, 5), 4, 30, 0.5)).overall

    mean = sum(row.rating or 0 for row in table.rows) / len(table.rows)
    assert mean == pytest.approx(1500, abs=0.1)


def test_points_are_elos_where_there_is_much_to_go_by() -> None:
    """Three wins to one are odds of 3: 400 log10 3 = 191 points."""
    (pair,) = rate(series("a", "b", 3000, 0, 1000)).overall.pairs

    assert pair.difference == pytest.approx(400 * math.log10(3), abs=1)


def test_a_draw_says_that_players_are_equal() -> None:
    (pair,) = rate(series("a", "b", 0, 20, 0)).overall.pairs

    assert pair.difference == 0
    assert pair.more_games is None


def test_who_has_only_won_is_rated_finitely_and_not_surely() -> None:
    table = rate(series("a", "b", 10, 0, 0)).overall
    best = table.rows[0]

    assert best.player == "a"
    assert best.rating is not None
    assert best.low is not None
    assert best.high is not None
    assert 1500 < best.rating < 2500
    assert best.high - best.low > 300
    assert table.settled


def test_the_same_matches_in_any_order_give_the_same_bytes() -> None:
    rng = random.Random(4)
    matches = list(pairs(rng, strengths(rng, 5), 2, 30, 0.5))
    matches += [match(900 + n, {f"p{i}": rng.random() for i in range(4)}, "hearts")
                for n in range(9)]  # fmt: skip
    first = msgspec.json.encode(rate(matches))
    rng.shuffle(matches)

    assert msgspec.json.encode(rate(matches)) == first


def test_a_small_difference_is_not_real_yet_and_says_how_many_games_it_takes() -> None:
    few = rate(series("a", "b", 12, 0, 8)).overall
    (pair,) = few.unsettled
    assert pair.more_games is not None
    enough = 20 + pair.more_games

    many = rate(series("a", "b", round(enough * 0.62), 0, round(enough * 0.38))).overall

    assert not few.settled
    assert many.settled


def test_players_whom_no_game_links_are_not_compared() -> None:
    table = rate([*series("a", "b", 5, 0, 1), *series("c", "d", 5, 0, 1, at=50)]).overall

    linked = {frozenset((pair.better, pair.worse)): pair.linked for pair in table.pairs}
    assert linked.pop(frozenset("ac")) is False
    assert not table.settled
    assert all(pair.more_games is None for pair in table.pairs if not pair.linked)


def test_results_and_opponents_are_counted() -> None:
    table = rate([*series("a", "b", 3, 2, 1), *series("a", "c", 0, 0, 2, at=50)]).overall
    rows = {row.player: row for row in table.rows}

    assert (rows["a"].wins, rows["a"].draws, rows["a"].losses, rows["a"].games) == (3, 2, 3, 8)
    assert rows["a"].against == {
        "b": Record(wins=3, draws=2, losses=1), "c": Record(losses=2)
    }  # fmt: skip
    assert rows["c"].against == {"a": Record(wins=2)}


def test_of_four_one_wins_and_each_is_compared_with_each() -> None:
    table = rate([match(1, {"a": 3, "b": 2, "c": 2, "d": 0}, "hearts")]).overall
    rows = {row.player: row for row in table.rows}

    assert [(rows[each].wins, rows[each].losses) for each in "abcd"] == [(1, 0)] + [(0, 1)] * 3
    assert rows["b"].against["c"] == Record(draws=1)
    assert rows["b"].against["d"] == Record(wins=1)
    assert rows["b"].rating == rows["c"].rating


def test_who_shares_a_place_is_rated_as_by_both_orders_equally_often() -> None:
    level = [match(n, {"a": 2, "b": 2, "c": 1, "d": 0}, "hearts") for n in range(20)]
    orders = [
        match(n, {"a": 2 + n % 2, "b": 3 - n % 2, "c": 1, "d": 0}, "hearts") for n in range(20)
    ]

    by_level = {row.player: row.rating for row in rate(level).overall.rows}
    by_orders = {row.player: row.rating for row in rate(orders).overall.rows}

    assert by_level == pytest.approx(by_orders, abs=5)


def test_who_shares_the_last_place_is_brought_together() -> None:
    decided = [match(n, {"a": 3, "b": 2, "c": 1}) for n in range(6)]
    shared = [match(10 + n, {"a": 3, "b": 1, "c": 1}) for n in range(30)]

    def apart(matches: list[Match]) -> float:
        ratings = {row.player: row.rating or 0 for row in rate(matches).overall.rows}
        return ratings["b"] - ratings["c"]

    assert 0 < apart(decided + shared) < apart(decided) / 2


def test_team_mates_rise_together_and_are_no_opponents() -> None:
    players = tuple(
        Contender(id=each, team=team, score=score)
        for each, team, score in [
            ("a", "red", 1),
            ("b", "red", 1),
            ("c", "blue", 0),
            ("d", "blue", 0),
        ]
    )
    table = rate(
        Match(run_id=f"{n}", game="bridge", status="finished", players=players) for n in range(3)
    ).overall
    rows = {row.player: row for row in table.rows}

    assert rows["a"].rating == rows["b"].rating
    assert (rows["a"].rating or 0) > (rows["c"].rating or 0)
    assert set(rows["a"].against) == {"c", "d"}


def test_the_first_has_no_advantage_to_tell_where_nobody_changes_seats() -> None:
    fixed = [match(n, {"a": 1.0, "b": -1.0}) for n in range(9)]

    assert rate(fixed).overall.advantages == ()
    assert rate([*fixed, match(10, {"b": 1.0, "a": -1.0})]).overall.advantages != ()


def test_a_mirror_match_tells_the_advantage_and_no_strength() -> None:
    mirror = tuple(Contender(id="a", score=score) for score in (1.0, -1.0))
    games = [Match(run_id=f"{n}", game="go", status="finished", players=mirror) for n in range(20)]
    table = rate(games).overall

    assert table.advantages[0].low > 0
    assert (table.rows[0].rating, table.rows[0].games, table.rows[0].runs) == (1500, 0, 20)


def test_crashed_runs_count_as_crashed_and_not_as_lost() -> None:
    crash = msgspec.structs.replace(match(90, {"a": 1, "b": 0}), status="crashed")
    table = rate([*series("a", "b", 2, 0, 0), crash]).overall

    assert (table.matches, table.crashed) == (2, 1)
    assert (table.rows[0].runs, table.rows[0].crashed, table.rows[0].games) == (3, 1, 2)


def test_openskill_is_given_beside_the_rating_of_games_of_many() -> None:
    table = rate(match(n, {"a": 3, "b": 2, "c": 1}, "hearts") for n in range(5)).overall
    pytest.importorskip("openskill")
    skills = [row.skill for row in table.rows]

    assert [skill.ordinal for skill in skills if skill] == sorted(
        (skill.ordinal for skill in skills if skill), reverse=True
    )
    assert len([skill for skill in skills if skill]) == 3
    assert rate(series("a", "b", 2, 0, 1)).overall.rows[0].skill is None
