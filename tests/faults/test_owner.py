"""Owners of a store that are killed, stopped, cut off, or have no room, while others use it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from arena_tui.broker.timing import Timing
from arena_tui.config import Config
from arena_tui.services.runtime import Runtime
from arena_tui.services.sharing import is_owned, make_runtime
from arena_tui.unix_socket import socket_path
from tests.cli.test_commands import arena, lines, surroundings
from tests.faults.accounts import FULL
from tests.faults.agents import Agent, account, end, owner_of, problems, reading, start
from tests.waiting import pause, until, until_blocking

KILLS = 10 if FULL else 4
ALIVE = 14 if FULL else 4
STOPPED_S = 30.0 if FULL else 3.0


@pytest.fixture
def agents() -> Iterator[list[Agent]]:
    """Those that a test starts; what is left of them is ended after it."""
    started: list[Agent] = []
    yield started
    end(started)


def serving(folder: Path) -> Agent:
    """A process that only shows what the others do."""
    words = [sys.executable, "-m", "arena_tui", "serve", "--port", "0"]
    process = subprocess.Popen(
        words, env=surroundings(folder), text=True, start_new_session=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return Agent(process, (), 0)


def owner_among(agents: list[Agent], folder: Path, but: set[int]) -> Agent | None:
    """The owner, if it is one of these that still runs, and none of those."""
    pid = owner_of(folder)
    if pid is None or pid in but:
        return None
    alive = (each for each in agents if each.process.poll() is None)
    return next((each for each in alive if each.process.pid == pid), None)


def stored(folder: Path, name: str) -> int:
    """How many events of a run are stored."""
    database = reading(folder)
    try:
        query = "SELECT coalesce(max(seq), 0) FROM events WHERE run_id = ?"
        ((count,),) = database.read_now(lambda each: each.execute(query, [name]).fetchall())
    finally:
        database.close()
    return int(count)


def verified(folder: Path) -> bool:
    return lines(arena(folder, "verify", "--json").stdout)[-1]["ok"] is True


async def until_more_is_stored(agents: list[Agent], folder: Path) -> None:
    """Wait for more of each run whose process is alive."""
    for each in agents:
        if each.turns:
            before = stored(folder, each.runs[0])
            await until(
                lambda each=each, before=before: (
                    stored(folder, each.runs[0]) > before or each.process.poll() is not None
                )
            )


async def test_owners_are_killed_and_no_event_of_who_lives_is_lost_or_doubled(
    agents: list[Agent], tmp_path: Path
) -> None:
    chance = random.Random(24)
    turns = 3_000 if FULL else 300
    pools = [start(tmp_path, pool, 200, 0.02, pool) for pool in ("fork", "spawn")]
    agents += [*pools, *(start(tmp_path, f"run-{n}", turns, 0.02) for n in range(ALIVE))]
    dashboards = [serving(tmp_path)]
    agents += dashboards
    killed: set[int] = set()
    # The children of a pool would outlive it.
    spared = {each.process.pid for each in pools}
    while len(killed) < KILLS:
        if len(killed) % 3 == 2:
            # Closing gives up what makes no progress for ten seconds: nobody waits that long.
            await until_more_is_stored(agents, tmp_path)
        owner = await until(lambda: owner_among(agents, tmp_path, killed | spared))
        await pause(chance.uniform(0, 0.3))
        owner.process.kill()
        await asyncio.to_thread(owner.process.wait)
        killed.add(owner.process.pid)
        if owner is dashboards[-1]:
            dashboards.append(serving(tmp_path))
            agents.append(dashboards[-1])
        agents.append(start(tmp_path, f"after-{len(killed)}", turns, 0.02))
        answer = await asyncio.to_thread(arena, tmp_path, "runs", "--json")
        assert (answer.returncode, answer.stderr) == (0, "")
    for each in agents:
        if each.turns:
            await asyncio.to_thread(each.process.wait, 120)
    dashboards[-1].process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(dashboards[-1].process.wait, 60)

    print(f"{len(killed)} owners killed: {account(agents, killed, tmp_path)}")
    assert problems(agents, killed, tmp_path) == []
    assert {each.process.returncode for each in agents} == {0, -signal.SIGKILL}
    assert verified(tmp_path)


async def test_while_the_owner_is_stopped_producers_wait_and_lose_nothing(
    agents: list[Agent], tmp_path: Path
) -> None:
    owner = start(tmp_path, "owner", 100, 0.01)
    agents.append(owner)
    await until(lambda: owner_among([owner], tmp_path, set()))
    turns = 200 + int(STOPPED_S / 0.01)  # so that they play on until after the stop
    others = [start(tmp_path, f"run-{n}", turns, 0.01) for n in range(3)]
    agents += others
    await until(lambda: all(stored(tmp_path, f"run-{n}") for n in range(3)))

    os.kill(owner.process.pid, signal.SIGSTOP)
    await pause(STOPPED_S)
    are_alive = [each.process.poll() is None for each in others]
    os.kill(owner.process.pid, signal.SIGCONT)
    for each in (owner, *others):
        await asyncio.to_thread(each.process.wait, 120)

    assert all(are_alive)
    assert problems([owner, *others], set(), tmp_path) == []
    assert verified(tmp_path)


async def test_a_deleted_socket_cuts_nobody_off(agents: list[Agent], tmp_path: Path) -> None:
    owner = start(tmp_path, "owner", 300, 0.01)
    agents.append(owner)
    await until(lambda: owner_among([owner], tmp_path, set()))
    before = start(tmp_path, "before", 300, 0.01)
    agents.append(before)
    await until(lambda: stored(tmp_path, "before"))

    os.unlink(socket_path(str(tmp_path / "arena.duckdb")))
    after = start(tmp_path, "after", 50, 0.01)
    agents.append(after)
    for each in (owner, before, after):
        await asyncio.to_thread(each.process.wait, 120)

    assert problems([owner, before, after], set(), tmp_path) == []
    assert verified(tmp_path)


def test_what_a_full_disk_keeps_from_being_stored_is_stored_once_there_is_room(
    agents: list[Agent], small_disk: Path
) -> None:
    owner = start(small_disk, "owner", 400, 0.02)
    agents.append(owner)
    until_blocking(lambda: owner_among([owner], small_disk, set()))
    other = start(small_disk, "other", 100, 0.01)
    agents.append(other)
    until_blocking(lambda: stored(small_disk, "other"))
    filler = small_disk / "filler"

    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4_096)
    asyncio.run(pause(1.5))
    filler.unlink()
    for each in (owner, other):
        each.process.wait(120)

    assert problems([owner, other], set(), small_disk) == []
    assert verified(small_disk)


STORES_NO_MORE = """\
import asyncio, os, sys
import arena_tui
from arena_tui.store.database import Database

