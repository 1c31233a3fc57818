"""`arena-tui tournament`: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.cli.test_commands import arena, lines, surroundings
from tests.ready import ARENA
from tests.redis_fixture import MakeRedis
from tests.tui.terminal import OpenTerminal

WORDS = ["tournament", "tic_tac_toe", "random", "mcts:2", "mcts:3"]
LONG = [*WORDS, "--rounds", "50", "--delay", "0.02", "--parallel", "2"]

Child: TypeAlias = "subprocess.Popen[str]"


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Starts the command and returns once a game is over; kills it after the test."""
    children: list[Child] = []

    def start(*words: str) -> Child:
        child = subprocess.Popen(
            [*ARENA, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=surroundings(tmp_path),
        )  # fmt: skip
        children.append(child)
        assert child.stderr is not None
        assert " of 300  tic_tac_toe  " in child.stderr.readline()
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate(timeout=60)


def test_the_table_is_all_of_stdout_and_each_game_a_line_of_stderr(tmp_path: Path) -> None:
    done = arena(tmp_path, *WORDS, "--seed", "7")

    assert done.returncode == 0
    assert done.stdout.startswith("tic_tac_toe: 3 agents, 1 round, seed 7\n\n   agent ")
    assert "\n6 of 6 games: 6 finished, 0 crashed, 0 stopped; " in done.stdout
    told = done.stderr.splitlines()
    assert [line.split("  ")[0] for line in told] == [f"{number} of 6" for number in range(1, 7)]
    assert told[0].startswith("1 of 6  tic_tac_toe  random – mcts:2  ")


def test_the_same_command_again_prints_the_same_and_plays_nothing(tmp_path: Path) -> None:
    first = arena(tmp_path, *WORDS, "--json")

    again = arena(tmp_path, *WORDS, "--json")

    assert (again.stdout, again.stderr) == (first.stdout, "")
    objects = lines(first.stdout)
    assert [each["type"] for each in objects] == ["game"] * 6 + ["standing"] * 3 + ["tournament"]
    assert len(lines(arena(tmp_path, "runs", "--json").stdout)) == 6


def test_format_json_is_json(tmp_path: Path) -> None:
    first = arena(tmp_path, *WORDS, "--json")

    assert arena(tmp_path, *WORDS, "--format", "json").stdout == first.stdout


def test_markdown_is_two_tables(tmp_path: Path) -> None:
    done = arena(tmp_path, *WORDS, "--format", "markdown")

    assert done.stdout.startswith("## tic_tac_toe: 3 agents, 1 round, seed ")
    rules = [line for line in done.stdout.splitlines() if line.startswith("| --- |")]
    assert [rule.count("---") for rule in rules] == [9, 4]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["chess", "random"], "a tournament needs two agents or more: write for example"),
        (["chess", "random", "random"], "random is listed twice: give each agent once"),
        (["ches", "random", "mcts:2"], "open_spiel has no game 'ches': did you mean chess"),
        (["hearts", "random", "mcts:2"], "hearts has 4 players: give it 4 agents or more, not 2"),
        (["chess", "random", "mcts:2", "--rounds", "0"], "rounds must be 1 to 1,000,000, not 0"),
    ],
)
def test_wrong_usage_is_one_line_before_anything_is_played_or_made(
    tmp_path: Path, words: list[str], why: str
) -> None:
    done = arena(tmp_path, "tournament", *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"arena-tui: {why}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "arena.duckdb").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_the_same_command_goes_on(
    tmp_path: Path, begin: Callable[..., Child], number: signal.Signals
) -> None:
    child = begin(*LONG)
    child.send_signal(number)
    stdout, stderr = child.communicate(timeout=60)

    assert child.returncode == 128 + number
    over = int(stdout.split(" of 300 games: ")[0].rpartition("\n")[2])
    assert f"arena-tui: {over} of 300 games are over: the same command goes on\n" in stderr
    done = arena(tmp_path, *LONG[:-4], "--delay", "0", "--parallel", "2")
    assert done.returncode == 0
    assert done.stderr.startswith(f"{over + 1} of 300  ")


