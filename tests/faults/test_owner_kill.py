"""Commands that read beside an owner that is killed again and again: every answer is right."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import threading
from pathlib import Path

from tests.cli.test_commands import arena, lines, surroundings
from tests.faults.accounts import FULL
from tests.programs import started
from tests.waiting import pause

READS = 50 if FULL else 20
OWNERS = 8 if FULL else 4
STAYS_S = 1.0
"""For how long an owner answers before it is killed."""

OWNER = """\
import os
import sys
import threading
import arena_tui

while True:
    try:
        arena = arena_tui.connect()
        break
    except arena_tui.errors.StoreLockedError:  # somebody reads it at this moment
        threading.Event().wait(0.01)
with arena.run(game="g", run_id=sys.argv[1]) as run:
    for number in range(200):
        run.log(str(number))
while "finished" not in [each["status"] for each in arena_tui.history().runs(f"run:{sys.argv[1]}")]:
    threading.Event().wait(0.01)
print("stored", flush=True)
sys.stdin.read()
"""


def own(folder: Path, name: str) -> subprocess.Popen[str]:
    """A process that has stored a run of this name, and has the store open."""
    return started(OWNER, name, says="stored", env=surroundings(folder))


def test_every_answer_is_whole_while_owners_come_and_are_killed(tmp_path: Path) -> None:
    known = [0]

    def replace_owners() -> None:
        for number in range(OWNERS):
            with own(tmp_path, f"r{number}") as owner:
                known.append(number + 1)
                asyncio.run(pause(STAYS_S))
                owner.send_signal(signal.SIGKILL)

    replacing = threading.Thread(target=replace_owners)
    with own(tmp_path, "first") as first:
        first.kill()
    replacing.start()
    counts: list[int] = []
    while replacing.is_alive() or len(counts) < READS:
        at_least = known[-1]
        done = arena(tmp_path, "runs", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        found = {each["run_id"]: each for each in lines(done.stdout)}
        stored = ["first", *(f"r{number}" for number in range(at_least))]
        assert found.keys() >= set(stored)
        assert {(found[each]["events"], found[each]["status"]) for each in stored} == {
            (202, "finished")
        }
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[-1] == 1 + OWNERS
    assert arena(tmp_path, "verify").returncode == 0
