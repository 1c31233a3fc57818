"""The dashboard on a real terminal and a real server, while other processes publish there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from arena_tui.store.database import Database
from arena_tui.store.verify import verify_store
from tests.redis_fixture import MakeRedis
from tests.tui.terminal import OpenTerminal, Terminal

ARENA = [sys.executable, "-m", "arena_tui"]
PRODUCER = """
import sys, arena_tui
with (
    arena_tui.connect(sys.argv[1], store=False) as arena,
    arena.run(game="by-hand", agents=["left", "right"], run_id=sys.argv[2]) as run,
):
    for turn, _ in enumerate(sys.stdin, start=1):
        run.turn(turn, player="left")
        run.observation(f"board of turn {turn}")
"""

Produce: TypeAlias = "Callable[[str, str], Producer]"
Watch: TypeAlias = Callable[..., Terminal]


class Producer:
    """Another process with a run of its own, which takes a turn when told to."""

    def __init__(self, url: str, run_id: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PRODUCER, url, run_id], stdin=subprocess.PIPE, text=True
        )

    def turn(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """End the run as a program does that comes to its end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(60) == 0


@pytest.fixture
def produce() -> Iterator[Produce]:
    """Starts producers; all have ended after the test."""
    producers: list[Producer] = []

    def start(url: str, run_id: str) -> Producer:
        producers.append(Producer(url, run_id))
        return producers[-1]

    yield start
    for producer in producers:
        producer.process.kill()
        producer.process.wait()


@pytest.fixture
def watch(tmp_path: Path, open_terminal: OpenTerminal) -> Watch:
    """Opens dashboards on a store beside the test."""
    db = str(tmp_path / "arena.duckdb")
    return lambda url, *words: open_terminal([*ARENA, "--broker", url, "--db", db, *words])


def leave(terminal: Terminal) -> None:
    terminal.press(b"q")
    assert terminal.wait() == 0


def test_runs_of_other_processes_are_shown_old_and_new(
    make_redis: MakeRedis, produce: Produce, watch: Watch, tmp_path: Path
) -> None:
    server = make_redis(aof=True)
    play = [*ARENA, "play", "synth", "--max-turns", "3", "--label", "before"]
    subprocess.run([*play, "--broker", server.url], check=True, capture_output=True, timeout=60)

    terminal = watch(server.url)
    terminal.wait_for(f"redis 127.0.0.1:{server.port} · 0 live")
    terminal.wait_for("before")
    producer = produce(server.url, "fresh")
    producer.turn()
    terminal.wait_for("turn 1")
    terminal.wait_for(f"redis 127.0.0.1:{server.port} · 1 live")
    producer.turn()
    terminal.wait_for("board of turn 2")
    producer.end()
    terminal.wait_for("· 0 live")
    terminal.press(b"a")
    terminal.wait_for("+ in flight 0 + lost 0")
    leave(terminal)

    database = Database(str(tmp_path / "arena.duckdb"))
    verdicts = database.read_now(verify_store)
    database.close()
    assert [verdict.problems for verdict in verdicts] == [(), ()]
    assert [verdict.events for verdict in verdicts if verdict.run_id == "fresh"] == [6]


def test_a_server_that_stops_is_said_and_what_comes_later_is_shown(
    make_redis: MakeRedis, produce: Produce, watch: Watch
) -> None:
    server = make_redis(aof=True)
    producer = produce(server.url, "fresh")
    producer.turn()
    terminal = watch(server.url)
    terminal.wait_for("turn 1")

    server.pause()
    terminal.wait_for(f"redis 127.0.0.1:{server.port} does not answer for")
    producer.turn()
    server.resume()
    terminal.wait_for(f"redis 127.0.0.1:{server.port} works again, after")
    terminal.wait_for("board of turn 2")
    terminal.press(b"a")
    terminal.wait_for("+ in flight 0 + lost 0")
    leave(terminal)


def test_a_second_one_on_the_same_store_goes_and_one_without_a_store_works(
    make_redis: MakeRedis, produce: Produce, watch: Watch
) -> None:
    server = make_redis(aof=True)
    producer = produce(server.url, "fresh")
    first = watch(server.url)
    first.wait_for("all stored")

    second = watch(server.url)
    code = second.wait()
    live = watch(server.url, "--no-store")
    producer.turn()
    live.wait_for("board of turn 1")
    live.wait_for("not stored")
    first.wait_for("board of turn 1")

    said = second.raw.rpartition(b"\x1b[?1049l")[2].decode()
    assert code == 3
    assert said.count("arena-tui: ") == 1
    assert f"is open in process {first.pid}:" in said.replace("\r\n", "")
    leave(live)
    leave(first)


def test_a_server_that_is_not_there_is_one_line(make_redis: MakeRedis, watch: Watch) -> None:
    server = make_redis()
    server.stop()

    terminal = watch(server.url)

    assert terminal.wait() == 3
    said = terminal.raw.rpartition(b"\x1b[?1049l")[2].decode()
    assert f"cannot reach redis 127.0.0.1:{server.port}" in said
    assert said.count("arena-tui: ") == 1


def test_a_producer_that_is_killed_is_silent_after_three_heartbeats(
    make_redis: MakeRedis, produce: Produce, watch: Watch
) -> None:
    server = make_redis(aof=True)
    producer = produce(server.url, "killed")
    other = produce(server.url, "silent")
    terminal = watch(server.url)
    producer.turn()
    terminal.wait_for("2 live")

    os.kill(producer.process.pid, signal.SIGKILL)
    terminal.wait_for("1 live, 1 silent")

    terminal.wait_for("? silent")
    other.end()
    terminal.wait_for("0 live, 1 silent")
    leave(terminal)