def test_a_second_process_cannot_play_it_at_the_same_time(
    tmp_path: Path, begin: Callable[..., Child]
) -> None:
    child = begin(*LONG)

    for words in (LONG, [*LONG, "--new"], [*LONG, "--rounds", "60"]):
        done = arena(tmp_path, *words)

        assert (done.returncode, done.stdout) == (3, "")
        assert f"process {child.pid} plays this tournament" in done.stderr
        assert done.stderr.count("\n") == 1


def test_another_tournament_is_played_at_the_same_time_into_the_same_store(
    tmp_path: Path, begin: Callable[..., Child]
) -> None:
    child = begin(*LONG)

    done = arena(tmp_path, *WORDS, "--seed", "7", "--json")

    assert done.returncode == 0
    assert lines(done.stdout)[-1]["finished"] == 6
    assert child.poll() is None
    child.kill()
    child.wait(60)
    runs = lines(arena(tmp_path, "runs", "--json", "--limit", "1000").stdout)
    over = [each for each in runs if each["status"] == "finished"]
    assert len(over) > 6


def test_who_plays_it_may_be_killed_and_the_same_command_goes_on(
    tmp_path: Path, begin: Callable[..., Child]
) -> None:
    begin(*LONG).kill()

    done = arena(tmp_path, *LONG[:-4], "--delay", "0", "--parallel", "2")

    assert done.returncode == 0
    assert "300 of 300 games: 300 finished" in done.stdout
    assert not list(tmp_path.glob("*.tournament-*"))


def test_a_game_that_crashes_is_told_each_time_and_the_exit_code_1(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.write_text(
        f"#!{sys.executable}\n"
        "for line in iter(input, 'quit'):\n"
        "    answer = {'uci': 'uciok', 'isready': 'readyok'}.get(line)\n"
        "    print(answer or 'bestmove z9z9', flush=True)\n"
    )
    engine.chmod(0o755)
    words = ["tournament", "chess", f"uci:{engine}", "random", "--max-turns", "4", "--json"]

    for _ in range(2):
        done = arena(tmp_path, *words)

        assert done.returncode == 1
        assert done.stderr.count(" crashed: engine answered z9z9") == 2
        last = json.loads(done.stdout.splitlines()[-1])
        assert (last["over"], last["crashed"], last["finished"]) == (2, 2, 0)
    assert len(lines(arena(tmp_path, "runs", "--json").stdout)) == 2


def test_over_a_server_it_is_stored_here_and_goes_on_from_here(
    tmp_path: Path, begin: Callable[..., Child], make_redis: MakeRedis
) -> None:
    broker = ["--broker", make_redis().url]
    child = begin(*LONG, *broker)
    child.kill()
    child.communicate(timeout=60)

    done = arena(tmp_path, *LONG[:-4], "--parallel", "2", "--json", *broker)

    assert done.returncode == 0, done.stderr
    *objects, last = lines(done.stdout)
    assert last["over"] == 300
    finished = [
        run for run in lines(arena(tmp_path, "runs", "--json").stdout)
        if run["status"] == "finished"
    ]  # fmt: skip
    assert len(finished) == 300
    told = {each["run_id"] for each in objects if each["type"] == "game"}
    assert {run["run_id"] for run in finished} == told


def test_on_a_terminal_a_bar_shows_how_far_it_is(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal([*ARENA, *LONG[:-4], "--delay", "0.05",
                              "--db", str(tmp_path / "arena.duckdb")])  # fmt: skip

    terminal.wait_for_pattern(r"━+ +\d+/300 games")
    terminal.press(b"\x03")

    assert terminal.wait() == 130
    assert b"tic_tac_toe  random" not in terminal.raw
    terminal.wait_for("are over: the same command goes on")


def test_watched_it_plays_in_the_dashboard_and_is_told_afterwards(
    tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db = ["--db", str(tmp_path / "arena.duckdb")]
    terminal = open_terminal([*ARENA, *WORDS, "--delay", "0.1", "--watch", *db])

    terminal.wait_for("mcts:2")
    terminal.wait_for("won")
    terminal.press(b"q")
    terminal.press(b"y")

    assert terminal.wait() == 0
    assert b" of 6 games: " in terminal.raw


def test_watching_without_a_terminal_is_one_line(tmp_path: Path) -> None:
    done = arena(tmp_path, *WORDS, "--watch")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("arena-tui: the dashboard needs a terminal: ")
    assert done.stderr.count("\n") == 1
