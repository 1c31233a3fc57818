"""A run id that is wanted twice: each game has a run of its own, whoever else has the name."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
import redis

import arena_tui
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.stream import HEARTBEAT_S
from arena_tui.errors import BrokerError, StoreError
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.names import Names
from arena_tui.store.database import Database
from arena_tui.store.history import History, read_runs
from arena_tui.store.verify import verify_store
from tests.faults.accounts import entries
from tests.waiting import until_blocking

GAME = """
import sys
import arena_tui

with arena_tui.connect(sys.argv[1], store=False) as arena:
    sys.stdin.readline()
    with arena.run("g", run_id="r") as run:
        print(run.id, flush=True)
        for number in range(10):
            run.action(str(number))
        sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ARENA_BROKER", "ARENA_DB", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ARENA_CONFIG", str(tmp_path / "config.toml"))


def two_at_once(arena: arena_tui.Arena) -> list[str]:
    """Play two games of ten actions under one name, in turn; returns what they are called."""
    with arena.run("g", run_id="r") as one:
        with arena.run("g", run_id="r") as two:
            for number in range(10):
                one.action(str(number))
                two.action(str(number))
        one.log("the other one has ended")
    return [one.id, two.id]


def stored(path: str) -> dict[str, tuple[int, str | None]]:
    """Events and status of each run of a store without a fault."""
    database = Database(path)
    assert [each for each in database.read_now(verify_store) if each.problems] == []
    runs = database.read_now(lambda c: read_runs(c, sort="run_id", descending=False))
    database.close()
    return {run.run_id: (run.events, run.status) for run in runs}


def actions(url: str, run_id: str) -> int:
    return sum(each.text == "action" for each in entries(url, run_id))


def test_two_games_of_one_name_in_one_process_are_two_runs(tmp_path: Path) -> None:
    path = str(tmp_path / "arena.duckdb")

    with arena_tui.connect(db=path) as arena:
        names = two_at_once(arena)

    assert names == ["r", "r-2"]
    assert stored(path) == {"r": (13, "finished"), "r-2": (12, "finished")}


def test_two_games_of_one_name_over_a_server_are_two_runs(each_redis_url: str) -> None:
    with arena_tui.connect(each_redis_url, store=False) as arena:
        names = two_at_once(arena)

    assert names == ["r", "r-2"]
    assert [actions(each_redis_url, name) for name in names] == [10, 10]


def test_a_cell_run_again_is_a_run_of_its_own_in_later_sessions_too(tmp_path: Path) -> None:
    path = str(tmp_path / "arena.duckdb")
    names = []

    for _ in range(2):
        with arena_tui.connect(db=path) as arena:
            for _ in range(2):
                with arena.run("g", run_id="cell") as run:
                    run.action("e4")
                names.append(run.id)

    assert names == ["cell", "cell-2", "cell-3", "cell-4"]
    assert set(stored(path).values()) == {(3, "finished")}


def test_a_cell_run_again_is_a_run_of_its_own_even_when_the_server_has_let_it_go(
    each_redis_url: str,
) -> None:
    names = []

    for _ in range(3):
        with (
            arena_tui.connect(each_redis_url, store=False) as arena,
            arena.run("g", run_id="cell") as run,
        ):
            run.action("e4")
        names.append(run.id)
        with redis.Redis.from_url(each_redis_url) as client:  # as when it has expired
            client.delete(f"arena:{run.id}:meta", f"arena:{run.id}:events")

    assert names == ["cell", "cell-2", "cell-3"]


