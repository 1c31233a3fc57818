"""How a process attaches runs that existed before it started."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import redis

from arena_tui.broker.protocol import Cursor, RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.scripts import meta_key
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.events import Delivery, Envelope, Gap, LogEvent, RunEnd
from tests.waiting import until


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
    assert states == ["silent", "silent", "open"]


async def test_a_long_reply_gives_others_their_turn(redis_url: str) -> None:
    producer, reader = RedisBroker(BrokerUrl(redis_url)), RedisBroker(BrokerUrl(redis_url))
    await producer.start()
    runs = [f"r{number}" for number in range(60)]
    for run_id in runs:
        await producer.publish_all([(run_id, *sealed(LogEvent()))] * 100)
    published = [0]

    await reader.start()  # its first reply has a hundred events of each run
    async with asyncio.timeout(20):
        while published[-1] < 6_000:
            await asyncio.sleep(0)  # looks at every turn of the loop
            published.append((await reader.stats()).published)
    await producer.aclose()
    await reader.aclose()

    assert max(after - before for before, after in pairwise(published)) <= 2_100


async def test_a_reader_that_was_cut_off_and_reads_again_has_no_problem(redis_url: str) -> None:
    broker = RedisBroker(BrokerUrl(redis_url), timing=Timing(look_s=60.0))
    await broker.start()

    async def is_cut_off() -> bool:
        with redis.Redis.from_url(redis_url) as client:
            client.client_kill_filter(_type="normal", skipme=True)
        return any("trying again" in str(each) for each in (await broker.stats()).warnings)

    async def works_again() -> bool:
        stats = await broker.stats()
        return stats.link is None and any("works again" in str(each) for each in stats.warnings)

    await until(is_cut_off)
    await until(works_again, at_most_s=20)
    await broker.aclose()


async def test_what_a_stream_that_was_made_anew_still_has_of_the_one_before_is_read(
    redis_url: str,
) -> None:
    producer, reader = RedisBroker(BrokerUrl(redis_url)), RedisBroker(BrokerUrl(redis_url))
    await producer.start()
    first = (await producer.open_run(RunMeta(run_id="a"))).epoch
    await producer.publish_all([("a", *sealed(LogEvent()))] * 5)
    with redis.Redis.from_url(redis_url) as client:
        client.delete(meta_key("a"))
    await producer.publish_all([("a", *sealed(RunEnd()))])

    await reader.start()
    store = reader.subscribe("store", start={"a": Cursor(first, 2)}, durable=True)
    found: list[Delivery] = []
    async with asyncio.timeout(20):
        while not (found and isinstance(found[-1], Envelope) and found[-1].event.kind == "run_end"):
            found += await anext(store)
    await producer.aclose()
    await reader.aclose()

    events = [(each.epoch == first, each.seq) for each in found if isinstance(each, Envelope)]
    assert events == [(True, 3), (True, 4), (True, 5), (False, 1)]
    assert not any(each.count for each in found if isinstance(each, Gap))
