from __future__ import annotations

import importlib
import subprocess
import sys
from contextlib import suppress

import pyspiel
import pytest

from arena_tui.errors import MissingExtraError, UsageError
from arena_tui.games.spiel import load_game, serialize


def test_over_a_hundred_games_can_be_played():
    playable = []
    for name in pyspiel.registered_names():
        with suppress(UsageError):
            playable.append(load_game(name).facts.name)

    assert len(playable) >= 100


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("conect_four", "did you mean connect_four"),
        ("", "no game given"),
        ("mfg_garnet", "mean-field"),
        ("crossword", "actions cannot be listed"),
        ("misere", "it needs parameters .game.: write them in brackets"),
        ("hex(colour=3)", "Unknown parameter 'colour'"),
        ("kuhn_poker(players=99)", "open_spiel demands num_players_ <= .*: try other values"),
        ("mnk(m=0)", "over before it begins"),
        ("pig(diceoutcomes=0)", "nobody can move"),
        ("hex(board_size=7", "Missing closing bracket"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_one_line(text: str, complaint: str):
    with pytest.raises(UsageError, match=complaint) as error:
        load_game(text)

    assert "\n" not in str(error.value)


def test_parameters_that_crash_the_process_are_refused():
    """Loaded here, this one is a segmentation fault."""
    with pytest.raises(UsageError, match="these parameters crash open_spiel"):
        load_game("connect_four(rows=0)")


def test_the_number_of_agents_sets_the_number_of_players_where_it_may():
    assert load_game("kuhn_poker", 3).facts.players == 3
    assert load_game("kuhn_poker", 2).facts.players == 2
    assert load_game("kuhn_poker(players=3)", 1).facts.players == 3
    with pytest.raises(UsageError, match="hearts does not have 3 players: give it 4 agents"):
        load_game("hearts", 3)
    with pytest.raises(UsageError, match=r"kuhn_poker\(players=3\) does not have 2 players"):
        load_game("kuhn_poker(players=3)", 2)


def test_games_that_draw_their_own_chance_follow_the_seed():
    def deal(seed: int) -> str:
        state = load_game("tarok", seed=seed).rules.new_initial_state()
        state.apply_action(0)
        return "".join(state.information_state_string(player) for player in range(3))

    assert deal(1) == deal(1)
    assert deal(1) != deal(2)


def test_a_serialised_position_can_be_read_back():
    game = load_game("connect_four")
    state = game.rules.new_initial_state()
    state.apply_action(3)

    text = serialize(game.rules, state)

    assert text is not None
    _, again = pyspiel.deserialize_game_and_state(text)
    assert str(again) == str(state)


def test_without_open_spiel_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)

    with pytest.raises(MissingExtraError, match=r'pip install "arena-tui\[games\]"'):
        load_game("chess")


@pytest.mark.parametrize("module", ["play", "open_spiel", "agents", "boards", "synth", "specs"])
def test_importing_does_not_load_pyspiel(module: str):
    code = f"import sys, arena_tui.games.{module}; sys.exit('pyspiel' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
