from __future__ import annotations

import subprocess
import sys

import pyspiel
import pytest

from arena_tui.games.mcts import SearchAgent, make_mcts
from arena_tui.games.open_loop import OpenLoopAgent
from arena_tui.games.spiel import load_game

EXIT_WHILE_SEARCHING = """
import functools, threading
from arena_tui.producers.run import Run
from arena_tui.games.play import Player
from arena_tui.games.specs import GameSpec

begun = threading.Event()
emit = lambda run_id, event: begun.set() if event.kind == "observation" else None
Player(GameSpec.parse("chess mcts:1000000"), functools.partial(Run, emit)).start()
begun.wait(30)
"""


def test_a_process_may_exit_in_the_middle_of_a_search():
    """C++ code still running while the process takes itself down is a segmentation fault."""
    command = [sys.executable, "-c", EXIT_WHILE_SEARCHING]

    assert subprocess.run(command, check=False, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("game", "search"),
    [
        ("connect_four", SearchAgent),
        ("backgammon", SearchAgent),
        ("leduc_poker", OpenLoopAgent),
        ("2048", OpenLoopAgent),
    ],
)
def test_each_kind_of_game_has_its_search(game: str, search: type):
    assert isinstance(make_mcts(load_game(game), 10, seed=1), search)


def test_several_trees_vote_for_the_win_at_hand(monkeypatch: pytest.MonkeyPatch):
    loaded, trees = load_game("connect_four"), []

    class Counted(pyspiel.MCTSBot):
        def step(self, state) -> int:
            trees.append(state)
            return super().step(state)

    monkeypatch.setattr(pyspiel, "MCTSBot", Counted)
    state = loaded.rules.new_initial_state()
    for column in (3, 0, 3, 0, 3, 1):
        state.apply_action(column)
    agent = SearchAgent(loaded, 30_000, seed=1)

    assert agent.name == "mcts:30000"
    assert agent.choose(state, 0) == 3
    assert len(trees) > 1


def test_a_game_that_is_over_is_refused_not_searched():
    """Handed to C++, such a position is a segmentation fault."""
    loaded = load_game("connect_four")
    state = loaded.rules.new_initial_state()
    for column in (3, 0, 3, 0, 3, 0, 3):
        state.apply_action(column)

    with pytest.raises(ValueError, match="nothing to choose from"):
        SearchAgent(loaded, 10, seed=1).choose(state, 0)


class Broken:
    def step(self, state) -> int:
        raise RuntimeError("out of memory")


def test_a_failing_search_raises_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pyspiel, "MCTSBot", lambda *_: Broken())
    loaded = load_game("connect_four")

    with pytest.raises(RuntimeError, match="out of memory"):
        SearchAgent(loaded, 10, seed=1).choose(loaded.rules.new_initial_state(), 0)
