"""The proxy of the fault tests does what its modes say, between plain sockets and a real server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from arena_tui.services.servers import RedisServer
from tests.faults.proxy import HOST, Proxy
from tests.redis_fixture import MakeRedis
from tests.waiting import until

GET = b"GET n\r\n"
INCREASE = b"INCR n\r\n"
NOTHING = b"$-1\r\n"


class Client:
    """One plain connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._port = port

    async def __aenter__(self) -> Client:
        self._socket.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(self._socket, (HOST, self._port))
        except OSError:
            self._socket.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def receive(self) -> bytes:
        async with asyncio.timeout(30):
            return await asyncio.get_running_loop().sock_recv(self._socket, 1 << 16)

    async def ask(self, command: bytes) -> bytes:
        await self.send(command)
        return await self.receive()

    def is_silent(self) -> bool:
        """Nothing came and nobody hung up."""
        try:
            self._socket.recv(1)
        except BlockingIOError:
            return True
        return False


@pytest.fixture
def server(redis_server: RedisServer, redis_url: str) -> RedisServer:
    """The shared server, empty."""
    return redis_server


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as proxy:
        yield proxy


async def test_bytes_pass_both_ways_as_they_are(proxy: Proxy) -> None:
    value = bytes(range(256)) * 8_000
    stored = b"$%d\r\n%b\r\n" % (len(value), value)
    async with Client(proxy.port) as client:
        said = await client.ask(b"*3\r\n$3\r\nSET\r\n$1\r\nn\r\n" + stored)
        await client.send(GET)
        got = b""
        while len(got) < len(stored):
            got += await client.receive()

    assert said == b"+OK\r\n"
    assert got == stored


async def test_connections_are_counted(proxy: Proxy) -> None:
    async with Client(proxy.port) as first, Client(proxy.port) as second:
        await first.ask(GET)
        await second.ask(GET)
        assert (proxy.connections, proxy.connections_ever) == (2, 2)

    await until(lambda: proxy.connections == 0)
    assert proxy.connections_ever == 2


async def test_a_dropped_reply_was_a_request_done(proxy: Proxy, server: RedisServer) -> None:
    async with Client(proxy.port) as client, Client(server.port) as direct:
        proxy.drop_replies()
        await client.send(INCREASE)
        await until(lambda: proxy.replies_dropped == 1)

        assert client.is_silent()
        assert await direct.ask(GET) == b"$1\r\n1\r\n"


async def test_only_so_many_replies_are_dropped(proxy: Proxy) -> None:
    async with Client(proxy.port) as client:
        proxy.drop_replies(3)

        # An array is one reply; two replies in one piece are two.
        said = await client.ask(INCREASE + b"LRANGE l 0 1\r\n" + b"MGET n n\r\n" + INCREASE)

        assert said == b":2\r\n"
        assert proxy.replies_dropped == 3
        assert await client.ask(GET) == b"$1\r\n2\r\n"


async def test_half_open_nothing_arrives_on_either_side(proxy: Proxy, server: RedisServer) -> None:
    async with Client(proxy.port) as client, Client(server.port) as direct:
        await client.ask(GET)
        proxy.half_open()
        async with Client(proxy.port) as later:
            await client.send(INCREASE)
            await later.send(INCREASE)
            await until(lambda: proxy.bytes_lost == 2 * len(INCREASE))

            assert await direct.ask(GET) == NOTHING
            assert client.is_silent()
            assert later.is_silent()
            assert proxy.connections == 2


async def test_half_open_a_reply_under_way_is_lost(make_redis: MakeRedis) -> None:
    server = make_redis()
    async with (
        Proxy(server.port) as proxy,
        Client(proxy.port) as client,
        Client(server.port) as direct,
    ):
        await client.send(b"BLPOP l 0\r\n")
        while b"blocked_clients:1" not in await direct.ask(b"INFO clients\r\n"):
            pass
        proxy.half_open()

        await direct.ask(b"RPUSH l x\r\n")
        await until(lambda: proxy.bytes_lost > 0)

        assert client.is_silent()


async def test_what_was_half_open_stays_mute_and_the_next_works(proxy: Proxy) -> None:
    async with Client(proxy.port) as client:
        proxy.half_open()
        await client.send(INCREASE)
        await until(lambda: proxy.bytes_lost == len(INCREASE))
        proxy.pass_through()

        await client.send(INCREASE)
        await until(lambda: proxy.bytes_lost == 2 * len(INCREASE))
        async with Client(proxy.port) as later:
            assert await later.ask(GET) == NOTHING
        assert client.is_silent()


async def test_half_open_the_end_of_the_server_is_not_noticed(make_redis: MakeRedis) -> None:
    server = make_redis()
    async with Proxy(server.port) as proxy, Client(proxy.port) as client:
        await client.ask(GET)
        proxy.half_open()

        server.kill()
        await client.send(GET)
        await until(lambda: proxy.bytes_lost == len(GET))

        assert client.is_silent()
        assert proxy.connections == 1


async def test_a_reset_reaches_every_connection_and_the_next_works(proxy: Proxy) -> None:
    async with Client(proxy.port) as first, Client(proxy.port) as second:
        await first.ask(GET)
        await second.ask(GET)

        proxy.reset()

        for client in (first, second):
            with pytest.raises(ConnectionResetError):
                await client.receive()
        await until(lambda: proxy.connections == 0)
    async with Client(proxy.port) as client:
        assert await client.ask(GET) == NOTHING


async def test_refused_are_the_new_ones_only(proxy: Proxy) -> None:
    async with Client(proxy.port) as old:
        await old.ask(GET)
        proxy.refuse()
        async with Client(proxy.port) as new:
            with pytest.raises(ConnectionResetError):
                await new.receive()

        assert await old.ask(GET) == NOTHING
        assert (proxy.connections, proxy.connections_ever) == (1, 2)
        proxy.pass_through()
        async with Client(proxy.port) as new:
            assert await new.ask(GET) == NOTHING


async def test_a_trickled_reply_comes_in_pieces_and_whole(proxy: Proxy) -> None:
    reply = b"$500\r\n" + b"x" * 500 + b"\r\n"
    async with Client(proxy.port) as client:
        await client.ask(b"SET n " + b"x" * 500 + b"\r\n")
        proxy.trickle()

        pieces = [await client.ask(GET)]
        while sum(map(len, pieces)) < len(reply):
            pieces.append(await client.receive())

    assert b"".join(pieces) == reply
    assert len(pieces) > 1


async def test_the_end_of_the_server_is_passed_on(make_redis: MakeRedis) -> None:
    server = make_redis()
    async with Proxy(server.port) as proxy, Client(proxy.port) as client:
        await client.ask(GET)

        server.kill()

        with suppress(ConnectionResetError):
            assert await client.receive() == b""
        async with Client(proxy.port) as later:
            with pytest.raises(ConnectionResetError):
                await later.receive()


@pytest.mark.parametrize("mode", ["pass_through", "drop_replies", "half_open", "trickle"])
async def test_closing_leaves_no_task_and_no_port(server: RedisServer, mode: str) -> None:
    before = asyncio.all_tasks()
    async with Proxy(server.port) as proxy:
        getattr(proxy, mode)()
        async with Client(proxy.port) as client:
            await client.send(GET)
            await until(lambda: proxy.connections == 1)
            await proxy.aclose()

            assert asyncio.all_tasks() == before
    with pytest.raises(ConnectionRefusedError):
        async with Client(proxy.port):
            pass
