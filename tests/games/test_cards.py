from __future__ import annotations

import pyspiel

from arena_tui.games.boards import board_text, draw_board
from arena_tui.games.cards import chance_text


def after(game: str, *actions: int) -> pyspiel.State:
    state = pyspiel.load_game(game).new_initial_state()
    for action in actions:
        state.apply_action(action)
    return state


def test_kuhn_poker_shows_cards_pot_and_bets():
    assert board_text(after("kuhn_poker", 0, 2, 0, 1)) == "p0  J\np1  K\npot 3\npass bet"


def test_kuhn_poker_with_three_players_has_aces_too():
    state = after("kuhn_poker(players=3)", 3, 0, 1)

    assert board_text(state) == "p0  A\np1  J\np2  Q\npot 3"


def test_leduc_poker_hides_the_public_card_until_it_is_dealt():
    state = after("leduc_poker", 0, 5, 1, 1)

    assert board_text(state) == "\n".join(
        ["public  ?    pot 2", "p0      J     99", "p1      K     99", "round 1  call call"]
    )

    state.apply_action(3)
    state.apply_action(2)

    assert board_text(state) == "\n".join(
        [
            "public  Q    pot 6",
            "p0      J     95",
            "p1      K     99",
            "round 1  call call",
            "round 2  raise",
        ]
    )


HEARTS = """\
Pass Direction: Left

        S JT4
        H 9
        D KJ953
        C 873
S A9            S K763
H KQ5           H AJ43
D Q82           D 74
C T65           C AK
        S Q85
        H T8762
        D AT6
        C 4

Tricks:
N  E  S  W  N  E  S
      2C QC 9C JC \n\
         2S TS

Points:
N: 0
E: 13
S: 0
W: -1
"""


def test_hearts_shows_hands_points_and_the_trick():
    assert draw_board("hearts", HEARTS) == "\n".join(
        [
            "N  0  S JT4  H 9  D KJ953  C 873",
            "E 13  S K763  H AJ43  D 74  C AK",
            "S  0  S Q85  H T8762  D AT6  C 4",
            "W -1  S A9  H KQ5  D Q82  C T65",
            "trick  W 2S  N TS",
        ]
    )


def test_hearts_tells_which_way_cards_are_passed():
    text = HEARTS.partition("\nTricks:")[0]

    assert draw_board("hearts", text).splitlines()[-1] == "pass   left"


def test_spades_shows_tricks_of_bids():
    text = HEARTS.partition("\nTricks:")[0].partition("\n\n")[2]
    text += "\nNorth East  South  West\n6     2     5     2\n\nN  E  S  W  N  E  S\nH6 HQ H5 H2\n"
    text += "\nTricks taken:\n\nNorth East  South  West\n0     1     0     0\n"

    lines = draw_board("spades", text).splitlines()

    assert lines[1] == "E 1/2  S K763  H AJ43  D 74  C AK"
    assert lines[4] == "trick  N H6  E HQ  S H5  W H2"


def test_liars_dice_shows_dice_and_bids():
    assert draw_board("liars_dice", "1 6 1-2 2-1 Liar") == "p0  1\np1  6\nbids 1-2 2-1 Liar"


def test_a_matrix_game_shows_its_payoffs_and_then_what_was_played():
    state = pyspiel.load_game("matrix_pd").new_initial_state()

    assert board_text(state) == "\n".join(
        [
            "           Cooperate  Defect",
            "Cooperate        5,5    0,10",
            "   Defect       10,0     1,1",
        ]
    )

    state.apply_actions([0, 1])

    assert board_text(state) == " 5,5  [0,10]\n10,0     1,1"


def test_chance_is_told_in_few_words():
    assert chance_text("backgammon", "chance outcome 27 (roll: 64)") == "rolled 6 4"
    assert (
        chance_text("backgammon", "chance outcome 4 X starts, (roll: 41)") == "X starts, rolled 4 1"
    )
    assert chance_text("kuhn_poker", "Deal:2") == "dealt K"
    assert chance_text("leduc_poker", "Chance outcome:3") == "dealt Q"
    assert chance_text("universal_poker", "player=-1 move=Deal 2s") == "Deal 2s"
    assert chance_text("gin_rummy", "Chance outcome: 7s") == "7s"
    assert chance_text("hanabi", "(Deal R3)") == "Deal R3"
    assert chance_text("2048", "2 added to row 1, column 3") == "2 added to row 1, column 3"
