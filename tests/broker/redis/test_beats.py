"""What a producer's heartbeats say of runs that have ended."""

from __future__ import annotations

import redis

from arena_tui.broker.protocol import RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.scripts import INDEX, meta_key
from arena_tui.broker_url import BrokerUrl
from arena_tui.events import LogEvent


async def test_a_run_that_was_reaped_is_not_taken_for_lost(redis_url: str) -> None:
    broker = RedisBroker(BrokerUrl(redis_url))
    await broker.start()
    await broker.open_run(RunMeta(run_id="a"))
    await broker.close_run("a")
    await broker.arrived()
    await broker.reap("a")

    await broker.heartbeat([])

    with redis.Redis.from_url(redis_url) as server:
        left = [server.exists(meta_key("a")), server.xlen(INDEX)]
    await broker.aclose()
    assert left == [0, 0]


async def test_a_lost_run_that_is_opened_anew_is_no_longer_told_as_ended(redis_url: str) -> None:
    broker = RedisBroker(BrokerUrl(redis_url), reading=False)
    await broker.start()
    await broker.open_run(RunMeta(run_id="a"))
    await broker.close_run("a")
    with redis.Redis.from_url(redis_url) as server:
        server.flushall()
        await broker.open_run(RunMeta(run_id="a"))

        await broker.heartbeat(["a"])
        await broker.publish("a", LogEvent())
        status = server.hget(meta_key("a"), "status")
    await broker.aclose()

    assert status == b"open"
