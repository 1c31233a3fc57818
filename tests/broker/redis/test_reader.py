"""How a process attaches runs that existed before it started."""

from __future__ import annotations

import time

import redis

from arena_tui.broker.protocol import RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.scripts import meta_key
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.events import LogEvent


async def test_old_events_are_no_sign_of_life(redis_url: str) -> None:
    producer, watcher = RedisBroker(BrokerUrl(redis_url)), RedisBroker(BrokerUrl(redis_url))
    await producer.start()
    await producer.open_run(RunMeta(run_id="run"))
    await producer.publish_all([("run", *sealed(LogEvent()))] * 3)
    with redis.Redis.from_url(redis_url) as client:
        client.hset(meta_key("run"), "alive", int((time.time() - 60) * 1_000))

    await watcher.start()
    subscription = watcher.subscribe("watcher")
    states = [info.state for info in await watcher.runs()]
    old = len(await anext(subscription))
    states += [info.state for info in await watcher.runs()]
    await producer.publish("run", LogEvent())
    await anext(subscription)
    states += [info.state for info in await watcher.runs()]
    await producer.aclose()
    await watcher.aclose()

    assert old == 3
    assert states == ["lost", "lost", "open"]
