"""A script in a process of its own: what it finds there, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from arena_tui.services.scripts.output import Crash
from arena_tui.services.scripts.process import ScriptProcess
from arena_tui.services.scripts.spec import ScriptSpec
from tests.waiting import until_blocking

REPORT = """
import argparse, concurrent.futures, faulthandler, json, multiprocessing, os, signal, subprocess
import sys, threading
from multiprocessing.shared_memory import SharedMemory

def square(number):
    return number * number

def write(name):
    memory = SharedMemory(name)
    memory.buf[0] = 7
    memory.close()

def pool(method):
    with multiprocessing.get_context(method).Pool(2) as workers:
        return workers.map(square, range(4))

def shared():
    memory = SharedMemory(create=True, size=8)
    worker = multiprocessing.get_context("spawn").Process(target=write, args=[memory.name])
    worker.start()
    worker.join()
    found = memory.buf[0], worker.exitcode
    memory.close()
    memory.unlink()
    return found

def executed():
    with concurrent.futures.ProcessPoolExecutor(2) as workers:
        return list(workers.map(square, range(4)))

def asked():
    try:
        return input("name? ")
    except EOFError:
        return "EOF"

def signalled():
    got = []
    signal.signal(signal.SIGUSR1, lambda number, _: got.append(number))
    signal.raise_signal(signal.SIGUSR1)
    return got

def traced():
    faulthandler.enable()
    return faulthandler.is_enabled(), sys.stderr.fileno()

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("report")
    parser.add_argument("--games", type=int)
    arguments = parser.parse_args()
    report = {
        "argv": sys.argv, "name": __name__, "games": arguments.games, "cwd": os.getcwd(),
        "path": sys.path[0], "file": __file__, "flags": str(sys.flags),
        "main": threading.current_thread() is threading.main_thread(),
        "threads": threading.active_count(),
        "handlers": [str(signal.getsignal(each)) for each in sorted(signal.valid_signals())],
        "spawn": pool("spawn"), "forkserver": pool("forkserver"), "executor": executed(),
        "shared memory": shared(), "input": asked(), "signals": signalled(), "trace": traced(),
        "tty": [os.isatty(each) for each in (0, 1, 2)], "read": os.read(0, 1).decode(),
        "subprocess": subprocess.run(["echo", "x"], capture_output=True, text=True).stdout,
        "leader": os.getpid() == os.getsid(0),
    }
    with open(arguments.report, "w") as file:
        json.dump(report, file)
    print("printed")
    print("to stderr", file=sys.stderr)
    os.write(1, b"written\\n")
"""

WITHIN_S = 30.0


@pytest.fixture
def failed() -> list[ScriptProcess]:
    """Those that have failed."""
    return []


def started(folder: Path, text: str, failed: list[ScriptProcess], *words: str) -> ScriptProcess:
    script = folder / "agent.py"
    script.write_text(text)
    spec = ScriptSpec(file=str(script), arguments=words)
    return ScriptProcess(spec, dict(os.environ), failed.append)


def ended(process: ScriptProcess) -> ScriptProcess:
    until_blocking(lambda: process.state != "running")
    return process


def test_all_is_as_under_plain_python(tmp_path: Path, failed: list[ScriptProcess]) -> None:
    reports: dict[str, Any] = {}
    for name in ("here", "plain"):
        words = [str(tmp_path / "report.json"), "--games", "3"]
        if name == "here":
            process = ended(started(tmp_path, REPORT, failed, *words))
        else:
            subprocess.run(
                [sys.executable, str(tmp_path / "agent.py"), *words], check=True,
                stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True,
            )  # fmt: skip
        reports[name] = json.loads(Path(words[0]).read_text())

    assert reports["here"] == reports["plain"]
    assert reports["here"]["spawn"] == [0, 1, 4, 9]
    assert reports["here"]["shared memory"] == [7, 0]
    assert reports["here"]["input"] == "EOF"
    assert (process.ending, failed) == ("exited 0", [])
    assert process.output.newest(4) == ("name? printed", "to stderr", "written")


def test_what_it_prints_comes_line_by_line_while_it_runs(
    tmp_path: Path, failed: list[ScriptProcess]
) -> None:
    process = started(
        tmp_path, "print('one'); print('half', end='')\nimport signal; signal.pause()", failed
    )

    until_blocking(lambda: process.output.newest(2) == ("one", "half"))
    running = process.state, process.ending
    process.ask_to_end()

    assert running == ("running", None)
    assert ended(process).ending == "killed by SIGTERM"
    assert failed == []


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("import sys; sys.exit(3)", "exited 3"),
        ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
        ("import os; os.abort()", "killed by SIGABRT"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 3)", "killed by signal 37"),
    ],
)
def test_how_it_failed_is_told_once(
    text: str, ending: str, tmp_path: Path, failed: list[ScriptProcess]
) -> None:
    process = started(tmp_path, text, failed)

    until_blocking(lambda: failed)
    assert failed == [process]
    assert (process.state, process.ending, process.crash) == ("failed", ending, None)


def test_an_exception_is_told_with_its_place(tmp_path: Path, failed: list[ScriptProcess]) -> None:
    process = ended(started(tmp_path, "\n\nraise RuntimeError('no model today')\n", failed))

    expected = Crash(str(tmp_path / "agent.py"), 3, "RuntimeError: no model today")
    assert (process.state, process.crash) == ("failed", expected)


def test_what_its_children_hold_open_is_not_waited_for(
    tmp_path: Path, failed: list[ScriptProcess]
) -> None:
    process = started(
        tmp_path,
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print(child.pid)\n",
        failed,
    )

    assert ended(process).ending == "exited 0"
    os.kill(int(process.output.newest(1)[0]), 9)


STUBBORN = """
import atexit, os, signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: print("asked"))
child = subprocess.Popen(
    [sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"]
)
def forever():
    print("child", child.pid)
    while True:
        pass
atexit.register(forever)
"""


def test_one_that_does_not_end_is_killed_with_its_children(
    tmp_path: Path, failed: list[ScriptProcess]
) -> None:
    process = started(tmp_path, STUBBORN, failed)
    until_blocking(lambda: process.output.count)
    child = int(process.output.newest(1)[0].split()[1])

    process.ask_to_end()
    process.end(time.monotonic() + 0.3)

    assert ended(process).ending == "killed by SIGKILL"
    assert process.output.newest(1) == ("asked",)
    until_blocking(lambda: is_gone(child))
    assert failed == []


LEAVING_A_CHILD = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", '''
import signal, sys
def end(*_):
    print("child saved"); sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready")
while True:
    signal.pause()
'''])
signal.pause()
"""


def test_its_children_are_asked_to_end_when_it_has(
    tmp_path: Path, failed: list[ScriptProcess]
) -> None:
    process = started(tmp_path, LEAVING_A_CHILD, failed)
    until_blocking(lambda: process.output.newest(1) == ("ready",))

    process.ask_to_end()
    process.end(time.monotonic() + WITHIN_S)

    until_blocking(lambda: process.output.newest(1) == ("child saved",))


def is_gone(pid: int) -> bool:
    """Whether it has ended; one that nobody has waited for yet is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
