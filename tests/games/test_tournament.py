"""What can be asked for as a tournament, and what is refused in one line."""

from __future__ import annotations

import pytest

from arena_tui.errors import UsageError
from arena_tui.games.schedule import Table
from arena_tui.games.tournament import TournamentSpec, check_tournament, games_in


def spec(**fields) -> TournamentSpec:
    return TournamentSpec(
        **{"games": ("tic_tac_toe",), "agents": ("random", "mcts:5"), "seed": 7} | fields
    )


def test_a_text_says_all_that_can_be_asked_for():
    parsed = TournamentSpec.parse(
        "tournament hex(board_size=3),tic_tac_toe mcts:5 random rounds=4 parallel=2 seed=9 "
        "max_turns=50 delay=0.5 label=cup settled new"
    )

    assert parsed == TournamentSpec(
        games=("hex(board_size=3)", "tic_tac_toe"), agents=("mcts:5", "random"), rounds=4,
        parallel=2, seed=9, max_turns=50, delay_s=0.5, label="cup", until_settled=True, new=True,
    )  # fmt: skip


def test_commas_in_brackets_belong_to_the_game():
    assert games_in("go(board_size=9,komi=6.5),hex") == ("go(board_size=9,komi=6.5)", "hex")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"agents": ("random",)}, "a tournament needs two agents or more"),
        ({"agents": ()}, "a tournament needs two agents or more"),
        ({"agents": ("random", "mcts:5", "random")}, "random is listed twice"),
        ({"agents": ("mcts", "mcts:200")}, "mcts is listed twice"),
        ({"games": ("chess", "chess")}, "chess is listed twice"),
        ({"rounds": 0}, "rounds must be 1 to 1,000,000, not 0"),
        ({"seed": 10**30}, "seed must have 18 digits at most"),
        ({"parallel": 0}, "parallel must be 1 to 1,000,000, not 0"),
        ({"agents": ("random", "genius")}, "no agent 'genius'"),
        ({"delay_s": float("nan")}, "delay must be a number from 0"),
    ],
)
def test_what_is_no_tournament_is_refused(fields, why: str):
    with pytest.raises(UsageError, match=why):
        spec(**fields)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tournament", "no game given"),
        ("tournament chess random mcts:5 games=4", "a tournament has no option games"),
        ("tournament chess random mcts:5 rounds=many", "give a number"),
        ("tournament chess random mcts:5 --rounds 4", "arena-tui tournament: write rounds=4"),
    ],
)
def test_a_text_that_is_none_is_refused(text: str, why: str):
    with pytest.raises(UsageError, match=why):
        TournamentSpec.parse(text)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"games": ("tic_tac_to",)}, "did you mean tic_tac_toe"),
        ({"games": ("2048",)}, "2048 has one player"),
        ({"games": ("hearts",)}, "hearts has 4 players: give it 4 agents or more, not 2"),
        ({"agents": ("random", "minimax:2"), "games": ("tic_tac_toe", "kuhn_poker")}, "minimax"),
        ({"agents": ("random", "mcts:5", "minimax:2"), "games": ("kuhn_poker",)}, "minimax"),
        ({"rounds": 500_001}, "more than 1,000,000 games"),
    ],
)
def test_what_cannot_be_played_is_refused_before_anything_is(fields, why: str):
    with pytest.raises(UsageError, match=why):
        check_tournament(spec(**fields))


def test_a_game_has_as_many_seats_as_its_rules_say():
    agents = ("random", "mcts:5", "mcts:6")
    found = check_tournament(spec(games=("kuhn_poker(players=3)", "tic_tac_toe"), agents=agents))

    assert found == (
        Table(game="kuhn_poker(players=3)", seats=3),
        Table(game="tic_tac_toe", seats=2),
    )


def test_more_rounds_or_games_at_a_time_are_the_same_tournament():
    same = spec(rounds=9, parallel=4, delay_s=1.0, until_settled=True, new=True)

    assert same.entry == spec().entry


@pytest.mark.parametrize(
    "fields",
    [
        {"agents": ("mcts:5", "random")},
        {"games": ("connect_four",)},
        {"seed": 8},
        {"seed": None},
        {"max_turns": 5},
        {"label": "cup"},
    ],
)
def test_other_agents_games_seeds_or_labels_are_another_tournament(fields):
    assert spec(**fields).entry != spec().entry
