"""`fork`: from a turn of a stored run into runs of their own, as scripts use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import arena, lines, surroundings
from tests.programs import started

OWN_GAME = """\
import arena_tui

with arena_tui.connect() as arena:
    with arena.run(game="my-game", agents=["gpt", "random"], run_id="mine", seed=1) as run:
        run.turn(1, player="gpt")
        run.action("go")
        run.turn(2, player="random", state="{}")
        run.action("stay")
    with arena.run(game="my-game", agents=["gpt"], run_id="talk") as run:
        run.log("nothing was played")
"""
OWNER = """\
import sys
import arena_tui

with arena_tui.connect() as arena:
    with arena.run(game="chess", agents=["a", "b"], run_id="open") as run:
        print("ready", flush=True)
        sys.stdin.read()
"""


def runs(folder: Path, *words: str) -> list[dict[str, Any]]:
    return lines(arena(folder, "runs", "--json", *words).stdout)


def events(folder: Path, run: str, *kinds: str) -> list[dict[str, Any]]:
    found = lines(arena(folder, "events", run, "--json").stdout)
    return [each for each in found if each["kind"] in kinds]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of a game of connect_four, one of synth and one nobody knows."""
    folder = tmp_path_factory.mktemp("forked")
    words = "play connect_four mcts:20 random --seed 7 --label evening --max-turns 60"
    assert arena(folder, *words.split()).returncode == 0
    assert arena(folder, *["play", "synth", "--max-turns", "12", "--seed", "7"]).returncode == 0
    with started(OWN_GAME + "print('done', flush=True)", says="done", env=surroundings(folder)):
        pass
    return folder


@pytest.fixture(scope="module")
def parent(folder: Path) -> str:
    found = next(each for each in runs(folder) if each["game"] == "connect_four")
    return str(found["run_id"])


def test_the_same_agents_play_on_from_the_turn(folder: Path, parent: str) -> None:
    done = arena(folder, "fork", parent[-6:], "--turn", "5", "--seed", "3", "--games", "2",
                 "--json")  # fmt: skip
    *results, account = lines(done.stdout)
    turn = next(each for each in events(folder, parent, "turn_start") if each["turn"] == 5)

    assert done.returncode == 0, done.stderr
    assert len(results) == 2
    assert account["published"] == account["stored"]
    for result in results:
        assert (result["game"], result["agents"]) == ("connect_four", ["mcts:20", "random"])
        start, fork, first = events(folder, result["run_id"], "run_start", "fork", "turn_start")[:3]
        assert start["config"] == {
            "game": "connect_four", "index": result["index"], "max_turns": 60,
            "fork": {"run": parent, "seq": turn["seq"], "turn": 5},
        }  # fmt: skip
        assert (start["label"], start["tags"]) == ("evening", ["fork"])
        assert (fork["parent_run_id"], fork["parent_seq"]) == (parent, turn["seq"])
        assert fork["mutation_summary"] == "turn 5: same agents"
        assert (first["turn"], first["state"]) == (5, turn["state"])
        stored = runs(folder, f"run:{result['run_id']}")[0]
        assert stored["parent_run_id"] == parent
        assert stored["turns"] == result["turns"]
    assert arena(folder, "verify").returncode == 0


@pytest.mark.parametrize(
    "words",
    ["{run} --turn 3 random minimax:2", "{run} random minimax:2 --turn 3",
     "--turn 3 {run} --delay 0 random --label again minimax:2"],
)  # fmt: skip
def test_other_agents_stand_wherever_options_do(folder: Path, parent: str, words: str) -> None:
    done = arena(folder, "fork", "--json", *words.format(run=parent).split())
    result = lines(done.stdout)[0]
    (fork,) = events(folder, result["run_id"], "fork")

    assert done.returncode == 0, done.stderr
    assert result["agents"] == ["random", "minimax:2"]
    assert fork["mutation_summary"] == "turn 3: mcts:20 -> random, random -> minimax:2"


def test_the_same_seed_forks_alike(folder: Path, parent: str) -> None:
    words = ["fork", parent, "--turn", "4", "--seed", "9", "--json"]
    first, again = (lines(arena(folder, *words).stdout)[0] for _ in range(2))

    assert first["run_id"] != again["run_id"]
    assert (first["turns"], first["outcome"]) == (again["turns"], again["outcome"])


def test_a_fork_of_synth_goes_on_on_the_same_island(folder: Path) -> None:
    (synth,) = [each for each in runs(folder, "game:synth") if each["parent_run_id"] is None]
    done = arena(folder, "fork", synth["run_id"], "--turn", "6", "--json")
    result = lines(done.stdout)[0]

    assert done.returncode == 0, done.stderr
    assert (result["turns"], result["status"]) == (12, "finished")
    state = [
        next(each["state"] for each in events(folder, run, "turn_start") if each["turn"] == 6)
        for run in (synth["run_id"], result["run_id"])
    ]
    assert state[0] == state[1]


def test_beside_an_owner_it_reads_and_stores_through_that(folder: Path, parent: str) -> None:
    with started(OWNER, says="ready", env=surroundings(folder)):
        done = arena(folder, "fork", parent, "--turn", "2", "--json")
        result, account = lines(done.stdout)
        seen = [each["run_id"] for each in runs(folder)]

    assert done.returncode == 0, done.stderr
    assert result["status"] == "finished"
    assert account["lost"] in (0, None)
    assert "open" in seen
    assert result["run_id"] in seen


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("{run} --turn 99", 2, "has no turn 99: its last is"),
        ("{run} --turn 0", 2, "has no turn 0: give another"),
        ("{run} --turn 5 random random random", 2, "connect_four has 2 players, not 3: give it 2"),
        ("{run} --turn 5 wizard", 2, "no agent 'wizard'"),
        ("{run} --turn 5 --max-turns 4", 2, "max_turns must be 5 at least"),
        ("{run} --turn 5 --games 0", 2, "games must be"),
        ("{run}", 2, "required: --turn: see arena-tui fork --help"),
        ("nosuchrun --turn 5", 2, "the store has no run 'nosuchrun'"),
        ("mine --turn 1 random random", 2, "this game cannot be restored: its turns have no state"),
        ("mine --turn 2 random random", 2, "this game cannot be restored: open_spiel has not"),
        ("mine --turn 2", 2, "nobody knows how to make 'gpt' again: name the agents"),
        ("talk --turn 1", 2, "run talk has no turns: choose another run"),
        ("{run} --turn 5 --db :memory:", 2, "give a file with --db"),
        ("{run} --turn 5 --db nowhere.duckdb", 3, "nowhere.duckdb"),
    ],
)
def test_what_cannot_be_forked_is_one_line(
    folder: Path, parent: str, words: str, code: int, said: str
) -> None:
    before = len(runs(folder))
    done = arena(folder, "fork", *words.format(run=parent).split())

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(runs(folder)) == before
