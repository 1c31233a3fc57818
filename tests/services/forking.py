"""Programs that fork, and what is recorded by them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path
from textwrap import indent

import redis

from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from tests.store_fixture import problems

ENDS_WITHIN_S = 30
IN_PROCESS = "memory:"
KINDS = "SELECT run_id, kind, count(*) FROM events GROUP BY ALL"
WHOLE = {"run_start": 1, "turn_start": 10, "run_end": 1}

BEGINNING = """\
import collections, multiprocessing, os, sys, threading
import arena_tui
from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.protocol import Consumer
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


def forking_amid_bursts(connect: str, child: str) -> str:
    """A program with four threads that play 20 runs of 102 events each, and twelve forks amid
    that; what a child does may use its `number`. Prints their exit codes."""
    return f"""
arena = {connect}

def emit(number):
    for game in range(20):
        with arena.run("g", run_id=f"r{{number}}-{{game}}") as run:
            play(run, 100)

threads = [threading.Thread(target=emit, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
pids = []
for number in range(12):
    pid = os.fork()
    if not pid:
{indent(child, " " * 8)}
        sys.exit(0)
    pids.append(pid)
print(*(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids))
for thread in threads: thread.join()
arena.close()
"""


def recorded(broker: str, path: Path) -> dict[str, Counter[str]]:
    """How many events of each kind there are of each run: on the server, or in a clean store."""
    return kinds_stored(path) if broker == IN_PROCESS else published(broker)


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
    with closing(Database(str(path))) as database:
        assert problems(database) == []
        runs = database.read_now(lambda c: read_runs(c, sort="run_id", descending=False))
    return {totals.run_id: (totals.events, totals.reason) for totals in runs}


def kinds_stored(path: Path) -> dict[str, Counter[str]]:
    """How many events of each kind there are of each run of a clean store without gaps."""
    runs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    with closing(Database(str(path))) as database:
        assert problems(database) == []
        assert database.read_now(lambda c: c.execute("FROM gaps").fetchall()) == []
        for run_id, kind, count in database.read_now(lambda c: c.execute(KINDS).fetchall()):
            runs[run_id][kind] = count
    return dict(runs)


ENDS = {
    "a process": "process = multiprocessing.get_context('fork').Process(target=child)\n"
    "process.start()\nprocess.join()\ncode = process.exitcode\n",
    "sys.exit": "pid = os.fork()\nif not pid:\n    child()\n    sys.exit(0)\n"
    "code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n",
    "os._exit": "pid = os.fork()\nif not pid:\n    child()\n    arena.close()\n    os._exit(0)\n"
    "code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n",
}
"""Ways in which a program has a child that calls `child()`; then `code` is its exit code."""
