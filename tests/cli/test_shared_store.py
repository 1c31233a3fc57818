"""Commands beside a process that has the store open: they print what they always print."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from arena_tui.broker.attached.broker import AttachedBroker
from arena_tui.errors import StoreError
from arena_tui.store.owner import Attached
from arena_tui.store.remote import RemoteDatabase
from tests.cli.test_commands import arena, lines, surroundings
from tests.programs import started
from tests.waiting import until_blocking

OWNER = """\
import sys
import arena_tui

with arena_tui.connect() as arena:
    for name in ("one", "two"):
        with arena.run(game="chess", agents=["a", "b"], run_id=name) as run:
            for turn in range(20):
                run.turn(turn, player="ab"[turn % 2])
                run.action("e4")
    with arena.run(game="chess", run_id="three") as run:
        print("ready", flush=True)
        sys.stdin.read()
"""


ENDLESS = "SELECT count(*) FROM range(10000000000000)"


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with two runs that are over and one that goes on, until its input ends."""
    with started(OWNER, says="ready", env=surroundings(tmp_path)) as process:
        yield process
        process.kill()


def stored(folder: Path) -> bool:
    found = arena(folder, "runs", "--json")
    return [each["run_id"] for each in lines(found.stdout)] == ["one", "two", "three"]


@pytest.mark.parametrize(
    "command",
    ["show one --json", "show two", "events one --json", "events two --from 3 --to 7",
     "runs turns>5 --json", "runs turns>5", "ratings --json", "ratings"],
)  # fmt: skip
def test_what_is_printed_does_not_depend_on_who_has_the_store_open(
    owner: subprocess.Popen[str], tmp_path: Path, command: str
) -> None:
    until_blocking(lambda: stored(tmp_path))

    beside = arena(tmp_path, *command.split())
    owner.communicate()
    alone = arena(tmp_path, *command.split())

    assert (beside.returncode, beside.stderr) == (0, "")
    assert beside.stdout
    assert beside.stdout == alone.stdout


