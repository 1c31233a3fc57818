from __future__ import annotations

import threading

import pyspiel
import pytest

from arena_tui.errors import UsageError
from arena_tui.games.agents import AgentSpec, make_agent, parse_agent
from arena_tui.games.protocol import AgentClosedError
from arena_tui.games.spiel import load_game


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("random", AgentSpec(kind="random")),
        ("mcts", AgentSpec(kind="mcts", amount=200)),
        ("mcts:50", AgentSpec(kind="mcts", amount=50)),
        ("minimax", AgentSpec(kind="minimax", amount=4)),
        ("minimax:2", AgentSpec(kind="minimax", amount=2)),
        ("uci", AgentSpec(kind="uci")),
        ("uci:/opt/my engine", AgentSpec(kind="uci", path="/opt/my engine")),
    ],
)
def test_specs_are_parsed(text: str, spec: AgentSpec):
    assert parse_agent(text) == spec


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no agent ''"),
        ("gpt", "no agent 'gpt'"),
        ("mcts:", "nothing after the colon"),
        ("mcts:0", "must be 1 to 1,000,000"),
        ("mcts:many", "must be 1 to 1,000,000"),
        ("mcts:٣", "must be 1 to 1,000,000"),
        ("mcts:99999999999999999999", "must be 1 to 1,000,000"),
        ("minimax:-1", "must be 1 to 64"),
        ("random:3", "takes no number"),
    ],
)
def test_a_bad_spec_is_told_in_one_line(text: str, complaint: str):
    with pytest.raises(UsageError, match=complaint) as error:
        parse_agent(text)

    assert "\n" not in str(error.value)
    assert "write" in str(error.value)


@pytest.mark.parametrize(
    ("game", "agent"),
    [
        ("matrix_rps", "mcts"),
        ("matrix_rps", "minimax"),
        ("kuhn_poker", "minimax"),
        ("backgammon", "minimax"),
        ("2048", "minimax"),
        ("battleship", "mcts"),
        ("bridge", "mcts"),
    ],
)
def test_an_agent_that_does_not_apply_names_one_that_does(game: str, agent: str):
    with pytest.raises(UsageError, match=f"does not apply to {game}.*use .*random"):
        make_agent(parse_agent(agent), load_game(game), seed=1)


@pytest.mark.parametrize(
    ("game", "agent"),
    [
        ("connect_four", "random"),
        ("connect_four", "mcts:50"),
        ("connect_four", "minimax:2"),
        ("othello", "minimax:1"),
        ("leduc_poker", "mcts:50"),
        ("hearts", "mcts:10"),
        ("2048", "mcts:10"),
    ],
)
def test_same_seed_same_choices(game: str, agent: str):
    def choices(seed: int) -> list[int]:
        loaded = load_game(game)
        state = loaded.rules.new_initial_state()
        player = make_agent(parse_agent(agent), loaded, seed)
        chosen = []
        while len(chosen) < 12 and not state.is_terminal():
            if state.is_chance_node():
                state.apply_action(state.chance_outcomes()[0][0])
            else:
                chosen.append(player.choose(state, state.current_player()))
                state.apply_action(chosen[-1])
        return chosen

    first = choices(7)

    assert choices(7) == first
    assert any(choices(seed) != first for seed in range(8, 16))


@pytest.mark.parametrize("agent", ["mcts:2000", "minimax:3"])
def test_a_search_takes_the_win_at_hand(agent: str):
    loaded = load_game("tic_tac_toe")
    state = loaded.rules.new_initial_state()
    for action in (0, 3, 1, 4):
        state.apply_action(action)

    assert make_agent(parse_agent(agent), loaded, seed=3).choose(state, 0) == 2


def test_a_search_of_hidden_information_does_not_peek():
    """With the lowest card against a bet, calling only pays for those who see the other card."""
    loaded = load_game("kuhn_poker")
    agent = make_agent(parse_agent("mcts:300"), loaded, seed=5)
    folded = []
    for other in (1, 2):
        state = loaded.rules.new_initial_state()
        for action in (other, 0, 1):
            state.apply_action(action)
        folded.append(agent.choose(state, 1))

    assert folded == [0, 0]


@pytest.mark.parametrize(
    ("game", "agent"),
    [
        ("chess", "random"),
        ("chess", "mcts:1000"),
        ("othello", "minimax:60"),
        ("hearts", "mcts:1000000"),
    ],
)
def test_a_closed_agent_leaves_its_search(game: str, agent: str):
    loaded = load_game(game)
    state = loaded.rules.new_initial_state()
    while state.is_chance_node():
        state.apply_action(state.chance_outcomes()[0][0])
    player = make_agent(parse_agent(agent), loaded, seed=1)
    raised: list[Exception] = []
    began = threading.Event()

    def search() -> None:
        began.set()
        try:
            while True:
                player.choose(state, state.current_player())
        except AgentClosedError as error:
            raised.append(error)

    thread = threading.Thread(target=search)
    thread.start()
    began.wait()
    player.close()
    player.close()
    thread.join(timeout=30)

    assert len(raised) == 1


def test_choosing_leaves_the_state_as_it_is():
    loaded = load_game("connect_four")
    state = loaded.rules.new_initial_state()
    before = str(state)

    for agent in ("random", "mcts:20", "minimax:2"):
        make_agent(parse_agent(agent), loaded, seed=1).choose(state, 0)

    assert str(state) == before
    assert isinstance(state, pyspiel.State)
