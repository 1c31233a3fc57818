"""`arena-tui redis`: a server that runs until a signal and keeps its data."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import redis

from tests.cli.test_commands import arena, surroundings
from tests.ready import ARENA
from tests.redis_fixture import MakeRedis

Serve: TypeAlias = Callable[[int], tuple[subprocess.Popen[str], dict[str, Any]]]


@pytest.fixture
def port(make_redis: MakeRedis) -> int:
    """A free port."""
    server = make_redis()
    server.stop()
    return server.port


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts the command and waits until it listens; returns the process and its JSON line."""
    children: list[subprocess.Popen[str]] = []

    def start(port: int) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        child = subprocess.Popen(
            [*ARENA, "redis", "--port", str(port), "--json"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings(tmp_path),
        )  # fmt: skip
        children.append(child)
        assert child.stdout is not None
        said = child.stdout.readline()
        assert said, child.communicate(timeout=60)
        return child, json.loads(said)

    yield start
    for child in children:
        child.terminate()
        child.communicate(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_and_the_data_is_there_again(serve: Serve, port: int, number: int) -> None:
    child, said = serve(port)
    with redis.Redis.from_url(said["url"]) as client:
        client.set("key", "value")

    child.send_signal(number)
    out, errors = child.communicate(timeout=60)
    _, again = serve(port)

    assert (child.returncode, out, errors) == (0, "", "")
    assert again["pid"] != said["pid"]
    with redis.Redis.from_url(again["url"]) as client:
        assert client.get("key") == b"value"


def test_the_data_lies_beside_the_store(serve: Serve, port: int, tmp_path: Path) -> None:
    _, said = serve(port)

    assert said["data"] == str(tmp_path / "data" / "arena-tui" / "redis" / str(port))
    assert (Path(said["data"]) / "appendonlydir").is_dir()


def test_a_taken_port_is_one_line_and_leaves_the_server_there(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis()

    done = arena(tmp_path, "redis", "--port", str(server.port))

    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert f"--broker {server.url}" in done.stderr
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()


def test_people_are_told_how_to_watch_and_to_play(port: int, tmp_path: Path) -> None:
    child = subprocess.Popen(
        [*ARENA, "redis", "--port", str(port)], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings(tmp_path),
    )  # fmt: skip
    assert child.stderr is not None
    said = [child.stderr.readline() for _ in range(5)]
    child.terminate()
    out, rest = child.communicate(timeout=60)

    url = f"redis://127.0.0.1:{port}"
    assert said[0].endswith(f"listens at {url}, for this machine only\n")
    assert said[2:] == [
        f"watch  arena-tui --broker {url}\n",
        f"play   arena-tui play chess random random --broker {url}\n",
        "Ctrl-C ends it; the data is kept\n",
    ]
    assert (child.returncode, out, rest) == (0, "", "")


def test_a_server_shut_down_by_a_client_ends_the_command(serve: Serve, port: int) -> None:
    child, said = serve(port)

    with redis.Redis.from_url(said["url"]) as client:
        client.shutdown()
    _, errors = child.communicate(timeout=60)

    assert (child.returncode, errors) == (0, "")


def test_a_server_that_is_killed_is_told_with_its_log(serve: Serve, port: int) -> None:
    child, said = serve(port)

    os.kill(said["pid"], signal.SIGKILL)
    _, errors = child.communicate(timeout=60)

    assert child.returncode == 3
    assert "ended by itself" in errors
    assert said["data"] in errors


@pytest.mark.parametrize("word", ["0", "65536", "-1", "six", "1.5"])
def test_what_is_no_port_is_refused(tmp_path: Path, word: str) -> None:
    done = arena(tmp_path, "redis", f"--port={word}")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_port_of_another_program_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = arena(tmp_path, "redis", "--port", str(other.getsockname()[1]))

    assert done.returncode == 3
    assert "taken by another program" in done.stderr
