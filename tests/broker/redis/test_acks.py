"""What durable consumers have acked, as the server comes to know it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TypeAlias

import pytest
import redis

from arena_tui.broker.protocol import Cursor, Limits
from arena_tui.broker.redis.acks import Acks
from arena_tui.broker.redis.link import Link
from arena_tui.broker.redis.scripts import acks_key
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl

Client: TypeAlias = "redis.Redis"
QUICK = Timing(ack_s=0.01, sweep_s=0.01)


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


async def test_a_consumer_added_while_acks_are_sent_is_acked_next(
    client: Client, redis_url: str
) -> None:
    link = Link(BrokerUrl(redis_url), lambda _: None, QUICK)
    await link.check()
    acks = Acks(link, Limits(), QUICK, "store", "own")
    acks.add("one")
    acks.record("one", {"a": Cursor(7, 1)})
    sending = asyncio.create_task(acks.aclose())
    await asyncio.sleep(0)

    acks.add("two")
    acks.record("two", {"a": Cursor(7, 2)})
    await sending
    await link.aclose()

    found = [client.hget(acks_key(f"store {name}"), "a") for name in ("one", "two")]
    assert found == ["7-1", "7-2"]
