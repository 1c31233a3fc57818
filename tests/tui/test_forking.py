"""Scripts in a dashboard that fork: their children end, and harm neither terminal nor store."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from arena_tui.store.verify import verify_store
from tests.tui.terminal import OpenTerminal

BROKERS = ["memory:", "a server"]

SCRIPT = """\
import multiprocessing, os, sys, threading, arena_tui

arena = arena_tui.connect()

def work(number):
    try:
        with arena_tui.connect() as own, own.run("child") as run:
            run.turn(1)
        with arena.run("child") as run:
            run.turn(1)
    except arena_tui.errors.ArenaError as error:
        return repr(error)
    return "done"

with multiprocessing.get_context("fork").Pool(2) as pool:
    told = set(pool.map(work, range(4)))
fork = multiprocessing.get_context("fork")
ready = fork.Event()

def wait():
    ready.set()
    threading.Event().wait()

waiting = fork.Process(target=wait)
waiting.start()
ready.wait()
waiting.terminate()
waiting.join()
codes = [waiting.exitcode]
for number in range(2):
    pid = os.fork()
    if not pid:
        print("PRINTED")
        told.add(work(number))
        break
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
if not pid and number:
    sys.exit(3)
if pid:
    with arena.run("-".join(map(str, [*told, *codes]))) as run:
        run.turn(1)
"""


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> str:
    """In process with a store's file, and a server."""
    if request.param == "memory:":
        return "memory:"
    url: str = request.getfixturevalue("redis_url")
    return url


def test_children_of_a_script_leave_the_dashboard_alone(
    broker: str, tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    script = tmp_path / "agent.py"
    script.write_text(SCRIPT)
    db = tmp_path / "arena.duckdb"
    expected = "done--15-0-3"

    terminal = open_terminal(
        [sys.executable, "-m", "arena_tui", "--broker", broker, "--db", str(db),
         "--play", str(script)]
    )  # fmt: skip
    terminal.wait_for(expected)
    terminal.wait_for("39 events, all stored")
    terminal.wait_for("exited 0")
    terminal.press(b"q")

    assert terminal.wait() == 0
    assert "Traceback" not in terminal.raw.decode(errors="replace")
    database = Database(str(db))
    assert [verdict for verdict in database.read_now(verify_store) if verdict.problems] == []
    runs = database.read_now(read_runs)
    database.close()
    counts = [(run.game, run.events, run.status) for run in runs]
    assert sorted(counts) == sorted([(expected, 3, "finished"), *([("child", 3, "finished")] * 12)])


YOUNG = """
import os, signal, time
import arena_tui
arena = arena_tui.connect()

def signalled():
    pid = os.fork()
    if not pid:
        signal.pause()
    os.kill(pid, signal.SIGTERM)
    return pid

alive = [signalled() for _ in range(100)]
deadline = time.monotonic() + 60
while alive and time.monotonic() < deadline:
    alive = [pid for pid in alive if os.waitpid(pid, os.WNOHANG) == (0, 0)]
for pid in alive:
    os.kill(pid, signal.SIGKILL)
with arena.run(f"alive-{len(alive)}") as run:
    run.turn(1)
"""


def test_no_child_of_a_script_is_so_young_that_it_misses_its_signal(
    broker: str, tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    """Nor does the dashboard, whose handler it has inherited, get the signal instead."""
    script = tmp_path / "agent.py"
    script.write_text(YOUNG)

    terminal = open_terminal(
        [sys.executable, "-m", "arena_tui", "--broker", broker, "--db", str(tmp_path / "db"),
         "--play", str(script)]
    )  # fmt: skip
    terminal.wait_for("alive-0")
    terminal.wait_for("-1 script")
    terminal.press(b"q")

    assert terminal.wait() == 0
