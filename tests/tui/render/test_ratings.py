"""Ratings as literal text."""

from __future__ import annotations

import pytest

from arena_tui.folds.openskills import Skill
from arena_tui.folds.ratings import Advantage, Pair, Record, Row, Standings
from arena_tui.tui.render.ratings import (
    cells,
    each_against_each,
    head_to_head,
    heading,
    interval_bar,
    movement,
    notes,
    unsettled,
)

ADA = Row(
    player="ada", rating=1700.4, low=1600.0, high=1800.0, games=20, wins=12, draws=3, losses=5,
    runs=21, crashed=1, actions=200, illegal=1, errors=4, cost_usd=0.021, tokens=18_200,
    latency_s=2.31, against={"bob": Record(wins=10, losses=5), "cyd": Record(wins=2, draws=3)},
    skill=Skill(mu=31.46, sigma=2.2, ordinal=24.86),
)  # fmt: skip
BOB = Row(
    player="bob\x1b[2J", rating=1500, low=1400, high=1600, games=15, wins=5, losses=10, runs=15
)
CYD = Row(player="cyd", runs=2)
PAIR = Pair(better="ada", worse=BOB.player, difference=200.4, low=-10.2, high=411, more_games=1_200)
TABLE = Standings(
    game="chess", matches=20, crashed=1, rows=(ADA, BOB, CYD), pairs=(PAIR,),
    advantages=(Advantage(game="chess", points=35.2, low=-4.4, high=74.8),),
)  # fmt: skip


def test_a_row_has_all_figures() -> None:
    assert [text for text, _ in cells(TABLE, 0, 12.3, 21)] == [
        "1", "ada", "1700", "          ├────●────┤", "1600–1800", "12–3–5", "▲ 12", "$0.021",
        "18.2k", "2.31 s", "5 %", "1 %", "4",
    ]  # fmt: skip


def test_a_player_who_is_not_really_below_the_one_above_is_marked() -> None:
    assert [text for text, _ in cells(TABLE, 1, None, 21)][:7] == [
        "≈2", "bob␛[2J", "1500", "├────●────┤          ", "1400–1600", "5–0–10", "–"
    ]  # fmt: skip


def test_a_player_of_whom_no_game_rates_has_no_rating() -> None:
    row = [text for text, _ in cells(TABLE, 2, None, 21)]

    assert row[1:3] == ["cyd", "–"]
    assert row[3] == " " * 21
    assert row[4].strip() == "–"


@pytest.mark.parametrize(
    ("moved", "text"),
    [(12.4, "▲ 12"), (-3.0, "▼ 3"), (0.0, "="), (-0.4, "="), (None, "–")],
)
def test_movement_is_told_by_signs(moved: float | None, text: str) -> None:
    assert movement(moved)[0] == text


@pytest.mark.parametrize("width", [5, 9, 21])
def test_a_bar_is_as_wide_as_told_and_on_one_scale(width: int) -> None:
    bars = [interval_bar(TABLE, row, width) for row in TABLE.rows]

    assert [len(bar) for bar in bars] == [width] * 3
    assert bars[0].rstrip()[-1] == "┤"
    assert bars[1][0] == "├"


def test_a_single_point_is_a_bar_too() -> None:
    row = Row(player="a", rating=1500, low=1500, high=1500)

    assert interval_bar(Standings(rows=(row,)), row, 5) == "●    "


def test_opponents_stand_below_each_other() -> None:
    assert head_to_head(ADA) == "10–0–5  bob\n 2–3–0  cyd"
    assert head_to_head(CYD) == "nobody yet"


def test_the_heading_says_which_table_it_is() -> None:
    assert heading([TABLE], 0) == " ‹ chess ›   20 games rated, 1 crashed"
    assert heading([Standings(matches=1), TABLE], 0) == " ‹ all games ›  1 of 2   1 game rated"


def test_notes_say_what_is_known_and_what_is_not_yet() -> None:
    assert notes(TABLE, ADA).splitlines() == [
        "ada: 5 % of runs crashed, 1 % of actions illegal, 4 errors",
        "openskill μ 31.5 ± 2.2, ordinal 24.9",
        "ada ≈ bob␛[2J: 200 apart, not real yet (-10 to 411), about 1,200 more games",
        "moving first: +35 points (-4 to +75)",
        "≈ not really below the player above it yet",
    ]


def test_the_selected_players_neighbours_are_told_of_first() -> None:
    pairs = [Pair(better=one, worse=other, difference=1, low=-9, high=11)
             for one, other in ("ab", "bc", "cd")]  # fmt: skip
    said = notes(Standings(matches=1, pairs=tuple(pairs)), Row(player="d", errors=1)).splitlines()

    assert said[0].endswith(" 1 error")
    assert [line[:5] for line in said[1:4]] == ["c ≈ d", "a ≈ b", "b ≈ c"]


def test_each_against_each_is_a_table_with_ranks_above() -> None:
    names = ("ada", "bob", "日本")
    table = Standings(
        rows=tuple(
            Row(player=name, against={
                other: Record(wins=here, draws=1, losses=there)
                for there, other in enumerate(names) if other != name
            })
            for here, name in enumerate(names)
        )
    )  # fmt: skip

    assert each_against_each(table, 60).splitlines() == [
        "            1      2      3",
        "1 ada       ·  0–1–1  0–1–2",
        "2 bob   1–1–0      ·  1–1–2",
        "3 日本  2–1–0  2–1–1      ·",
    ]
    assert each_against_each(table, 25).splitlines()[1:] == [
        "1 ada       ·  0–1–1",
        "2 bob   1–1–0      ·",
        "3 日本  2–1–0  2–1–1",
        "the first 2 of 3 across",
    ]


def test_players_whom_no_game_links_are_not_compared() -> None:
    pair = Pair(better="a", worse="b", difference=3, low=-900, high=906, linked=False)

    assert unsettled(pair) == "a ≈ b: no game links them"


def test_a_difference_that_no_games_would_show_promises_none() -> None:
    pair = Pair(better="a", worse="b", difference=0, low=-90, high=90)

    assert unsettled(pair) == "a ≈ b: 0 apart, not real yet (-90 to 90)"


def test_a_table_without_a_rated_game_says_what_rates() -> None:
    assert "no game rates yet" in notes(Standings(crashed=2, rows=(CYD,)), CYD)
    assert "no game rates yet" not in notes(TABLE, ADA)