async def never(self, work):
    await asyncio.Event().wait()

with arena_tui.connect() as arena, arena.run(game="g", run_id="r") as run:
    run.turn(1)
    sys.stdin.readline()
    Database.write = never
    for number in range(5):
        run.action(str(number))
    sys.stdin.readline()
    os._exit(1)
"""


async def test_what_a_mirror_has_seen_and_was_lost_with_the_owner_is_told(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", STORES_NO_MORE], env=surroundings(tmp_path),
        stdin=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert owner.stdin is not None
    config = Config(db=str(tmp_path / "arena.duckdb"))
    await until(lambda: is_owned(config))
    mirror = make_runtime(config, attached=True, timing=Timing(gone_s=0.3))
    await mirror.open()
    try:
        await until(lambda: stored(tmp_path, "r") == 2)
        print(file=owner.stdin, flush=True)
        await until(lambda: _newest(mirror, 7))
        print(file=owner.stdin, flush=True)
        owner.wait()
        warnings = mirror.broker.warnings
        await until(lambda: "lost_with_owner" in warnings.counts())
        (told,) = [str(each) for each in warnings.newest() if each.code == "lost_with_owner"]
    finally:
        owner.kill()
        owner.wait()
        await mirror.aclose()

    assert told.startswith("run r: 5 of its events were lost, before they were stored")


async def _newest(runtime: Runtime, seq: int) -> bool:
    return [info.last_seq for info in await runtime.broker.runs()] == [seq]
