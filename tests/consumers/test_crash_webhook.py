"""The example package, installed by pip from its own folder, killed, and with a real receiver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

import pytest

import arena_tui
from tests.cli.test_commands import arena, lines, surroundings
from tests.ready import ARENA
from tests.waiting import until_blocking

EXAMPLE = Path(__file__).parents[2] / "examples" / "crash-webhook"
KILLS = 3

CRASHING = """
import sys
import arena_tui

with arena_tui.connect() as arena:
    for number in range(int(sys.argv[2])):
        try:
            with arena.run("game", run_id=f"{sys.argv[1]}-{number}") as run:
                run.log("hello")
                raise ValueError(f"crash {number}")
        except ValueError:
            pass
    print("played", flush=True)
    sys.stdin.read()
"""
"""Plays runs that crash, as many as are asked for, and stays until its input ends."""


class Receiver(ThreadingHTTPServer):
    """Takes what is posted to it, but for the first `refusals`.

    Attributes:
        taken: What it answered with success, the oldest first.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.taken: list[dict[str, Any]] = []
        self.refusals = 0
        self.refused = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/crash"

    def runs(self) -> set[str]:
        return {told["run_id"] for told in list(self.taken)}

    def events(self) -> Counter[tuple[str, int, int]]:
        """How often each was told, by what tells it from all others."""
        return Counter((each["run_id"], each["epoch"], each["seq"]) for each in self.taken)


class _Request(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.refused < self.server.refusals:
            self.server.refused += 1
            return self.send_error(503)
        self.server.taken.append(told)
        self.send_response(204)
        self.end_headers()
        return None

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


Start: TypeAlias = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the example was installed into, by what builds it from its own."""
    folder = tmp_path_factory.mktemp("installed")
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", "--quiet", *offline]
    subprocess.run([*command, "--target", str(folder), str(EXAMPLE)], check=True, timeout=120)
    return folder


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def environment(tmp_path: Path, site: Path, receiver: Receiver) -> dict[str, str]:
    path = os.pathsep.join([str(site), str(Path(arena_tui.__file__).parents[1])])
    return {"PYTHONPATH": path, "ARENA_CRASH_WEBHOOK": receiver.url, "no_proxy": "127.0.0.1"}


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    """Starts a command, and kills it after the test."""
    children: list[subprocess.Popen[str]] = []

    def begin(*command: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=surroundings(tmp_path) | environment,
        )  # fmt: skip
        children.append(child)
        return child

    yield begin
    for child in children:
        child.kill()
        child.communicate(timeout=60)


def crash(url: str, run_id: str) -> None:
    """Publish a run that crashes, as another process would."""
    with (
        arena_tui.connect(url, store=False) as there,
        suppress(ValueError),
        there.run("game", run_id=run_id) as run,
    ):
        run.log("hello")
        raise ValueError("boom")


def listed(tmp_path: Path, environment: dict[str, str]) -> dict[str, Any]:
    done = arena(tmp_path, "consumers", "--json", **environment)
    assert done.returncode == 0, done.stderr
    (found,) = lines(done.stdout)
    return found


def test_the_example_is_short() -> None:
    (source,) = EXAMPLE.glob("*.py")

    assert len(list(filter(str.strip, source.read_text().splitlines()))) <= 30


def test_killed_in_process_it_tells_of_every_crash_that_was_stored(
    start: Start, receiver: Receiver, tmp_path: Path, environment: dict[str, str]
) -> None:
    receiver.refusals = 1_000_000
    child = start(sys.executable, "-c", CRASHING, "refused", "30")
    until_blocking(lambda: receiver.refused)
    child.communicate("", timeout=60)
    receiver.refusals = 0
    for kill in range(1, KILLS + 1):
        child = start(sys.executable, "-c", CRASHING, f"killed{kill}", "30")
        until_blocking(lambda least=kill * 5: len(receiver.runs()) >= least)
        child.kill()
        child.wait()
    child = start(sys.executable, "-c", CRASHING, "whole", "1")
    _, said = child.communicate("", timeout=60)

    assert (child.returncode, said) == (0, "")
    stored = {run["run_id"] for run in lines(arena(tmp_path, "runs", "--json").stdout)}
    assert stored >= {"whole-0", *(f"refused-{number}" for number in range(30))}
    assert receiver.runs() >= stored
    assert listed(tmp_path, environment)["places"][0]["runs"] >= len(stored)


def test_killed_beside_a_server_it_tells_of_every_crash(
    start: Start, receiver: Receiver, redis_url: str
) -> None:
    crashed = set()
    for kill in range(KILLS):
        child = start(*ARENA, "persist", "--broker", redis_url)
        for number in range(20):
            crashed.add(f"run{kill}-{number}")
            crash(redis_url, f"run{kill}-{number}")
        until_blocking(lambda kill=kill: any(f"run{kill}-" in run for run in receiver.runs()))
        child.kill()
        child.wait()
    crash(redis_url, "unseen")
    child = start(*ARENA, "persist", "--broker", redis_url)
    until_blocking(lambda: receiver.runs() >= crashed | {"unseen"})
    child.terminate()
    _, said = child.communicate(timeout=60)

    assert child.returncode == 0, said
    assert receiver.runs() == crashed | {"unseen"}
    assert len(receiver.events()) == len(crashed) + 1
    assert max(receiver.events().values()) <= KILLS + 1  # once by each process, if none kept it

    told = len(receiver.taken)
    child = start(*ARENA, "persist", "--broker", redis_url)
    crash(redis_url, "later")
    until_blocking(lambda: "later" in receiver.runs())
    child.terminate()
    child.communicate(timeout=60)
    assert len(receiver.taken) == told + 1  # what was kept is not told again


def test_a_receiver_that_refuses_is_told_again_until_it_takes_it(
    start: Start, receiver: Receiver
) -> None:
    receiver.refusals = 2
    child = start(sys.executable, "-c", CRASHING, "run", "1")

    until_blocking(lambda: receiver.taken)
    _, said = child.communicate("", timeout=60)

    assert child.returncode == 0
    assert receiver.refused == 2
    assert receiver.taken[0]["reason"] == "crash 0"
    assert set(receiver.events().values()) == {1}
    assert "crash-webhook: HTTP Error 503" in said


def test_without_a_receiver_leaving_is_prompt_and_the_next_start_tells(
    start: Start, receiver: Receiver, tmp_path: Path, environment: dict[str, str]
) -> None:
    receiver.refusals = 1_000
    child = start(sys.executable, "-c", CRASHING, "first", "1")
    until_blocking(lambda: receiver.refused)
    child.communicate("", timeout=60)
    receiver.refusals = 0

    done = arena(tmp_path, "play", "synth", "--max-turns", "2", **environment)

    assert (child.returncode, done.returncode, done.stderr) == (0, 0, "")
    assert receiver.runs() == {"first-0"}


def test_left_out_it_tells_nothing(
    tmp_path: Path, receiver: Receiver, environment: dict[str, str]
) -> None:
    done = arena(tmp_path, "play", "synth", "--max-turns", "2", "--no-consumers", **environment)

    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "data" / "arena-tui" / "consumers").exists()
