from __future__ import annotations

from arena_tui.games.agents import make_agent, parse_agent
from arena_tui.games.minimax import material_balance
from arena_tui.games.spiel import load_game


def test_material_counts_for_the_player_who_has_more():
    a_queen_up = "4k3/8/8/8/8/8/8/3QK3 w - - 0 1"

    white, black = (material_balance("chess", a_queen_up, player) for player in (1, 0))

    assert 0.5 < white < 1
    assert black == -white


def test_row_labels_are_no_pieces():
    even = "8.+......\n7........\n1o.......\n abcdefgh\n"

    assert material_balance("checkers", even, 0) == 0


def test_a_hanging_queen_is_taken():
    loaded = load_game("chess")
    state = loaded.rules.new_initial_state()
    for move in ("e4", "e5", "Qh5", "Nf6", "a3"):
        names = {
            state.action_to_string(state.current_player(), action): action
            for action in state.legal_actions()
        }
        state.apply_action(names[move])

    action = make_agent(parse_agent("minimax:1"), loaded, seed=1).choose(state, 0)

    assert state.action_to_string(0, action) == "Nxh5"


def test_perfect_play_of_tic_tac_toe_is_a_draw():
    loaded = load_game("tic_tac_toe")
    state = loaded.rules.new_initial_state()
    agents = [make_agent(parse_agent("minimax:9"), loaded, seed=2) for player in (0, 1)]

    while not state.is_terminal():
        player = state.current_player()
        state.apply_action(agents[player].choose(state, player))

    assert state.returns() == [0.0, 0.0]
