"""How a tournament is printed, to the letter."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from arena_tui.cli.tournament_table import say_standings
from arena_tui.folds.ratings import Pair
from arena_tui.folds.standings import Game, Standings, standings

GAMES = [
    Game(index=0, run_id="r0", game="chess", agents=("a", "b|c"), scores=(1.0, -1.0),
         status="finished", duration_s=61.5),
    Game(index=1, run_id="r1", game="chess", agents=("b|c", "a"), scores=(0.0, 0.0),
         status="finished", cost_usd=0.25, duration_s=1200.0),
    Game(index=2, run_id="r2", game="chess", agents=("a", "b|c"), scores=(None, None),
         status="crashed", reason="ValueError: no", duration_s=0.25),
]  # fmt: skip

TEXT = """\
chess: 2 agents

   agent  games  W–D–L  score  rating  95 %          crashed  stopped
1  a      3      1–1–0  1.5/2  1572    1298 to 1845  1        0
2  b|c    3      0–1–1  0.5/2  1428    1155 to 1702  1        0

     a      b|c
a           1–1–0
b|c  0–1–1

3 of 4 games: 2 finished, 1 crashed, 0 stopped; 1,261.8 s of play, $0.250
not settled yet: a or b|c; about 24 more games
"""

MARKDOWN = """\
## chess: 2 agents

|  | agent | games | W–D–L | score | rating | 95 % | crashed | stopped |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| 1 | a | 3 | 1–1–0 | 1.5/2 | 1572 | 1298 to 1845 | 1 | 0 |
| 2 | b\\|c | 3 | 0–1–1 | 0.5/2 | 1428 | 1155 to 1702 | 1 | 0 |

|  | a | b\\|c |
| --- | --- | --- |
| a |  | 1–1–0 |
| b\\|c | 0–1–1 |  |

3 of 4 games: 2 finished, 1 crashed, 0 stopped; 1,261.8 s of play, $0.250

not settled yet: a or b\\|c; about 24 more games
"""

JSON = """\
{"type":"game","index":2,"run_id":"r2","game":"chess","agents":["a","b|c"],"scores":[null,null],\
"status":"crashed","reason":"ValueError: no","cost_usd":null,"duration_s":0.25}
{"type":"standing","place":1,"agent":"a","rating":null,"low":null,"high":null,"games":1,\
"crashed":1,"stopped":0,"against":{"b|c":{"wins":0,"draws":0,"losses":0}},"wins":0,"draws":0,\
"losses":0,"score":0.0}
{"type":"standing","place":1,"agent":"b|c","rating":null,"low":null,"high":null,"games":1,\
"crashed":1,"stopped":0,"against":{"a":{"wins":0,"draws":0,"losses":0}},"wins":0,"draws":0,\
"losses":0,"score":0.0}
{"type":"tournament","id":"t1","scheduled":4,"over":1,"finished":0,"crashed":1,"stopped":0,\
"cost_usd":null,"play_s":0.25,"settled":false,"unsettled":[]}
"""


def rated(games: list[Game]) -> Standings:
    """Their table, with ratings of our own."""
    table = standings(["a", "b|c"], games)
    if not table.finished:
        return table
    first, second = table.rows
    rows = (
        replace(first, rating=1571.7, low=1298.4, high=1845.0),
        replace(second, rating=1428.3, low=1155.0, high=1701.6),
    )
    pair = Pair(better="a", worse="b|c", difference=143.4, low=-9.0, high=300.0, more_games=24)
    return replace(table, rows=rows, unsettled=(pair,))


@pytest.mark.parametrize(
    ("style", "games", "printed"),
    [("text", GAMES, TEXT), ("markdown", GAMES, MARKDOWN), ("json", GAMES[2:], JSON)],
    ids=["text", "markdown", "json"],
)
def test_the_table_is_printed_so(style, games, printed: str, capfdbinary) -> None:
    say_standings("chess: 2 agents", 4, rated(games), games, style, {"id": "t1"})

    assert capfdbinary.readouterr().out.decode() == printed


def test_nobody_played_is_a_table_too(capsys: pytest.CaptureFixture[str]) -> None:
    say_standings("chess: 2 agents", 4, standings(["a", "b"], []), [], "text", {})

    assert (
        capsys.readouterr().out
        == """\
chess: 2 agents

   agent  games  W–D–L  score  rating  95 %  crashed  stopped
1  a      0      0–0–0  0/0    –       –     0        0
1  b      0      0–0–0  0/0    –       –     0        0

   a      b
a         0–0–0
b  0–0–0

0 of 4 games: 0 finished, 0 crashed, 0 stopped; 0.0 s of play, cost unknown
"""
    )


def test_of_more_than_two_players_it_says_what_counts(capsys: pytest.CaptureFixture[str]) -> None:
    games = [replace(GAMES[0], agents=("a", "b", "c"), scores=(2.0, 1.0, 0.0))]

    say_standings("hearts: 3 agents", 3, standings(["a", "b", "c"], games), games, "text", {})

    assert "\neach two players of a game count as won, drawn or lost\n" in capsys.readouterr().out
