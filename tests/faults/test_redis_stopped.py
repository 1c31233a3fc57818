"""A server that does not answer for a while (SIGSTOP), under producers and a reader."""

from __future__ import annotations

import asyncio
import time

import pytest

from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.producers.sink import MultiRunBrokerSink
from tests.faults.accounts import FULL, Tally, entries
from tests.redis_fixture import MakeRedis
from tests.waiting import pause, until

PAUSES_S = [3, 30, 60] if FULL else [3]
BOUND = 20_000
THREADS, RUNS = 4, 8
BEFORE, WITH_ROOM, IN_ALL = 100, 1_600, 4_100
"""Log events a run: before the server stops, while there is room for more, at the end."""


@pytest.mark.parametrize("pause_s", PAUSES_S)
async def test_a_stopped_server_costs_no_event(make_redis: MakeRedis, pause_s: float) -> None:
    server = make_redis()
    producer = RedisBroker(BrokerUrl(server.url), reading=False)
    reader = RedisBroker(BrokerUrl(server.url))
    await producer.start()
    await reader.start()
    sink = MultiRunBrokerSink(producer, bound=BOUND)
    running = [sink.run("synth", run_id=f"r{number}") for number in range(RUNS)]
    tally = Tally()
    subscription = reader.subscribe("all", start={}, durable=True)
    reading = asyncio.create_task(tally.read(subscription, RUNS))

    def play(number: int, first: int, last: int) -> None:
        for count in range(first, last):
            for run in running[number::THREADS]:
                run.log(str(count))

    def playing(first: int, last: int) -> asyncio.Future[list[None]]:
        threads = (asyncio.to_thread(play, number, first, last) for number in range(THREADS))
        return asyncio.gather(*threads)

    async def links() -> list[str | None]:
        return [(await broker.stats()).link for broker in (producer, reader)]

    async def both_said() -> list[str | None]:
        return [] if None in (said := await links()) else said

    async def both_reached() -> bool:
        return await links() == [None, None]

    for run in running:
        run.__enter__()
    await playing(0, BEFORE)
    await sink.flush()
    server.pause()
    stopped = time.monotonic()
    try:
        await playing(BEFORE, WITH_ROOM)
        with_room = sink.stats()
        until_the_end = playing(WITH_ROOM, IN_ALL)
        await until(lambda: sink.stats().blocked_s > 0)
        said = await until(both_said)
        await pause(max(0.0, pause_s - (time.monotonic() - stopped)))
        full = sink.stats()
    finally:
        server.resume()
    async with asyncio.timeout(120):
        await until_the_end
        await sink.aclose()
        await reading
        await until(both_reached)
    await producer.aclose()
    await reader.aclose()

    published = RUNS * (IN_ALL + 2)
    in_server = {run.id: list(entries(server.url, run.id)) for run in running}
    print(
        f"stopped for {pause_s} s: published {published:,}, in the server "
        f"{sum(map(len, in_server.values())):,}, {tally}; queued {with_room.queued:,} without "
        f"waiting, {full.queued:,} at the bound, waited {sink.stats().blocked_s:.1f} s in all"
    )
    print("said meanwhile:", *said, sep="\n  ")
    texts = [str(count) for count in range(IN_ALL)]
    for stream in in_server.values():
        assert [each.seq for each in stream] == list(range(1, IN_ALL + 3))
        assert [each.text for each in stream] == ["run_start", *texts, "run_end"]
    assert tally.texts == {run.id: texts for run in running}
    assert (tally.delivered, tally.in_gaps) == (published, 0)
    assert (tally.duplicates, tally.jumps) == (0, 0)
    assert with_room.blocked_s == 0
    assert BOUND <= full.queued <= BOUND + THREADS
    assert all("does not answer" in str(each) for each in said)
