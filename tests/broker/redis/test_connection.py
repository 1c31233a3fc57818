from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError, TimeoutError

from arena_tui.broker.redis.connection import Line
from tests.redis_fixture import MakeRedis
from tests.waiting import until


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(redis_url, single_connection_client=True, protocol=2)
    yield client
    await client.aclose()


async def test_answers_come_in_order_and_a_refusal_is_one_of_them(client: Redis) -> None:
    line = Line(client, 2.0)

    answers = await line.exchange([("SET", "key", 1), ("XLEN", "key"), ("GET", b"key")])

    assert answers[0] == b"OK"
    assert isinstance(answers[1], ResponseError)
    assert answers[2] == b"1"


async def test_a_single_refusal_is_raised(client: Redis) -> None:
    with pytest.raises(ResponseError, match="unknown command"):
        await Line(client, 2.0).ask("NONSENSE")


async def test_after_a_cancelled_command_the_next_one_has_its_own_answer(client: Redis) -> None:
    line = Line(client, 2.0)
    waiting = asyncio.create_task(line.ask("BLPOP", "nothing", 0))
    await until(lambda: client_blocked(client))

    waiting.cancel()
    await asyncio.wait([waiting])

    assert await line.ask("ECHO", "mine") == b"mine"


async def test_without_an_answer_in_time_it_ends_and_begins_anew(make_redis: MakeRedis) -> None:
    server = make_redis()
    async with Redis.from_url(server.url, single_connection_client=True, protocol=2) as client:
        line = Line(client, 0.05)
        await line.ask("PING")
        server.pause()

        with pytest.raises(TimeoutError):
            await line.ask("ECHO", "lost")

        server.resume()
        assert await Line(client, 2.0).ask("ECHO", "mine") == b"mine"


async def client_blocked(client: Redis) -> bool:
    """Whether a command is blocked on the server."""
    async with Redis.from_url(str(url_of(client))) as other:
        clients = await other.info("clients")
    return bool(clients["blocked_clients"])


def url_of(client: Redis) -> str:
    where = client.connection_pool.connection_kwargs
    return f"redis://{where['host']}:{where['port']}"
