"""What durable consumers have acked, as the server comes to know it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TypeAlias

import pytest
import redis

from arena_tui.broker.mirror.acks import Acks
from arena_tui.broker.protocol import Cursor, Limits, RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.redis.register import RedisRegister
from arena_tui.broker.redis.scripts import CONSUMERS, acks_key, meta_key
from arena_tui.broker.ring import RunLog
from arena_tui.broker.stream import RunStream
from arena_tui.broker.tasks import cancel_until_done
from arena_tui.broker.timing import Timing
from arena_tui.broker.warnings import Warnings
from arena_tui.broker_url import BrokerUrl
from arena_tui.events import LogEvent
from tests.waiting import until

Client: TypeAlias = "redis.Redis"
QUICK = Timing(ack_s=0.01, sweep_s=0.01)


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


async def test_a_consumer_added_while_acks_are_sent_is_acked_next(
    client: Client, redis_url: str
) -> None:
    link = RedisLink(BrokerUrl(redis_url), Warnings(), QUICK)
    await link.check()
    acks = Acks(link, RedisRegister(link, Limits()), QUICK)
    acks.add("one", "oldest")
    acks.record("one", {"a": Cursor(7, 1)})
    sending = asyncio.create_task(acks.aclose())
    await asyncio.sleep(0)

    acks.add("two", "oldest")
    acks.record("two", {"a": Cursor(7, 2)})
    await sending
    await link.aclose()

    found = [client.hget(acks_key(name), "a") for name in ("one", "two")]
    assert found == ["7-1", "7-2"]


async def test_a_second_consumer_takes_back_no_ack_of_the_first(
    client: Client, redis_url: str
) -> None:
    broker = RedisBroker(BrokerUrl(redis_url), timing=QUICK)
    await broker.start()
    epoch = (await broker.open_run(RunMeta(run_id="a"))).epoch
    for _ in range(3):
        await broker.publish("a", LogEvent())
    await broker.flush()
    first = broker.subscribe("first", start={"a": Cursor(epoch, 1)}, durable=True)
    first.ack({"a": Cursor(epoch, 3)})

    broker.subscribe("second", start={"a": Cursor(epoch, 2)}, durable=True)
    await broker.aclose()

    found = [client.hget(acks_key(name), "a") for name in ("first", "second")]
    assert found == [f"{epoch}-3", f"{epoch}-2"]


async def test_an_ack_speaks_for_no_event_that_is_not_there_yet(
    client: Client, redis_url: str
) -> None:
    broker = RedisBroker(BrokerUrl(redis_url), timing=QUICK)
    await broker.start()
    epoch = (await broker.open_run(RunMeta(run_id="a"))).epoch
    newer = (await broker.open_run(RunMeta(run_id="b"))).epoch
    for run_id in "aab":
        await broker.publish(run_id, LogEvent())
    await broker.flush()

    one = broker.subscribe("one", durable=True)
    one.ack({"a": Cursor(epoch, 1_000), "b": Cursor(newer + 1, 1), "unknown": Cursor(epoch, 1)})
    await broker.aclose()

    found = client.hgetall(acks_key("one"))
    assert (found["a"], found["b"]) == (f"{epoch}-2", f"{newer}-1")
    assert "unknown" not in found


async def test_an_older_ack_takes_back_none_that_is_not_sent_yet(
    client: Client, redis_url: str
) -> None:
    link = RedisLink(BrokerUrl(redis_url), Warnings(), QUICK)
    await link.check()
    acks = Acks(link, RedisRegister(link, Limits()), QUICK)
    acks.add("one", {"a": Cursor(7, 1)})
    acks.record("one", {"a": Cursor(7, 3)})
    stream = RunStream(RunMeta(run_id="a"), RunLog("a", 7, Limits()), 0.0)

    acks.resend(stream)
    acks.record("one", {"a": Cursor(7, 2)})
    await acks.aclose()
    await link.aclose()

    assert client.hget(acks_key("one"), "a") == "7-3"


@pytest.mark.parametrize("elsewhere", [True, False], ids=["elsewhere", "here"])
async def test_a_running_consumer_that_was_forgotten_holds_no_run_that_it_has(
    client: Client, redis_url: str, elsewhere: bool
) -> None:
    broker = RedisBroker(BrokerUrl(redis_url), timing=QUICK)
    await broker.start()
    one, two = (broker.subscribe(name, durable=True) for name in ("one", "two"))
    epoch = (await broker.open_run(RunMeta(run_id="a"))).epoch
    await broker.close_run("a")
    await broker.flush()
    one.ack({"a": Cursor(epoch, 1)})
    await until(lambda: client.hexists(acks_key("one"), "a"))
    forgetting = RedisBroker(BrokerUrl(redis_url), reading=False) if elsewhere else broker
    await forgetting.start()

    await forgetting.forget("one")
    await until(lambda: client.hget(acks_key("one"), "a") == f"{epoch}-1")

    two.ack({"a": Cursor(epoch, 1)})
    await until(lambda: client.ttl(meta_key("a")) > 0)
    for each in (forgetting, broker):
        await each.aclose()


async def test_the_server_keeps_nothing_for_a_consumer_without_identity_that_has_left(
    client: Client, redis_url: str
) -> None:
    broker = RedisBroker(BrokerUrl(redis_url), timing=QUICK)
    await broker.start()
    broker.subscribe("staying", durable=True, identity=None)
    leaving = broker.subscribe("leaving", durable=True, identity=None)
    await until(lambda: len(client.smembers(CONSUMERS)) == 2)

    leaving.close()
    leaving.ack({"a": Cursor(7, 1)})
    await until(lambda: len(client.smembers(CONSUMERS)) == 1)
    (left,) = client.smembers(CONSUMERS)
    keys = client.keys("arena:acks:*")
    broker.subscribe("leaving", durable=True, identity=None)
    await until(lambda: len(client.smembers(CONSUMERS)) == 2)
    await broker.aclose()

    assert left.endswith(" staying")
    assert keys == [acks_key(left)]
    assert not client.exists(CONSUMERS)


async def test_a_consumer_whose_acks_are_refused_holds_up_no_other(
    client: Client, redis_url: str
) -> None:
    client.set(acks_key("one"), "somebody else's")
    link = RedisLink(BrokerUrl(redis_url), Warnings(), QUICK)
    await link.check()
    acks = Acks(link, RedisRegister(link, Limits()), QUICK)
    for name in ("one", "two"):
        acks.add(name, "oldest")
        acks.record(name, {"a": Cursor(7, 1)})

    sending = asyncio.create_task(acks.run())
    acked = await until(lambda: client.hget(acks_key("two"), "a"))
    problem = await until(lambda: link.problem)
    client.delete(acks_key("one"))
    late = await until(lambda: client.hget(acks_key("one"), "a"))
    await cancel_until_done([sending])
    await link.aclose()

    assert (acked, late) == ("7-1", "7-1")
    assert "WRONGTYPE" in problem
