"""Programs that a signal ends: what they recorded is stored, and they end of that signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services.forking import published, stored

BEGINNING = """\
import asyncio, os, signal, sys, threading, time
import arena_tui
from arena_tui.broker import warnings
import logging
logging.getLogger(warnings.__name__).setLevel(logging.ERROR)  # says that the server has no AOF

def play(run, turns=10):
    for turn in range(turns):
        run.turn(turn)

def ready():
    print("ready", flush=True)

"""
WAITING = {
    "in a run": """
with arena_tui.connect() as arena, arena.run("g", run_id="r") as run:
    play(run); ready()
    threading.Event().wait()
""",
    "in a forgotten connection": """
arena = arena_tui.connect()
run = arena.run("g", run_id="r")
play(run); ready()
threading.Event().wait()
""",
    "in asyncio": """
async def main():
    async with arena_tui.connect() as arena, arena.run("g", run_id="r") as run:
        play(run); ready()
        await asyncio.Event().wait()
asyncio.run(main())
""",
    "beside a thread that goes on": """
arena = arena_tui.connect()
run = arena.run("g", run_id="r")
play(run)
threading.Thread(target=threading.Event().wait).start()
ready()
""",
}
EMITTING = """
arena = arena_tui.connect()
run = arena.run("g", run_id="r")
with run:
    play(run); ready()
    while True:
        run.action("e4")
"""
IGNORING = """
arena = arena_tui.connect()
run = arena.run("g", run_id="r")
play(run); ready()
while True:
    try: run.action("e4")
    except BaseException: pass
"""


@contextmanager
def running(script: str, broker: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """The program, once it has said that it is ready."""
    program = path.with_name("program.py")
    program.write_text(BEGINNING + script)
    process = subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "ARENA_BROKER": broker, "ARENA_DB": str(path),
             "ARENA_CONFIG": str(path.with_name("config.toml"))},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def ended_by(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Exit code and stderr of the program that gets the signal."""
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    return process.returncode, said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "arena.duckdb"


@pytest.mark.parametrize("script", WAITING.values(), ids=WAITING)
@pytest.mark.parametrize("shared", [True, False], ids=["redis", "in process"])
def test_sigterm_stops_the_runs_stores_them_and_ends_the_process(
    script: str, shared: bool, redis_url: str, path: Path
) -> None:
    with running(script, redis_url if shared else "memory:", path) as process:
        ended = ended_by(process, signal.SIGTERM)

    assert ended == (-signal.SIGTERM, "")
    if shared:
        assert published(redis_url)["r"] == {"run_start": 1, "turn_start": 10, "run_end": 1}
    else:
        assert stored(path) == {"r": (12, "SIGTERM")}


@pytest.mark.parametrize("script", [EMITTING, IGNORING], ids=["emitting", "ignoring"])
@pytest.mark.parametrize("shared", [True, False], ids=["redis", "in process"])
def test_sigterm_ends_a_program_that_records_all_the_time(
    script: str, shared: bool, redis_url: str, path: Path
) -> None:
    with running(script, redis_url if shared else "memory:", path) as process:
        ended = ended_by(process, signal.SIGTERM)

    assert ended == (-signal.SIGTERM, "")
    if shared:
        assert published(redis_url)["r"]["run_end"] == 1
    else:
        (reason,) = [reason for _, reason in stored(path).values()]
        assert reason == "SIGTERM"


@pytest.mark.parametrize("script", WAITING.values(), ids=WAITING)
@pytest.mark.parametrize("shared", [True, False], ids=["redis", "in process"])
def test_sigint_stops_the_runs_and_stores_them(
    script: str, shared: bool, redis_url: str, path: Path
) -> None:
    if "threading.Thread" in script:
        # Ready within the try: a signal right before it would leave nobody to end the thread.
        script = script.replace(
            "ready()\n",
            """
try:
    ready()
    threading.Event().wait()
finally:
    try: arena.close()
    finally: os.kill(os.getpid(), signal.SIGKILL)
""",
        )
    with running(script, redis_url if shared else "memory:", path) as process:
        code, said = ended_by(process, signal.SIGINT)

    assert code == (-signal.SIGKILL if "SIGKILL" in script else -signal.SIGINT)
    assert said.rstrip().endswith("KeyboardInterrupt") or "SIGKILL" in script
    if shared:
        assert published(redis_url)["r"] == {"run_start": 1, "turn_start": 10, "run_end": 1}
    else:
        assert stored(path)["r"][0] == 12


def test_a_second_sigterm_ends_it_at_once(path: Path) -> None:
    script = """
from arena_tui.store.database import Database
async def never(*_): await asyncio.Event().wait()
Database.write = never
arena = arena_tui.connect()
play(arena.run("g")); ready()
threading.Event().wait()
"""
    with running(script, "memory:", path) as process:
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        ended = ended_by(process, signal.SIGTERM)

    assert ended == (-signal.SIGTERM, "")


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_handler_of_the_program_s_own_wins(where: str, path: Path) -> None:
    handling = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
    connecting = "arena = arena_tui.connect()\nrun = arena.run('g', run_id='r')\n"
    script = handling + connecting if where == "before" else connecting + handling
    with running(script + "play(run); ready()\nthreading.Event().wait()", "memory:", path) as it:
        ended = ended_by(it, signal.SIGTERM)

    assert ended == (7, "")
    assert stored(path) == {"r": (12, "its producer shut down")}


