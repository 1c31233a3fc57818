"""A tournament killed with SIGKILL at any moment, again and again, plays each game once."""

from __future__ import annotations

import random
import signal
import subprocess
from collections import Counter
from pathlib import Path

from arena_tui.games.schedule import Table, schedule
from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from arena_tui.store.verify import verify_store
from tests.cli.test_commands import arena, lines, surroundings
from tests.faults.accounts import FULL
from tests.ready import ARENA

KILLS = 20 if FULL else 4
ROUNDS = 30 if FULL else 4
AGENTS = ["random", "mcts:30", "mcts:10"]
WORDS = ["tournament", "tic_tac_toe,connect_four", *AGENTS, "--rounds", str(ROUNDS),
         "--parallel", "3", "--delay", "0.02"]  # fmt: skip
TABLES = [Table(game=game, seats=2) for game in ("tic_tac_toe", "connect_four")]


def play_and_kill(folder: Path, games: int) -> None:
    """Go on, and kill it once so many more games were said to be over."""
    process = subprocess.Popen(
        [*ARENA, *WORDS], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=surroundings(folder),
    )  # fmt: skip
    assert process.stderr is not None
    for _ in range(games):
        assert process.stderr.readline()
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def test_each_game_is_played_once_through_all_kills(tmp_path: Path) -> None:
    chance = random.Random(20_260_314)
    for _ in range(KILLS):
        play_and_kill(tmp_path, chance.randint(1, 6))

    done = arena(tmp_path, *WORDS, "--json")

    assert done.returncode == 0, done.stderr
    *objects, last = lines(done.stdout)
    told = [each for each in objects if each["type"] == "game"]
    meetings = list(schedule(TABLES, AGENTS, ROUNDS, last["seed"]))
    assert [each["index"] for each in told] == list(range(len(meetings)))
    database = Database(str(tmp_path / "arena.duckdb"), only_read=True)
    runs = database.read_now(lambda connection: read_runs(connection, limit=10_000))
    verdicts = database.read_now(verify_store)
    database.close()
    assert [verdict for verdict in verdicts if verdict.problems] == []
    finished = [run for run in runs if run.status == "finished"]
    assert Counter(run.config["index"] for run in finished) == Counter(range(len(meetings)))
    assert {run.run_id for run in finished} == {each["run_id"] for each in told}
    for run in finished:
        meeting = meetings[run.config["index"]]
        found = run.config["game"], tuple(agent.spec for agent in run.agents), run.seed
        assert found == (meeting.game, meeting.agents, meeting.seed)
    half = [run for run in runs if run.status != "finished"]
    assert {run.status for run in half} == {"running"}
    print(f"{KILLS} kills: {len(finished)} games, each once; {len(half)} half ones not counted")
    assert arena(tmp_path, "verify").returncode == 0