def started(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", GAME, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def told(process: subprocess.Popen[str], line: str = "\n") -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def name_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_processes_that_race_for_a_name_are_runs_of_their_own(each_redis_url: str) -> None:
    processes = [started(each_redis_url) for _ in range(3)]

    for process in processes:
        told(process)
    names = {name_of(process) for process in processes}
    for process in processes:
        process.communicate("\n")

    assert names == {"r", "r-2", "r-3"}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert [actions(each_redis_url, name) for name in sorted(names)] == [10, 10, 10]


def test_a_killed_game_that_is_started_again_goes_on_in_its_run(each_redis_url: str) -> None:
    killed = started(each_redis_url)
    told(killed)
    name_of(killed)
    until_blocking(lambda: actions(each_redis_url, "r") == 10)
    killed.kill()
    killed.communicate()

    again = started(each_redis_url)
    told(again)
    name = name_of(again)
    again.communicate("\n")

    assert (name, again.returncode) == ("r", 0)
    assert actions(each_redis_url, "r") == 20


def test_a_name_of_another_machine_is_free_once_its_producer_is_silent(
    each_redis_url: str,
) -> None:
    with redis.Redis.from_url(each_redis_url) as client:
        for run_id, silent_s in (("alive", 1), ("silent", 3 * HEARTBEAT_S + 1)):
            at = int((client.time()[0] - silent_s) * 1_000)
            client.hset(f"arena:{run_id}:meta", mapping={
                "run": f'{{"run_id":"{run_id}"}}', "epoch": 5, "seq": 0, "status": "open",
                "alive": at,
            })  # fmt: skip
            client.hset(f"arena:{run_id}:name", "owner", "elsewhere 1 1")

    with arena_tui.connect(each_redis_url, store=False) as arena:
        names = [arena.run("g", run_id=run_id).id for run_id in ("alive", "silent")]

    assert names == ["alive-2", "silent"]


def test_a_taken_name_is_said_once_with_the_new_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with arena_tui.connect(db=str(tmp_path / "arena.duckdb")) as arena:
        two_at_once(arena)

    assert [text for text in caplog.messages if "r-2" in text] == [
        "run r-2: the run id r is taken, so this run has another one"
    ]


def test_a_long_name_stays_an_id(tmp_path: Path) -> None:
    with arena_tui.connect(db=str(tmp_path / "arena.duckdb")) as arena:
        for _ in range(2):
            with arena.run("g", run_id="x" * 128) as run:
                run.action("e4")

    assert run.id == f"{'x' * 126}-2"


def test_threads_that_want_one_name_each_have_a_run(tmp_path: Path) -> None:
    path = str(tmp_path / "arena.duckdb")

    def play(arena: arena_tui.Arena) -> None:
        with arena.run("g", run_id="r") as run:
            run.action("e4")

    with arena_tui.connect(db=path) as arena:
        in_threads(8, lambda: play(arena))

    assert list(stored(path).values()) == [(3, "finished")] * 8


def in_threads(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_name_wanted_while_the_connection_closes_is_an_error_of_ours(
    each_redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[BaseException] = []

    def play(arena: arena_tui.Arena, thread: str) -> None:
        for number in count():
            try:
                arena.run("g", run_id=f"{thread}-{number}").end()
            except BaseException as error:  # noqa: BLE001 - it is what is looked at
                raised.append(error)
                return

    for _ in range(10):
        arena = arena_tui.connect(each_redis_url, store=False)
        threads = [threading.Thread(target=play, args=(arena, str(n))) for n in range(4)]
        for thread in threads:
            thread.start()
        arena.run("g", run_id="x").end()
        with suppress(BrokerError):  # it says how many came too late
            arena.close()
        for thread in threads:
            thread.join(30)

    assert {type(error) for error in raised} == {BrokerError}
    assert len(raised) == 40
    assert "used unseen" not in caplog.text


def test_a_store_that_cannot_be_read_keeps_no_game_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> int:
        raise StoreError("the disk is gone")

    with arena_tui.connect(db=str(tmp_path / "arena.duckdb")) as arena:
        monkeypatch.setattr(History, "count", fails)

        with arena.run("g", run_id="r") as run:
            run.action("e4")

    assert run.id == "r"


def test_a_name_asked_of_a_loop_that_has_just_stopped_is_an_error_of_ours() -> None:
    loop = asyncio.new_event_loop()

    async def made() -> Names:
        broker = InProcessBroker()
        return Names(broker, MultiRunBrokerSink(broker), lambda: None)

    names = loop.run_until_complete(made())
    thread = threading.Thread(target=lambda: asked.append(name_or_error(names)), daemon=True)
    asked: list[object] = []
    thread.start()
    thread.join(30)
    loop.run_until_complete(loop.shutdown_asyncgens())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    assert [type(each) for each in asked] == [BrokerError]


def name_or_error(names: Names) -> object:
    try:
        return names.name("r")
    except BaseException as error:  # noqa: BLE001 - it is what is looked at
        return error


def test_the_hundredth_run_of_a_name_asks_for_few_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, asked, found = str(tmp_path / "arena.duckdb"), [], History.count

    async def counted(history: History, where: str, parameters: list[str]) -> int:
        asked.append(parameters[0])
        return await found(history, where, parameters)

    with arena_tui.connect(db=path) as arena:
        for _ in range(50):
            arena.run("g", run_id="r").end()
    monkeypatch.setattr(History, "count", counted)

    with arena_tui.connect(db=path) as arena:
        names = []
        for _ in range(50):
            run = arena.run("g", run_id="r")
            run.end()
            names.append(run.id)

    assert names == [f"r-{number}" for number in range(51, 101)]
    assert len(asked) < 200