def test_a_run_that_goes_on_is_running_and_one_that_was_killed_is_not(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    until_blocking(lambda: stored(tmp_path))

    (beside,) = lines(arena(tmp_path, "show", "three", "--json").stdout)
    (found,) = lines(arena(tmp_path, "runs", "status:running", "--json").stdout)
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    (alone,) = lines(arena(tmp_path, "show", "three", "--json").stdout)
    (found_alone,) = lines(arena(tmp_path, "runs", "status:silent", "--json").stdout)

    assert (beside["status"], alone["status"]) == ("running", "silent")
    assert (found["run_id"], found_alone["run_id"]) == (beside["run_id"], beside["run_id"])


def test_the_store_verifies_beside_its_owner(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    until_blocking(lambda: stored(tmp_path))

    verified = arena(tmp_path, "verify", "--json")

    assert verified.returncode == 0
    assert lines(verified.stdout)[-1]["runs"] == 3


def test_a_mistake_is_told_in_the_same_words(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    until_blocking(lambda: stored(tmp_path))

    beside = arena(tmp_path, "show", "nope")
    owner.communicate()
    alone = arena(tmp_path, "show", "nope")

    assert (beside.returncode, beside.stderr) == (alone.returncode, alone.stderr)
    assert "the store has no run 'nope'" in beside.stderr


def test_doctor_says_who_has_the_store_open_and_who_shares_it(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    until_blocking(lambda: stored(tmp_path))
    with closing(RemoteDatabase(str(tmp_path / "arena.duckdb"), patience_s=5)) as reading:
        sleeping = threading.Thread(target=read_until_killed, args=[reading])
        sleeping.start()
        try:
            until_blocking(lambda: clients(reading))
            told = arena(tmp_path, "doctor").stdout
            as_json = arena(tmp_path, "doctor", "--json").stdout
        finally:
            owner.kill()
            sleeping.join()
    alone = arena(tmp_path, "doctor").stdout
    found = {each["check"]: each for each in lines(as_json)}

    assert "3 runs, " in told
    assert f"open in process {owner.pid} (arena-tui 0.1.0)" in found["store"]["detail"]
    assert f"✓ owner       python -c (process {owner.pid}), since 20" in told
    assert f"; shared with {os.getpid()} (reader)\n" in told
    assert found["owner"]["owner"]["pid"] == owner.pid
    assert found["owner"]["owner"]["clients"] == [{"pid": os.getpid(), "kind": "reader"}]
    assert "unfinished" not in found
    assert "1 run without an end, and nobody has the store open" in alone
    assert "owner" not in alone


def test_doctor_says_who_publishes_and_who_watches(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    until_blocking(lambda: stored(tmp_path))
    script = OWNER.replace("one", "four").replace("two", "five").replace("three", "six")

    async def watched() -> str:
        broker = AttachedBroker(str(tmp_path / "arena.duckdb"))
        await broker.start()
        told = await asyncio.to_thread(arena, tmp_path, "doctor")
        await broker.aclose()
        return told.stdout

    with started(script, says="ready", env=surroundings(tmp_path)) as agent:
        told = asyncio.run(watched())
    until_blocking(lambda: "mirror" not in arena(tmp_path, "doctor").stdout)

    both = sorted([f"{agent.pid} (producer)", f"{os.getpid()} (mirror)"], key=pid_in)
    assert f"; shared with {', '.join(both)}\n" in told


def pid_in(client: str) -> int:
    return int(client.partition(" ")[0])


def read_until_killed(database: RemoteDatabase) -> None:
    with suppress(StoreError):
        database.read_now(lambda each: each.execute(ENDLESS).fetchall())


def clients(database: RemoteDatabase) -> bool:
    found = database.owner()
    return found is not None and Attached(os.getpid(), "reader") in found.clients


def test_a_run_that_goes_on_is_not_closed_from_outside(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    until_blocking(lambda: stored(tmp_path))

    alive = arena(tmp_path, "close", "three")
    over = arena(tmp_path, "close", "one")

    assert (alive.returncode, over.returncode) == (2, 2)
    assert "run three is alive, in a process that shares the store: end that process" in (
        alive.stderr
    )
    assert "run one has ended (finished): nothing to close" in over.stderr


def test_lines_are_published_into_the_store_that_another_process_has_open(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    line = '{"run_id": "line", "kind": "run_start", "game": "go"}\n'

    published = arena(tmp_path, "publish", "--json", given=line)
    (shown,) = lines(arena(tmp_path, "show", "line", "--json").stdout)

    assert (published.returncode, lines(published.stdout)[0]["published"]) == (0, 1)
    assert (shown["status"], shown["events"]) == ("stopped", 2)


def test_without_a_server_or_another_process_lines_are_published_into_the_store(
    tmp_path: Path,
) -> None:
    arena(tmp_path, "publish", given='{"run_id": "a", "kind": "log", "text": "x"}\n')

    assert [each["events"] for each in lines(arena(tmp_path, "runs", "--json").stdout)] == [1]


def test_a_run_whose_producer_died_is_ended_through_the_owner(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    script = OWNER.replace('"one", "two"', "").replace("three", "dead")
    with started(script, says="ready", env=surroundings(tmp_path)) as dying:
        alive = arena(tmp_path, "close", "dead")
        until_blocking(lambda: "dead" in arena(tmp_path, "runs").stdout)
        dying.kill()

    closed = arena(tmp_path, "close", "dead")
    (shown,) = lines(arena(tmp_path, "show", "dead", "--json").stdout)

    assert alive.returncode == 2
    assert "is alive" in alive.stderr or "has no run" in alive.stderr
    assert closed.returncode == 0, closed.stderr
    assert shown["status"] == "stopped"
    assert arena(tmp_path, "close", "three").returncode == 2
