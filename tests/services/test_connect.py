"""`connect()`: from any thread, several at once, forgotten, crashed, or shut out."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import arena_tui
from arena_tui.config import Config
from arena_tui.errors import BrokerError, StoreError, StoreUnreadableError, UsageError
from arena_tui.events import RunEnd
from arena_tui.folds.totals import RunTotals
from arena_tui.services.connect import PROCESS
from arena_tui.services.runtime import Runtime
from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from arena_tui.store.verify import verify_store


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ARENA_BROKER", "ARENA_DB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ARENA_CONFIG", str(tmp_path / "config.toml"))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "arena.duckdb")


def stored(path: str) -> list[RunTotals]:
    """The runs of a clean store, by start."""
    database = Database(path)
    assert [verdict for verdict in database.read_now(verify_store) if verdict.problems] == []
    runs = database.read_now(lambda c: read_runs(c, sort="run_id", descending=False))
    database.close()
    return runs


def test_closing_raises_when_another_file_took_the_store_s_place(path: str, tmp_path: Path) -> None:
    arena = arena_tui.connect(db=path)
    with arena.run("g", run_id="r") as run:
        run.turn(1)
    (tmp_path / "other").write_bytes(b"another file")
    os.replace(tmp_path / "other", path)

    with pytest.raises(StoreError, match="replaced by another file"):
        arena.close()

    (kept,) = tmp_path.glob("arena.duckdb.kept-*")
    assert Path(path).read_bytes() == b"another file"
    assert kept.exists()


def test_a_store_whose_folder_is_deleted_is_there_after_closing(path: str, tmp_path: Path) -> None:
    path = str(tmp_path / "sub" / "arena.duckdb")

    with arena_tui.connect(db=path) as arena, arena.run("g", run_id="r") as run:
        run.turn(1)
        shutil.rmtree(Path(path).parent)

    (totals,) = stored(path)
    assert (totals.run_id, totals.events) == ("r", 3)


def run_script(script: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, path],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_run_is_kept_from_start_to_end(path: str) -> None:
    with arena_tui.connect(db=path) as arena, arena.run("g", ["x", "y"], run_id="r") as run:
        run.turn(1, player="x")
        run.llm_response("hm", input_tokens=3, output_tokens=4, cost_usd=0.5)
        run.action("e4")
        run.end({"x": 1, "y": 0})

    (totals,) = stored(path)
    assert (totals.run_id, totals.game, [agent.id for agent in totals.agents]) == (
        "r", "g", ["x", "y"],
    )  # fmt: skip
    assert (totals.status, totals.outcome, totals.turns, totals.events, totals.cost_usd) == (
        "finished", {"x": 1.0, "y": 0.0}, 1, 5, 0.5,
    )  # fmt: skip


def test_a_crash_in_the_middle_is_kept_and_not_swallowed(path: str) -> None:
    def play() -> None:
        with arena_tui.connect(db=path) as arena, arena.run("g") as run:
            run.action("e4")
            raise ZeroDivisionError("division by zero")

    with pytest.raises(ZeroDivisionError):
        play()

    (totals,) = stored(path)
    assert (totals.status, totals.errors, totals.reason) == ("crashed", 1, "division by zero")


def test_threads_share_one_connection_or_make_their_own(path: str) -> None:
    begun = threading.Barrier(12)

    def play(number: int) -> None:
        begun.wait()
        with arena_tui.connect(db=path) as arena:
            for game in range(3):
                with arena.run("g", run_id=f"r{number:02}-{game}") as run:
                    for turn in range(20):
                        run.turn(turn)

    threads = [threading.Thread(target=play, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    runs = stored(path)
    assert len(runs) == 36
    assert {(totals.events, totals.status) for totals in runs} == {(22, "finished")}


def test_a_run_that_cannot_be_ended_keeps_nothing_else_open(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: str) -> None:
        raise BrokerError("the end of this run is refused")

    arena = arena_tui.connect(db=path)
    poisoned, good = arena.run("g", run_id="a"), arena.run("g", run_id="b")
    for run in (poisoned, good):
        run.action("e4")
    monkeypatch.setattr(poisoned, "end", refuse)

    with pytest.raises(BrokerError, match="the end of this run is refused"):
        arena.close()

    assert good.ended
    assert [(totals.run_id, totals.events) for totals in stored(path)] == [("a", 3), ("b", 3)]


def test_a_setting_raises_the_limit_of_an_event(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = "x" * 1_000_000
    monkeypatch.setenv("ARENA_EVENT_MAX_BYTES", "2000000")

    with arena_tui.connect(db=path) as arena, arena.run("g") as run:
        run.llm_prompt(prompt)
        run.llm_prompt(prompt * 3)

        assert arena.coerced == 1


async def test_a_connection_is_an_async_context_too(path: str) -> None:
    async with arena_tui.connect(db=path) as arena, arena.run("g", run_id="r") as run:
        await run.room()
        run.action("e4")

    assert [(totals.run_id, totals.status) for totals in stored(path)] == [("r", "finished")]


def test_closing_one_of_two_connections_leaves_the_other_working(path: str) -> None:
    first, second = arena_tui.connect(db=path), arena_tui.connect(db=path)
    forgotten = first.run("g", run_id="forgotten").__enter__()
    never_begun = first.run("g", run_id="never")
    with second.run("g", run_id="later") as run:
        first.close()
        first.close()
        run.action("still here")
    second.close()

    assert forgotten.ended
    assert not never_begun.ended
    assert [(totals.run_id, totals.status, totals.reason) for totals in stored(path)] == [
        ("forgotten", "stopped", "its connection was closed"),
        ("later", "finished", None),
    ]


def test_two_stores_at_once_do_not_mix(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("one.duckdb", "two.duckdb")]
    with arena_tui.connect(db=paths[0]) as one, arena_tui.connect(db=paths[1]) as two:
        with one.run("g", run_id="of-one"):
            pass
        with two.run("g", run_id="of-two"):
            pass

    assert [[totals.run_id for totals in stored(path)] for path in paths] == [
        ["of-one"],
        ["of-two"],
    ]


def test_a_connection_can_follow_another(path: str) -> None:
    for number in range(3):
        with arena_tui.connect(db=path) as arena, arena.run("g", run_id=f"r{number}"):
            pass

    assert [totals.run_id for totals in stored(path)] == ["r0", "r1", "r2"]


def test_nothing_is_accepted_after_closing(path: str) -> None:
    arena = arena_tui.connect(db=path)
    arena.close()

    with pytest.raises(BrokerError, match="closed"):
        arena.run("g")


def test_without_a_store_it_works_and_keeps_nothing(path: str) -> None:
    with arena_tui.connect(db=path, store=False) as arena, arena.run("g"):
        pass

    assert not Path(path).exists()


async def test_within_a_running_app_runs_go_to_its_broker(path: str) -> None:
    runtime = Runtime(Config(db=None))
    PROCESS.offer(runtime)
    everything = runtime.broker.subscribe("screen")

    def play() -> None:
        with arena_tui.connect(db=path) as arena:
            with arena.run("g", run_id="r"):
                pass
            arena.run("g", run_id="left-open").__enter__()

    await asyncio.to_thread(play)
    await runtime.sink.flush()

    got = everything.read_nowait()
    assert [each.run_id for each in got] == ["r", "r", "left-open", "left-open"]
    assert isinstance(got[-1].event, RunEnd)  # type: ignore[union-attr]
    assert not Path(path).exists()
    PROCESS.withdraw(runtime)
    await runtime.aclose()


async def test_a_runtime_is_joined_from_its_offer_to_its_withdrawal(path: str) -> None:
    offered, other = Runtime(Config(db=None)), Runtime(Config(db=None))
    PROCESS.offer(offered)
    PROCESS.withdraw(other)
    still_offered = PROCESS.offered
    PROCESS.withdraw(offered)

    def play() -> None:
        with arena_tui.connect(db=path) as arena, arena.run("g", run_id="r"):
            pass

    await asyncio.to_thread(play)

    assert still_offered is offered
    assert await offered.broker.runs() == []
    assert [totals.run_id for totals in stored(path)] == ["r"]
    for runtime in (offered, other):
        await runtime.aclose()


def test_a_program_that_forgets_to_close_still_stores_everything(path: str) -> None:
    done = run_script(
        "import sys, threading, arena_tui\n"
        "arena = arena_tui.connect(db=sys.argv[1])\n"
        "def play(number):\n"
        "    run = arena.run('g', run_id=f'r{number}').__enter__()\n"
        "    for turn in range(3000): run.turn(turn)\n"
        "for number in range(4): threading.Thread(target=play, args=(number,)).start()\n",
        path,
    )

    assert (done.returncode, done.stderr) == (0, "")
    runs = stored(path)
    assert [(totals.events, totals.status) for totals in runs] == [(3_002, "stopped")] * 4


def test_what_is_forgotten_is_closed_before_duckdb_s_own_exit_functions(path: str) -> None:
    done = run_script(
        "import atexit, sys\n"
        "order, register = [], atexit.register\n"
        "atexit.register = lambda f, *args: (order.append(f), register(f, *args))[1]\n"
        "import arena_tui\n"
        "for number in range(2):\n"
        "    arena_tui.connect(db=f'{sys.argv[1]}{number}')\n"
        "    print(getattr(order[-1], '__name__', ''), 'duckdb' in sys.modules)\n",
        path,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "close_forgotten True\n" * 2


def test_a_program_that_dies_of_an_error_still_stores_everything(path: str) -> None:
    done = run_script(
        "import sys, arena_tui\n"
        "arena = arena_tui.connect(db=sys.argv[1])\n"
        "with arena.run('g', run_id='r') as run:\n"
        "    run.turn(1)\n"
        "    raise SystemExit(5)\n",
        path,
    )

    assert (done.returncode, done.stderr) == (5, "")
    assert [(totals.events, totals.status) for totals in stored(path)] == [(3, "stopped")]


def test_a_second_process_records_into_the_store_that_the_first_has_open(path: str) -> None:
    with arena_tui.connect(db=path) as arena, arena.run("g", run_id="first") as run:
        done = run_script(
            "import sys, arena_tui\n"
            "with arena_tui.connect(db=sys.argv[1]) as arena:\n"
            "    for name in ('second', 'first'):\n"
            "        with arena.run('g', run_id=name) as run:\n"
            "            run.turn(1)\n"
            "            print(run.id)\n"
            "print([each['run_id'] for each in arena_tui.history(sys.argv[1]).runs('second')])\n",
            path,
        )
        run.turn(1)

    assert done.returncode == 0
    assert done.stdout.splitlines() == ["second", "first-2", "['second']"]
    assert done.stderr.count("\n") == 1  # of the name
    assert {(each.run_id, each.events, each.status) for each in stored(path)} == {
        (name, 3, "finished") for name in ("first", "second", "first-2")
    }


def test_a_connection_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    bad = tmp_path / "bad.duckdb"
    bad.write_text("not a store")
    before = threading.active_count()

    for _ in range(3):
        with pytest.raises(StoreUnreadableError):
            arena_tui.connect(db=str(bad))
    with pytest.raises(UsageError, match="unknown broker"):
        arena_tui.connect("mqtt://host", db=str(bad))

    assert threading.active_count() <= before + 1


def test_what_could_not_be_stored_is_an_error_on_closing(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Database, "write", refuse)
    monkeypatch.setitem(Runtime.__init__.__kwdefaults__, "give_up_s", 0.1)  # type: ignore[arg-type]
    arena = arena_tui.connect(db=path)
    with arena.run("g"):
        pass

    with pytest.raises(StoreError, match="2 events could not be stored: the disk is full"):
        arena.close()
