from __future__ import annotations

import unicodedata

import pyspiel
import pytest

from arena_tui.games.boards import board_text, draw_board, seat_names


def after(game: str, *actions: str) -> pyspiel.State:
    """The position after actions given by name, chance's included."""
    state = pyspiel.load_game(game).new_initial_state()
    for name in actions:
        player = state.current_player()
        legal = {state.action_to_string(player, action): action for action in state.legal_actions()}
        state.apply_action(legal[name])
    return state


def test_tic_tac_toe_is_three_rows_of_cells():
    state = after("tic_tac_toe", "x(1,1)", "o(0,0)", "x(0,2)")

    assert board_text(state) == "o · x\n· x ·\n· · ·"


def test_connect_four_numbers_its_columns():
    state = after("connect_four", "x3", "o3", "x2")

    assert board_text(state) == "\n".join(
        [
            "· · · · · · ·",
            "· · · · · · ·",
            "· · · · · · ·",
            "· · · · · · ·",
            "· · · o · · ·",
            "· · x x · · ·",
            "0 1 2 3 4 5 6",
        ]
    )


def test_chess_is_drawn_from_its_fen():
    state = after("chess", "e4", "c5", "Nf3")

    assert board_text(state) == "\n".join(
        [
            "8 r n b q k b n r",
            "7 p p · p p p p p",
            "6 · · · · · · · ·",
            "5 · · p · · · · ·",
            "4 · · · · P · · ·",
            "3 · · · · · N · ·",
            "2 P P P P · P P P",
            "1 R N B Q K B · R",
            "  a b c d e f g h",
        ]
    )


def test_crazyhouse_shows_pieces_in_hand():
    text = "rnb1kbnr/ppp1pppp/8/3q~4/8/8/PPPP1PPP/RNBQKBNR[Pp] w KQkq - 0 3"

    board = draw_board("crazyhouse", text)

    assert board.splitlines()[3] == "5 · · · q · · · ·"
    assert board.splitlines()[-1] == "in hand P p"


def test_othello_counts_the_discs():
    state = after("othello", "d3", "c5")

    assert board_text(state) == "\n".join(
        [
            "  a b c d e f g h",
            "1 · · · · · · · ·",
            "2 · · · · · · · ·",
            "3 · · · x · · · ·",
            "4 · · · x x · · ·",
            "5 · · o o o · · ·",
            "6 · · · · · · · ·",
            "7 · · · · · · · ·",
            "8 · · · · · · · ·",
            "x 3  o 3",
        ]
    )


def test_breakthrough_labels_rows_and_columns():
    state = after("breakthrough(rows=4,columns=4)", "b4b3", "a1b2")

    assert board_text(state) == "\n".join(
        ["4 b · b b", "3 · b · ·", "2 · w · ·", "1 · w w w", "  a b c d"]
    )


def test_go_leaves_out_the_letter_i():
    state = after("go(board_size=9)", "B j9", "W a1")

    assert board_text(state).splitlines() == [
        "9 · · · · · · · · x",
        *(f"{row} · · · · · · · · ·" for row in range(8, 1, -1)),
        "1 o · · · · · · · ·",
        "  a b c d e f g h j",
    ]


def test_hex_leans_to_the_right():
    state = after("hex(board_size=4)", "b1", "c3")

    assert board_text(state) == "\n".join(
        ["  a b c d", "1 · x · ·", " 2 · · · ·", "  3 · · o ·", "   4 · · · ·"]
    )


def test_backgammon_shows_points_bar_dice_and_pieces_off():
    state = pyspiel.load_game("backgammon").new_initial_state()
    state.apply_action(27)

    assert board_text(state) == "\n".join(
        [
            "o · · · x · │ x · · · · o",
            "o       x   │ x         o",
            "o       x   │ x",
            "o           │ x",
            "o           │ x",
            "            │",
            "x           │ o",
            "x           │ o",
            "x       o   │ o",
            "x       o   │ o         x",
            "x · · · o · │ o · · · · x",
            "dice 4 6  bar -  off x 0 o 0",
        ]
    )


def test_2048_has_a_frame_and_empty_cells():
    text = (
        "    0    2    0    0\n    0    0   16    0\n    0    0    0    0\n 1024    0    0    4\n"
    )

    assert draw_board("2048", text) == "\n".join(
        [
            "┌────┬────┬────┬────┐",
            "│    │ 2  │    │    │",
            "├────┼────┼────┼────┤",
            "│    │    │ 16 │    │",
            "├────┼────┼────┼────┤",
            "│    │    │    │    │",
            "├────┼────┼────┼────┤",
            "│1024│    │    │ 4  │",
            "└────┴────┴────┴────┘",
        ]
    )


def test_ultimate_tic_tac_toe_sets_its_boards_apart():
    state = after("ultimate_tic_tac_toe", "Choose local board 4", "Local board 4: x(1,1)")

    lines = board_text(state).splitlines()

    assert lines[3] == "──────┼───────┼──────"
    assert lines[5] == "· · · │ · x · │ · · ·"


def test_shogi_labels_rows_and_columns_as_its_moves_do():
    state = after("shogi", "2g2f")

    lines = board_text(state).splitlines()

    assert lines[0] == " 9 8 7 6 5 4 3 2 1"
    assert lines[1] == " l n s g k g s n l a"
    assert lines[6] == " · · · · · · · P · f"


def test_a_game_without_a_drawing_keeps_its_text_tidied():
    text = "\n\x1b[91mHand\x1b[0m: ♠A 🂠 🃚  \n\n a . b\n\n"

    assert draw_board("some_game", text) == "Hand: SA ?? CT\n\n a · b"


def test_text_that_a_drawing_cannot_read_is_shown_as_it_is():
    assert draw_board("othello", "nothing like a board") == "  a b c d e f g h\nx 0  o 0"
    assert draw_board("leduc_poker", "not yet dealt") == "not yet dealt"
    assert draw_board("chess", "") == "(empty)"


def test_seats_have_the_names_that_boards_show():
    assert seat_names("connect_four", 2) == ["x", "o"]
    assert seat_names("chess", 2) == ["black", "white"]
    assert seat_names("hearts", 4) == ["N", "E", "S", "W"]
    assert seat_names("kuhn_poker", 3) == ["p0", "p1", "p2"]
    assert seat_names("2048", 1) == [""]


@pytest.mark.parametrize(
    "game",
    ["tic_tac_toe", "connect_four", "chess", "othello", "breakthrough", "go(board_size=9)",
     "hex(board_size=7)", "backgammon", "2048", "leduc_poker", "kuhn_poker", "hearts"],
)  # fmt: skip
def test_boards_fit_a_pane(game: str):
    state = pyspiel.load_game(game).new_initial_state()
    while not state.is_terminal():
        board = board_text(state)
        lines = board.splitlines()
        assert max(map(len, lines)) <= 40, board
        assert len(lines) <= 12, board
        assert not any(unicodedata.east_asian_width(sign) in "WF" for sign in board)
        actions = state.legal_actions()
        state.apply_action(actions[len(actions) // 2])