def test_the_signal_is_given_back_with_the_last_connection(path: Path) -> None:
    script = """
def is_ours(): return signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
first, second = arena_tui.connect(), arena_tui.connect()
told = [is_ours()]
first.close(); told.append(is_ours())
second.close(); told.append(is_ours())
async def main():
    async with arena_tui.connect(): told.append(is_ours())
    told.append(is_ours())
asyncio.run(main())
thread = threading.Thread(target=arena_tui.connect); thread.start(); thread.join()
told.append(is_ours())
assert told == [True, True, False, True, False, False], told
ready()
threading.Event().wait()
"""
    with running(script, "memory:", path) as process:
        ended = ended_by(process, signal.SIGTERM)

    assert ended == (-signal.SIGTERM, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_amid_closing_stores_everything_all_the_same(
    number: signal.Signals, path: Path
) -> None:
    script = """
from arena_tui.store.database import Database
write = Database.write
async def slow(*args):
    await asyncio.sleep(0.5)
    return await write(*args)
Database.write = slow
arena = arena_tui.connect()
run = arena.run("g", run_id="r")
play(run, 3000); ready()
arena.close()
threading.Event().wait()
"""
    with running(script, "memory:", path) as process:
        code, said = ended_by(process, number)

    assert code == -number
    assert (said == "") == (number == signal.SIGTERM)
    assert not {"Task was destroyed", "never awaited", "is closed"} & set(said.splitlines())
    if number == signal.SIGTERM:
        assert stored(path)["r"][0] == 3_002


@pytest.mark.parametrize("start", ["os.fork()", "in_thread()"])
def test_a_forked_child_that_has_opened_nothing_ends_of_the_signal_itself(
    start: str, path: Path
) -> None:
    """A handler runs only once Python does: a worker about to wait for a lock may never get there,
    and its pool, which signals once, would wait for it for ever."""
    script = f"""
def in_thread():
    forked = []
    thread = threading.Thread(target=lambda: forked.append(os.fork() or child()))
    thread.start(); thread.join()
    return forked[0]
def child():
    os._exit(0 if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL else 1)
arena = arena_tui.connect()
run = arena.run("g", run_id="r")
play(run)
pid = {start} or child()
_, status = os.waitpid(pid, 0)
assert status == 0, "the child has its parent's handler"
ready()
threading.Event().wait()
"""
    with running(script, "memory:", path) as process:
        ended = ended_by(process, signal.SIGTERM)

    assert ended == (-signal.SIGTERM, "")
    assert stored(path) == {"r": (12, "SIGTERM")}


def test_no_forked_child_is_so_young_that_it_misses_the_signal(path: Path) -> None:
    """What arrives before Python has set up a child is forgotten, if a handler is to be told."""
    script = """
def signalled():
    pid = os.fork()
    if pid == 0:
        signal.pause()
    os.kill(pid, signal.SIGTERM)
    return pid
arena = arena_tui.connect()
children = [signalled() for _ in range(200)]
deadline = time.monotonic() + 60
alive = children
while alive and time.monotonic() < deadline:
    alive = [pid for pid in alive if os.waitpid(pid, os.WNOHANG) == (0, 0)]
for pid in alive: os.kill(pid, signal.SIGKILL)
assert not alive, f"{len(alive)} of 200 live on"
assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
ready()
threading.Event().wait()
"""
    with running(script, "memory:", path) as process:
        ended = ended_by(process, signal.SIGTERM)

    assert ended == (-signal.SIGTERM, "")


def test_a_worker_ends_of_the_signal_though_it_waits_for_a_lock(redis_url: str, path: Path) -> None:
    """As one does that was about to wait when the signal came: nothing interrupts it then."""
    script = """
import multiprocessing
fork = multiprocessing.get_context("fork")
waits = fork.Event()
def work():
    arena = arena_tui.connect()
    play(arena.run("g", run_id="r"))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # another thread gets it
    waits.set()
    held = threading.Lock()
    held.acquire()
    held.acquire()
worker = fork.Process(target=work)
worker.start()
waits.wait()
worker.terminate()
worker.join(20)
ready() if worker.exitcode == -signal.SIGTERM else worker.kill()
threading.Event().wait()
"""
    with running(script, redis_url, path) as process:
        process.kill()

    assert published(redis_url)["r"]["run_end"] == 1


def test_workers_of_a_pool_that_is_terminated_lose_nothing(redis_url: str, path: Path) -> None:
    script = """
import multiprocessing
arena = arena_tui.connect()
def work(number):
    play(arena.run("g", run_id=f"r{number}"))
with multiprocessing.get_context("fork").Pool(3) as pool:
    pool.map(work, range(6))
ready()
"""
    with running(script, redis_url, path) as process:
        _, said = process.communicate(timeout=30)

    assert (process.returncode, said) == (0, "")
    whole = {"run_start": 1, "turn_start": 10, "run_end": 1}
    assert published(redis_url) == {f"r{number}": whole for number in range(6)}
