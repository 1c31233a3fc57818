"""Who stands where after which games."""

from __future__ import annotations

from arena_tui.folds.standings import Game, Record, order_is_settled, standings


def game(index: int, agents: str, *scores: float | None, status="finished", **fields) -> Game:
    return Game(index=index, run_id=f"r{index}", game="g", agents=tuple(agents.split()),
                scores=scores, status=status, **fields)  # fmt: skip


def test_each_agent_has_its_games_from_its_own_side():
    table = standings("ab", [game(0, "a b", 1, -1), game(1, "b a", 0, 0), game(2, "b a", 5, 9)])

    (first, second) = table.rows
    assert (first.agent, first.record, first.record.score) == ("a", Record(wins=2, draws=1), 2.5)
    assert (second.agent, second.record) == ("b", Record(draws=1, losses=2))
    assert first.against == {"b": first.record}


def test_of_more_than_two_players_each_pair_counts():
    table = standings("abc", [game(0, "a b c", 3, 2, 2)])

    assert [(row.agent, str(row.record)) for row in table.rows] == [
        ("a", "2–0–0"), ("b", "0–1–1"), ("c", "0–1–1"),
    ]  # fmt: skip
    assert str(table.rows[1].against["c"]) == "0–1–0"


def test_a_game_that_crashed_or_was_stopped_is_neither_won_nor_lost():
    table = standings(
        "ab", [game(0, "a b", None, None, status="crashed"), game(1, "b a", 1, 0, status="stopped")]
    )

    assert (table.finished, table.crashed, table.stopped, table.games) == (0, 1, 1, 2)
    for row in table.rows:
        assert (row.games, row.crashed, row.stopped, row.record) == (2, 1, 1, Record())
        assert (row.place, row.rating) == (1, None)


def test_a_draw_leaves_both_in_one_place_in_the_order_given():
    table = standings("ba", [game(0, "a b", 0, 0)])

    assert [(row.place, row.agent) for row in table.rows] == [(1, "b"), (1, "a")]


def test_cost_is_unknown_until_a_game_tells_some_and_play_adds_up():
    assert standings("ab", [game(0, "a b", 1, 0, duration_s=2.0)]).cost_usd is None

    table = standings(
        "ab", [game(0, "a b", 1, 0, cost_usd=0.5, duration_s=2.0), game(1, "b a", 1, 0)]
    )

    assert (table.cost_usd, table.play_s) == (0.5, 2.0)


def test_few_games_settle_nothing_and_many_one_sided_ones_do():
    def won(count: int) -> list[Game]:
        return [game(each, "a b", 1, -1) for each in range(count)]

    assert not order_is_settled(won(1))
    assert order_is_settled(won(60))
    assert standings("ab", won(60)).settled
    assert [(pair.better, pair.worse) for pair in standings("ab", won(1)).unsettled] == [("a", "b")]
