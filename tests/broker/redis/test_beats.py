"""What a producer's heartbeats say of runs that have ended."""

from __future__ import annotations

import redis

from arena_tui.broker.protocol import Limits, RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.scripts import INDEX, events_key, meta_key
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.events import LogEvent, RunEnd
from tests.redis_fixture import MakeRedis
from tests.waiting import until

QUICK = Timing(block_s=0.2, look_s=0.05)


async def test_a_run_that_was_reaped_is_not_taken_for_lost(redis_url: str) -> None:
    broker = RedisBroker(BrokerUrl(redis_url))
    await broker.start()
    await broker.open_run(RunMeta(run_id="a"))
    await broker.close_run("a")
    await broker.flush()
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


async def test_a_run_that_another_process_ended_is_not_opened_again(redis_url: str) -> None:
    first, second = (RedisBroker(BrokerUrl(redis_url), reading=False) for _ in range(2))
    for broker in (first, second):
        await broker.start()
        await broker.publish_all([("a", *sealed(LogEvent()))])
    await second.close_run("a")

    await first.heartbeat(["a"])
    with redis.Redis.from_url(redis_url) as server:
        server.flushall()  # as when it has expired
        await first.heartbeat(["a"])
        left = server.exists(meta_key("a"))
    refused = await first.publish_all([("a", *sealed(LogEvent()))])
    for broker in (first, second):
        await broker.aclose()

    assert left == 0
    assert refused == (1, "run a has ended: open a new run")


async def test_a_run_that_cannot_be_opened_again_keeps_no_other_from_it(redis_url: str) -> None:
    broker = RedisBroker(BrokerUrl(redis_url), reading=False)
    await broker.start()
    await broker.publish_all([(run_id, *sealed(LogEvent())) for run_id in "ab"])
    with redis.Redis.from_url(redis_url) as server:
        server.flushall()
        server.set(events_key("a"), "somebody else's")

        await broker.heartbeat("ab")
        opened = [server.exists(meta_key(run_id)) for run_id in "ab"]
    failures = (await broker.stats()).failures
    await broker.aclose()

    assert opened == [0, 1]
    assert failures == 1


async def test_a_run_that_a_full_server_does_not_open_again_is_opened_later(
    make_redis: MakeRedis,
) -> None:
    url = make_redis().url
    with redis.Redis.from_url(url) as server:
        broker = RedisBroker(BrokerUrl(url), reading=False)
        await broker.start()
        await broker.publish_all([("a", *sealed(LogEvent()))])
        server.flushall()
        server.config_set("maxmemory", 1)

        await broker.heartbeat("a")
        full = server.exists(meta_key("a"))
        server.config_set("maxmemory", 0)
        await broker.heartbeat("a")
        opened = server.exists(meta_key("a"))
        failures = (await broker.stats()).failures
        await broker.aclose()

    assert (full, opened, failures) == (0, 1, 0)


async def test_a_finished_run_stays_so_though_its_producer_was_paused_while_it_expired(
    redis_url: str,
) -> None:
    producer = RedisBroker(BrokerUrl(redis_url), reading=False)
    reader = RedisBroker(BrokerUrl(redis_url), Limits(closed_runs=1), timing=QUICK)
    for broker in (producer, reader):
        await broker.start()
    reading = reader.subscribe("reader")
    for run_id in ("a", "b", "c"):
        await producer.publish_all([(run_id, *sealed(event)) for event in (LogEvent(), RunEnd())])
        await anext(reading)
    with redis.Redis.from_url(redis_url) as server:
        server.flushall()
        await producer.heartbeat([])
        await until(lambda: server.xlen(INDEX) == 3)
    await producer.publish_all([("d", *sealed(LogEvent()))])
    found = await anext(reading)
    states = {info.meta.run_id: info.state for info in await reader.runs()}
    for broker in (producer, reader):
        await broker.aclose()

    assert [each.run_id for each in found] == ["d"]
    assert states == {"c": "closed", "d": "open"}
