from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis

from arena_tui.broker.protocol import Limits, Outgoing, RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.scripts import APPEND, INDEX, OPEN, events_key, meta_key
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.errors import BrokerError
from arena_tui.events import LogEvent


@pytest.fixture
async def broker(each_redis_url: str) -> AsyncIterator[RedisBroker]:
    """A broker that only publishes; the server keeps 5 events per run."""
    broker = RedisBroker(
        BrokerUrl(each_redis_url), Limits(capacity=5, retain=2), reading=False,
        timing=Timing(withheld_s=0.0),
    )  # fmt: skip
    await broker.start()
    yield broker
    await broker.aclose()


@pytest.fixture
def server(each_redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(each_redis_url)


def outgoing(run_id: str, text: str = "said") -> Outgoing:
    return (run_id, *sealed(LogEvent(text=text)))


async def test_what_fails_in_one_run_stops_no_other_of_the_same_batch(
    broker: RedisBroker, server: redis.Redis
) -> None:
    server.set(meta_key("meta-taken"), "somebody else's")
    await broker.publish_all([outgoing("events-taken")])
    server.delete(events_key("events-taken"))
    server.set(events_key("events-taken"), "somebody else's")
    runs = ["one", "meta-taken", "two", "events-taken", "three"]

    refused = await broker.publish_all([outgoing(run_id) for run_id in runs for _ in range(3)])
    await broker.flush()

    assert not refused
    assert (await broker.stats()).refused.events == 6
    assert [server.xlen(events_key(run_id)) for run_id in ("one", "two", "three")] == [3, 3, 3]


async def test_an_error_of_the_server_reaches_who_waits(
    broker: RedisBroker, server: redis.Redis
) -> None:
    await broker.open_run(RunMeta(run_id="run"))
    server.set(events_key("run"), "somebody else's")

    with pytest.raises(BrokerError, match=r"refused events of run run: .*WRONGTYPE"):
        await broker.publish("run", LogEvent())


async def test_a_run_is_never_longer_than_its_capacity(
    broker: RedisBroker, server: redis.Redis
) -> None:
    for count in (4, 1, 1, 7, 3):
        await broker.publish_all([outgoing("run")] * count + [outgoing("other")])

        assert server.xlen(events_key("run")) <= 5
    server.delete(meta_key("run"))
    await broker.publish_all([outgoing("run")])

    assert server.xlen(events_key("run")) == 5
    assert server.xlen(events_key("other")) == 5


async def test_every_run_of_a_repeated_call_is_answered_and_nothing_doubled(
    broker: RedisBroker, server: redis.Redis
) -> None:
    keys, words = [], ["100"]
    for number, run_id in enumerate(("one", "two"), 1):
        own = meta_key(run_id), events_key(run_id)
        epoch = server.evalsha(OPEN.sha, 3, *own, INDEX, run_id, "{}", "", 0, 0, 0)[1]
        keys += own
        words += ["producer", str(epoch), "0", "0", "1", "0", "0", str(number), *["{}"] * number]

    answers = [server.evalsha(APPEND.sha, len(keys), *keys, *words) for _ in range(2)]

    assert answers[0] == answers[1]
    assert [seq for _, seq in answers[0]] == [1, 2]
    assert [server.xlen(events_key(run_id)) for run_id in ("one", "two")] == [1, 2]


async def test_more_large_events_than_one_call_carries_are_all_published(
    broker: RedisBroker, server: redis.Redis
) -> None:
    runs = [f"run{number}" for number in range(60)]

    async with asyncio.timeout(30):
        refused = await broker.publish_all([outgoing(run_id, "x" * 200_000) for run_id in runs])

    assert not refused
    assert [server.xlen(events_key(run_id)) for run_id in runs] == [1] * len(runs)
