"""Programs that fork, in every way: what their children record, and that all of it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import redis

from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from arena_tui.store.verify import verify_store
from tests.redis_fixture import MakeRedis

ENDS_WITHIN_S = 15

BEGINNING = """\
import multiprocessing, os, sys, threading
import arena_tui
from arena_tui.errors import ArenaError

def play(run, turns=10):
    for turn in range(turns):
        run.turn(turn)

"""


def run_program(
    script: str, broker: str, path: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it with this broker and store; what is said of the server's AOF is left out."""
    program = path.with_name("program.py")
    program.write_text(BEGINNING + script)
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "ARENA_BROKER": broker, "ARENA_DB": str(path),
             "ARENA_CONFIG": str(path.with_name("config.toml")), **environment},
        capture_output=True, text=True, check=False, timeout=ENDS_WITHIN_S,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines(True) if "(no AOF)" not in line]
    done.stderr = "".join(lines)
    return done


def published(url: str) -> dict[str, Counter[str]]:
    """How many events of each kind the server has of each run."""
    with redis.Redis.from_url(url) as client:
        runs = {}
        for key in client.keys("arena:*:events"):
            entries = client.xrange(key)
            events = [json.loads(line) for _, fields in entries for line in fields.values()]
            runs[key.decode().split(":")[1]] = Counter(event["kind"] for event in events)
        return runs


def stored(path: Path) -> dict[str, tuple[int, str | None]]:
    """Events and reason of each run of a clean store."""
    database = Database(str(path))
    assert [verdict for verdict in database.read_now(verify_store) if verdict.problems] == []
    runs = database.read_now(lambda c: read_runs(c, sort="run_id", descending=False))
    database.close()
    return {totals.run_id: (totals.events, totals.reason) for totals in runs}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "arena.duckdb"


