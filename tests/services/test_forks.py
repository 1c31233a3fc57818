"""Programs that fork, in every way: what their children record, and that all of it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.redis_fixture import BINARIES, MakeRedis
from tests.services.forking import (
    ENDS,
    IN_PROCESS,
    WHOLE,
    forking_amid_bursts,
    recorded,
    run_program,
    stored,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "arena.duckdb"


@pytest.fixture(params=[IN_PROCESS, *(BINARIES or ["a server"])])
def broker(request: pytest.FixtureRequest, redis_url_of: Callable[[str], str]) -> str:
    """In process with a store's file, and every kind of server, in turn."""
    return IN_PROCESS if request.param == IN_PROCESS else redis_url_of(request.param)


def test_workers_of_a_pool_record_through_the_connection_they_inherit(
    broker: str, path: Path
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
        broker, path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert recorded(broker, path) == {f"r{number}": WHOLE for number in range(6)}


@pytest.mark.parametrize("fork", ENDS.values(), ids=ENDS)
def test_a_run_that_is_open_in_the_parent_is_the_parent_s_to_end(
    fork: str, broker: str, path: Path
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
        broker, path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    runs = recorded(broker, path)
    assert runs["r"]["turn_start"] == 40
    assert runs["r"]["run_end"] == 1
    assert runs["r"].total() == 42
    assert runs["own"] == {"run_start": 1, "action": 1, "run_end": 1}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_that_connect_themselves_record_everything(
    method: str, broker: str, path: Path
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
        broker, path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert recorded(broker, path) == dict.fromkeys(["r0", "r1", "r2", "parent"], WHOLE)


def test_a_fork_amid_bursts_of_threads_ends_and_loses_nothing(broker: str, path: Path) -> None:
    """Whatever locks other threads hold at the fork."""
    done = run_program(
        forking_amid_bursts("arena_tui.connect()", """\
with arena.run(f"g", run_id=f"child-{number}") as run:
    play(run)"""),
        broker, path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["0"] * 12
    expected = {f"r{number}-{game}": 102 for number in range(4) for game in range(20)}
    expected |= {f"child-{number}": 12 for number in range(12)}
    assert {run: kinds.total() for run, kinds in recorded(broker, path).items()} == expected


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


def test_a_subprocess_changes_nothing(broker: str, path: Path) -> None:
    done = run_program(
        """
import subprocess
with arena_tui.connect() as arena, arena.run("g", run_id="r") as run:
    play(run)
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    play(run)
""",
        broker, path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert recorded(broker, path)["r"].total() == 22
