"""`close` ends the runs of dead producers, in a store and on a server, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from arena_tui.broker.redis.scripts import events_key, meta_key
from arena_tui.store.database import Database
from tests.cli.test_commands import arena, lines, surroundings
from tests.ready import ARENA
from tests.waiting import until_blocking

AGENT = """
import sys, arena_tui
arena = arena_tui.connect(sys.argv[1], store=False)
run = arena.run(game="chess", agents=["me", "you"], run_id=sys.argv[2])
for number in range(int(sys.argv[3])):
    run.log(str(number))
for line in sys.stdin:
    run.log(line)
arena.close()
"""
"""Publishes a run on a server, and then whatever it is told, until its input ends."""


def agent(url: str, run_id: str, events: int = 5) -> subprocess.Popen[str]:
    """A producer that has published its run."""
    producer = subprocess.Popen(
        [sys.executable, "-c", AGENT, url, run_id, str(events)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with redis.Redis.from_url(url) as client:
        until_blocking(lambda: client.xlen(events_key(run_id)) == events + 1)
    return producer


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@contextmanager
def persisting(url: str, folder: Path) -> Iterator[Callable[[], bytes]]:
    """Store what a server has while the context lasts; gives what was stored lately."""
    wal = folder / "arena.duckdb.wal"
    with subprocess.Popen(
        [*ARENA, "persist", "--broker", url], env=surroundings(folder), text=True,
        stderr=subprocess.PIPE,
    ) as persist:  # fmt: skip
        yield lambda: wal.read_bytes() if wal.exists() else b""
        persist.send_signal(signal.SIGINT)
        persist.communicate()


def runs(folder: Path) -> list[dict[str, Any]]:
    return lines(arena(folder, "runs", "--json").stdout)


@pytest.fixture
def killed(tmp_path: Path) -> dict[str, Any]:
    """The run that a killed `play` left in the store of `tmp_path`."""
    play = subprocess.Popen(
        [*ARENA, "play", "synth", "--delay", "0.05"], env=surroundings(tmp_path), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wal = tmp_path / "arena.duckdb.wal"
    until_blocking(lambda: wal.exists() and b'"turn_start"' in wal.read_bytes())
    kill(play)
    [run] = runs(tmp_path)
    return run


def test_a_run_of_a_killed_game_is_ended_in_its_store(
    killed: dict[str, Any], tmp_path: Path
) -> None:
    done = arena(tmp_path, "close", killed["run_id"][-4:].lower(), "--json")

    [closed] = lines(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert killed["ended_at"] is None
    assert closed["ended_at"] is not None
    assert (closed["status"], closed["reason"]) == ("stopped", "closed by hand")
    assert closed["events"] == killed["events"] + 1
    assert closed["input_tokens"] == killed["input_tokens"]
    assert runs(tmp_path) == [closed]
    [*_, last] = lines(arena(tmp_path, "events", "--json").stdout)
    assert (last["kind"], last["seq"]) == ("run_end", closed["events"])
    assert arena(tmp_path, "verify").returncode == 0


def test_a_run_is_closed_once(killed: dict[str, Any], tmp_path: Path) -> None:
    first = arena(tmp_path, "close", killed["run_id"], "--status", "crashed", "--reason", "OOM")
    before = (tmp_path / "arena.duckdb").read_bytes()
    second = arena(tmp_path, "close", killed["run_id"])

    events = killed["events"] + 1
    assert first.stdout == f"closed run {killed['run_id']}: crashed (OOM), {events} events\n"
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == (
        f"arena-tui: run {killed['run_id']} has ended (crashed): nothing to close\n"
    )
    assert (tmp_path / "arena.duckdb").read_bytes() == before


def test_what_cannot_be_closed_is_said_in_one_line(killed: dict[str, Any], tmp_path: Path) -> None:
    owner = Database(str(tmp_path / "arena.duckdb"))
    owned = arena(tmp_path, "close", killed["run_id"])
    owner.close()
    assert arena(tmp_path, "play", "synth", "--max-turns", "1").returncode == 0
    ambiguous = arena(tmp_path, "close", killed["run_id"][:3])
    unknown = arena(tmp_path, "close", "nothing")
    no_store = arena(tmp_path, "close", "x", ARENA_DB=str(tmp_path / "none.duckdb"))
    in_memory = arena(tmp_path, "close", "x", "--db", ":memory:")

    assert owned.returncode == 3
    assert f"is open in process {os.getpid()}" in owned.stderr
    assert ambiguous.returncode == unknown.returncode == in_memory.returncode == 2
    assert "several runs match" in ambiguous.stderr
    assert "the store has no run 'nothing': see arena-tui runs" in unknown.stderr
    assert no_store.returncode == 3
    assert "no store at" in no_store.stderr
    assert not (tmp_path / "none.duckdb").exists()
    for refused in (owned, ambiguous, unknown, no_store, in_memory):
        assert refused.stderr.count("\n") == 1
        assert refused.stdout == ""


def test_a_run_of_a_killed_producer_is_ended_on_its_server(redis_url: str, tmp_path: Path) -> None:
    kill(agent(redis_url, "left-behind"))
    with persisting(redis_url, tmp_path) as wal:
        done = arena(tmp_path, "close", "LEFT", "--broker", redis_url, "--json")
        again = arena(tmp_path, "close", "left-behind", "--broker", redis_url)
        until_blocking(lambda: b"closed by hand" in wal())

    [closed] = lines(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (closed["run_id"], closed["game"]) == ("left-behind", "chess")
    assert (closed["status"], closed["reason"], closed["events"]) == (
        "stopped", "closed by hand", 7,
    )  # fmt: skip
    assert again.returncode == 2
    assert again.stderr == (
        "arena-tui: run left-behind has ended: there is nothing to close\n"
    )  # fmt: skip
    [stored] = runs(tmp_path)
    assert {**stored, "tags": closed["tags"]} == closed
    assert arena(tmp_path, "verify").returncode == 0


def test_a_run_that_is_being_played_is_not_closed(redis_url: str, tmp_path: Path) -> None:
    producer = agent(redis_url, "alive")
    with redis.Redis.from_url(redis_url) as client:
        client.hset(meta_key("alive"), "alive", 1)  # cut off from the server for long

        done = arena(tmp_path, "close", "alive", "--broker", redis_url)
        status = client.hget(meta_key("alive"), "status")
    kill(producer)

    assert done.returncode == 2
    assert "run alive is alive, its producer was heard of" in done.stderr
    assert "end that process" in done.stderr
    assert status == b"open"


def test_a_producer_that_was_taken_for_dead_is_told_that_its_run_has_ended(
    redis_url: str, tmp_path: Path
) -> None:
    producer = agent(redis_url, "cut-off")
    producer.send_signal(signal.SIGSTOP)
    os.waitpid(producer.pid, os.WUNTRACED)
    with redis.Redis.from_url(redis_url) as client:  # a producer of another machine
        client.hset("arena:cut-off:name", "owner", "elsewhere:1 4711 0")
        client.hset(meta_key("cut-off"), "alive", 1)

    done = arena(tmp_path, "close", "cut-off", "--broker", redis_url)
    producer.send_signal(signal.SIGCONT)
    _, told = producer.communicate("one more\n")

    assert done.returncode == 0, done.stderr
    assert "run cut-off has ended" in told
    assert "events were refused" in told


@pytest.mark.parametrize("kept", [True, False], ids=["with its events", "without"])
def test_a_run_that_its_server_let_go_of_is_ended_there_and_in_the_store(
    redis_url: str, tmp_path: Path, kept: bool
) -> None:
    """As an hour after its producer's last sign of life, and five minutes later."""
    kill(agent(redis_url, "left"))
    with redis.Redis.from_url(redis_url) as client, persisting(redis_url, tmp_path) as wal:
        until_blocking(lambda: b'"text":"4"' in wal())
        client.hset(meta_key("left"), "alive", 1)
        until_blocking(lambda: client.hget(meta_key("left"), "status") == b"left")
        if not kept:
            client.delete(events_key("left"))

    doctor = arena(tmp_path, "doctor", "--broker", redis_url)
    mistaken = arena(tmp_path, "close", "left")
    done = arena(tmp_path, "close", "left", "--broker", redis_url)
    unknown = arena(tmp_path, "close", "nothing", "--broker", redis_url)
    with persisting(redis_url, tmp_path) as wal:
        until_blocking(lambda: b"closed by hand" in wal())

    assert f"arena-tui close left --broker {redis_url}" in doctor.stdout
    assert mistaken.returncode == 2
    assert "came through redis 127.0.0.1:" in mistaken.stderr
    assert "--broker" in mistaken.stderr
    assert done.returncode == 0, done.stderr
    assert unknown.returncode == 2
    assert "nor the store has a run 'nothing'" in unknown.stderr
    [run] = runs(tmp_path)
    assert (run["status"], run["events"], run["game"]) == ("stopped", 7, "chess")
    assert arena(tmp_path, "verify").returncode == 0


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = arena(tmp_path, "close", "x", "--broker", "redis://127.0.0.1:1")

    assert done.returncode == 3
    assert "cannot reach redis 127.0.0.1:1" in done.stderr