def test_workers_of_a_pool_record_through_the_connection_they_inherit(
    each_redis_url: str, path: Path
) -> None:
    done = run_program(
        """
arena = arena_tui.connect()

def work(number):
    with arena.run("g", run_id=f"r{number}") as run:
        play(run)

with multiprocessing.get_context("fork").Pool(3) as pool:
    pool.map(work, range(6))
    pool.close()
    pool.join()
arena.close()
""",
        each_redis_url, path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    whole = {"run_start": 1, "turn_start": 10, "run_end": 1}
    assert published(each_redis_url) == {f"r{number}": whole for number in range(6)}


ENDS = {
    "a process": "process = multiprocessing.get_context('fork').Process(target=child)\n"
    "process.start()\nprocess.join()\ncode = process.exitcode\n",
    "sys.exit": "pid = os.fork()\nif not pid:\n    child()\n    sys.exit(0)\n"
    "code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n",
    "os._exit": "pid = os.fork()\nif not pid:\n    child()\n    arena.close()\n    os._exit(0)\n"
    "code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n",
}


@pytest.mark.parametrize("fork", ENDS.values(), ids=ENDS)
def test_a_run_that_is_open_in_the_parent_is_the_parent_s_to_end(
    fork: str, redis_url: str, path: Path
) -> None:
    done = run_program(
        f"""
arena = arena_tui.connect()
run = arena.run("g", run_id="r")
run.__enter__()
play(run)

def child():
    play(run)
    with run:
        play(run)
    arena.run("g", run_id="own").action("left open")

{fork}
assert code == 0, code
play(run)
run.end(reason="over")
arena.close()
""",
        redis_url, path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    runs = published(redis_url)
    assert runs["r"]["turn_start"] == 40
    assert runs["r"]["run_end"] == 1
    assert runs["own"] == {"run_start": 1, "action": 1, "run_end": 1}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_that_connect_themselves_record_everything(
    method: str, redis_url: str, path: Path
) -> None:
    done = run_program(
        f"""
def child(number):
    arena = arena_tui.connect()
    play(arena.run("g", run_id=f"r{{number}}"))

if __name__ == "__main__":
    with arena_tui.connect() as arena, arena.run("g", run_id="parent") as run:
        context = multiprocessing.get_context({method!r})
        children = [context.Process(target=child, args=(number,)) for number in range(3)]
        for each in children: each.start()
        play(run)
        for each in children: each.join()
        assert [each.exitcode for each in children] == [0, 0, 0]
""",
        redis_url, path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    whole = {"run_start": 1, "turn_start": 10, "run_end": 1}
    assert published(redis_url) == dict.fromkeys(["r0", "r1", "r2", "parent"], whole)


REFUSED = """
arena = arena_tui.connect()
run = arena.run("g", run_id="r")
run.__enter__()
never_begun = arena.run("g", run_id="never")

def child():
    told = []
    for use in (
        arena_tui.connect, lambda: arena.run("g"), lambda: run.action("e4"),
        lambda: run.action("e4"), lambda: never_begun.action("e4"),
    ):
        try: use()
        except ArenaError as error: told.append(str(error))
    assert len(told) == 5, told
    assert all("redis" in each and str(os.getppid()) in each for each in told), told
    assert not any("\\n" in each for each in told), told
"""


@pytest.mark.parametrize("fork", ENDS.values(), ids=ENDS)
def test_in_process_a_child_is_refused_in_one_line_and_harms_nothing(fork: str, path: Path) -> None:
    done = run_program(
        f"{REFUSED}\n{fork}\nassert code == 0, code\nplay(run)\nrun.end()\narena.close()\n",
        "memory:", path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert stored(path) == {"r": (12, None)}


def test_a_pool_shows_a_refused_worker_s_error(path: Path) -> None:
    done = run_program(
        """
arena = arena_tui.connect()

def work(number):
    arena.run("g")

with multiprocessing.get_context("fork").Pool(2) as pool:
    try: pool.map(work, range(4))
    except ArenaError as error: print(error)
arena.close()
""",
        "memory:", path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert "redis" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("shared", [True, False], ids=["redis", "in process"])
def test_a_fork_amid_bursts_of_threads_ends_and_loses_nothing(
    shared: bool, redis_url: str, path: Path
) -> None:
    """Whatever locks other threads hold at the fork."""
    done = run_program(
        """
arena = arena_tui.connect()

def emit(number):
    for game in range(20):
        with arena.run("g", run_id=f"r{number}-{game}") as run:
            play(run, 100)

threads = [threading.Thread(target=emit, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
pids = []
for number in range(12):
    pid = os.fork()
    if not pid:
        try:
            with arena.run("g", run_id=f"child-{number}") as run:
                play(run)
        except ArenaError:
            sys.exit(3)
        sys.exit(0)
    pids.append(pid)
print(*(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids))
for thread in threads: thread.join()
arena.close()
""",
        redis_url if shared else "memory:", path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    expected = {f"r{number}-{game}": 102 for number in range(4) for game in range(20)}
    if shared:
        assert done.stdout.split() == ["0"] * 12
        expected |= {f"child-{number}": 12 for number in range(12)}
        assert {run: counts.total() for run, counts in published(redis_url).items()} == expected
    else:
        assert done.stdout.split() == ["3"] * 12
        assert {run: events for run, (events, _) in stored(path).items()} == expected


def test_a_child_keeps_a_store_of_its_own_beside_that_of_its_parent(path: Path) -> None:
    done = run_program(
        """
arena = arena_tui.connect()
with arena.run("g", run_id="r") as run:
    pid = os.fork()
    if not pid:
        with arena_tui.connect(db=os.environ["ARENA_DB"] + "2") as own:
            play(own.run("g", run_id="child"))
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    play(run)
arena.close()
""",
        "memory:", path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert stored(path) == {"r": (12, None)}
    assert stored(Path(f"{path}2")) == {"child": (12, "its connection was closed")}


def test_a_child_whose_server_is_gone_is_told_and_ends(make_redis: MakeRedis, path: Path) -> None:
    server = make_redis()

    done = run_program(
        """
import signal
arena = arena_tui.connect()
run = arena.run("g", run_id="r").__enter__()
os.kill(int(os.environ["SERVER"]), signal.SIGKILL)
for number in range(2):
    pid = os.fork()
    if not pid:
        if number:
            try: run.action("e4")
            except ArenaError as error: print(error)
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
os._exit(0)
""",
        server.url, path, SERVER=str(server.pid),
    )  # fmt: skip

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("cannot reach redis")
    assert done.stdout.count("\n") == 1


def test_a_subprocess_changes_nothing(redis_url: str, path: Path) -> None:
    done = run_program(
        """
import subprocess
with arena_tui.connect() as arena, arena.run("g", run_id="r") as run:
    play(run)
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    play(run)
""",
        redis_url, path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert published(redis_url)["r"].total() == 22
