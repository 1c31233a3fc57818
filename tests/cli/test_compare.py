"""`compare`: two stored runs side by side, as scripts use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_commands import arena, lines, surroundings
from tests.programs import started

GAMES = """\
import arena_tui

def play(arena, name, moves, game="line", agents=("a", "b")):
    with arena.run(game=game, agents=list(agents), run_id=name) as run:
        for turn, move in enumerate(moves, 1):
            run.turn(turn, player=agents[turn % 2])
            run.observation("".join(moves[: turn - 1]))
            run.llm_response("I go.", model="m", input_tokens=10, output_tokens=2,
                             cost_usd=0.25, latency_s=turn / 2)
            run.action(move)
        run.end(outcome={agents[0]: 1.0, agents[1]: 0.0})

with arena_tui.connect() as arena:
    play(arena, "one", "xyxyx")
    play(arena, "two", "xyxzx")
    play(arena, "shorter", "xyx")
    play(arena, "again", "xyxyx")
    play(arena, "other", "xyxyx", game="circle")
    with arena.run(game="line", agents=["a", "b"], run_id="talk") as run:
        run.log("nothing was played")
print("done", flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    with started(GAMES, says="done", env=surroundings(folder)):
        pass
    return folder


def test_it_says_where_two_runs_part_and_what_each_did(folder: Path) -> None:
    done = arena(folder, "compare", "one", "two")
    text = done.stdout.splitlines()

    assert done.returncode == 0, done.stderr
    assert text[0].split() == ["one", "two", "difference"]
    assert "agents      a vs b   a vs b" in text
    start = text.index("first difference: turn 4, the action")
    assert [line.split() for line in text[start + 1 : start + 7]] == [
        ["turn", "one", "two"],
        ["1", "b", "x", "b", "x"],
        ["2", "a", "y", "a", "y"],
        ["3", "b", "x", "b", "x"],
        ["4", "≠", "a", "y", "a", "z"],
        ["5", "#", "b", "x", "b", "x"],
    ]
    assert text[-1] == "≠ action  # board  ≈ answer  + alone  ~ timing"


def test_json_has_the_same_in_one_object(folder: Path) -> None:
    done = arena(folder, "compare", "one", "two", "--json")
    (found,) = lines(done.stdout)

    assert (found["first"]["run_id"], found["second"]["run_id"]) == ("one", "two")
    assert found["first"]["latency_s"] == 1.5
    assert found["shared_turns"] == 5
    divergence = found["divergence"]
    assert divergence["turn"] == 4
    assert (divergence["first"]["actions"], divergence["second"]["actions"]) == (["y"], ["z"])
    assert divergence["differs"][0] == "action"
    assert [row["turn"] for row in found["around"]] == [1, 2, 3, 4, 5]
    figures = {each["name"]: each for each in found["figures"]}
    assert figures["cost"] == {
        "name": "cost", "unit": "usd", "first": 1.25, "second": 1.25, "change": 0.0
    }  # fmt: skip


def test_a_run_that_ends_early_parts_where_the_other_goes_on(folder: Path) -> None:
    text = arena(folder, "compare", "one", "shorter").stdout
    (found,) = lines(arena(folder, "compare", "one", "shorter", "--json").stdout)

    assert "first difference: turn 4, which only one has" in text
    assert (found["divergence"]["differs"], found["divergence"]["second"]) == (["alone"], None)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("one again", "no difference in what was seen and done, in 5 turns"),
        ("one other", "these are runs of different games: line and circle"),
        ("one talk", "talk: no turns, so there is nothing to set side by side"),
    ],
)
def test_what_there_is_to_say_is_said_in_one_line(folder: Path, words: str, says: str) -> None:
    done = arena(folder, "compare", *words.split())

    assert done.returncode == 0
    assert says in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("one one", 2, "arena-tui: one is compared with itself: give the id of another run"),
        ("one nowhere", 2, "arena-tui: the store has no run 'nowhere': see arena-tui runs"),
        ("one", 2, "arena-tui: 1 run to compare: give the ids of two, or --filter"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    folder: Path, words: str, code: int, says: str
) -> None:
    done = arena(folder, "compare", *words.split())

    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (code, "", [says])


def test_many_runs_are_summed_up_by_game_and_players(folder: Path) -> None:
    done = arena(folder, "compare", "--filter", "game:line turns>0")
    text = done.stdout.splitlines()

    assert done.returncode == 0, done.stderr
    assert text[0] == "line, a vs b: 4 runs, 4 decided, 0 of them drawn"
    assert [line.split() for line in text[2:4]] == [
        ["a", "100%", "51%", "to", "100%", "4", "0", "4"],
        ["b", "0%", "0%", "to", "49%", "0", "0", "4"],
    ]
    assert text[4] == "a run: 4.5 turns, cost $1.1250, tokens 54; 0 errors in all"
    assert [line.rstrip() for line in text[5:]] == [
        "opening    runs  won",
        "x          4     a 4",
        "  y        4     a 4",
        "    x      4     a 4",
        "      y    2     a 2",
        "        x  2     a 2",
        "      z    1     a 1",
    ]


def test_many_runs_as_json_are_an_object_for_each_group(folder: Path) -> None:
    found = lines(arena(folder, "compare", "--filter", "turns>0", "--json").stdout)

    assert [(each["game"], each["runs"]) for each in found] == [("line", 4), ("circle", 1)]
    assert found[0]["parent_run_id"] is found[0]["parent_seq"] is None
    (a, _) = found[0]["agents"]
    assert (a["player"], a["wins"], a["win_rate"], a["high"]) == ("a", 4, 1.0, 1.0)
    assert found[0]["openings"]["children"][0]["move"] == "x"
    assert found[0]["openings"]["children"][0]["runs"] == 4


@pytest.mark.parametrize(
    ("words", "code", "out", "says"),
    [
        (["--filter", "game:none"], 0, ["no runs match"], []),
        (["--filter", "gme:line"], 2, [],
         ["arena-tui: no field 'gme': did you mean game?; as text: \"gme:line\""]),
        (["one", "--filter", "x"], 2, [],
         ["arena-tui: two runs, or those of a filter: give the ids or --filter, not both"]),
    ],
)  # fmt: skip
def test_a_filter_that_finds_nothing_or_cannot_be_read_is_told(
    folder: Path, words: list[str], code: int, out: list[str], says: list[str]
) -> None:
    done = arena(folder, "compare", *words)

    assert (done.returncode, done.stdout.splitlines(), done.stderr.splitlines()) == (
        code, out, says,
    )  # fmt: skip
