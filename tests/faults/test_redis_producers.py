"""Many producing processes on one server, in bursts, and killed: every event once, in order."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys

import redis

from arena_tui.broker.protocol import RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.events import LogEvent
from tests.conftest import FakeClock
from tests.faults.accounts import FULL, Tally, entries, runs_in
from tests.redis_fixture import MakeRedis

PROCESSES, RUNS, EVENTS = (16, 50, 2_000) if FULL else (4, 10, 500)
KILLS = 60 if FULL else 10
BURSTS_S = 1_800

BURSTS = """
import asyncio, sys, threading
import arena_tui
from arena_tui.broker.protocol import RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.events import LogEvent, RunEnd, RunStart

url, number, runs, events = sys.argv[1], *map(int, sys.argv[2:])
THREADS, BURST = 5, 50

def names(way):
    return [f"{way}-{number}-{run}" for run in range(runs // 2)]

def by_threads():
    with arena_tui.connect(url, store=False) as arena:
        def play(some):
            running = [arena.run("synth", run_id=name) for name in some]
            for run in running:
                run.__enter__()
            for first in range(0, events - 2, BURST):
                for run in running:
                    for count in range(first, min(first + BURST, events - 2)):
                        run.log(str(count))
            for run in running:
                run.end()

        threads = [threading.Thread(target=play, args=(names("thread")[n::THREADS],))
                   for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

async def by_tasks():
    broker = RedisBroker(BrokerUrl(url), reading=False)
    await broker.start()
    given = {name: [] for name in names("task")}
    for name in given:
        await broker.open_run(RunMeta(run_id=name, game="synth"))
    for first in range(0, events, BURST):
        burst = []
        for count in range(first, min(first + BURST, events)):
            event = LogEvent(text=str(count - 1))
            if count == 0:
                event = RunStart(game="synth")
            elif count == events - 1:
                event = RunEnd()
            burst += [(name, asyncio.create_task(broker.publish(name, event))) for name in given]
        for name, task in burst:
            given[name].append(await task)
    assert all(seqs == list(range(1, events + 1)) for seqs in given.values()), given
    await broker.aclose()

threading.Thread(target=by_threads).start()
asyncio.run(by_tasks())
"""


async def test_bursts_of_many_processes_arrive_once_and_in_order(make_redis: MakeRedis) -> None:
    server = make_redis()
    reader = RedisBroker(BrokerUrl(server.url))
    await reader.start()
    subscription = reader.subscribe("all", start={}, durable=True)
    tally = Tally()

    producers = [
        subprocess.Popen(
            [sys.executable, "-c", BURSTS, server.url, str(number), str(RUNS), str(EVENTS)]
        )
        for number in range(PROCESSES)
    ]
    try:
        async with asyncio.timeout(BURSTS_S):
            await tally.read(subscription, PROCESSES * RUNS)
            codes = [await asyncio.to_thread(each.wait) for each in producers]
    finally:
        for each in producers:
            each.kill()
        overflow = (await reader.stats()).overflow
        await reader.aclose()
    published = PROCESSES * RUNS * EVENTS
    print(f"{PROCESSES} processes, {PROCESSES * RUNS} runs: published {published:,}, {tally}")

    assert codes == [0] * PROCESSES
    assert (tally.delivered, tally.in_gaps, overflow) == (published, 0, 0)
    assert (tally.duplicates, tally.jumps) == (0, 0)
    texts = [str(count) for count in range(EVENTS - 2)]
    assert [run for run, got in tally.texts.items() if got != texts] == []
    in_server = 0
    for run_id in runs_in(server.url):
        stream = list(entries(server.url, run_id))
        in_server += len(stream)
        assert [each.seq for each in stream] == list(range(1, EVENTS + 1))
        assert [each.text for each in stream] == ["run_start", *texts, "run_end"]
    print(f"in the server {in_server:,}")
    assert in_server == published


NUMBERED = """
import asyncio, contextlib, functools, os, sys
from arena_tui.broker.protocol import Limits, RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.errors import RunExistsError
from arena_tui.events import LogEvent

url, run_id, life = sys.argv[1:]
IN_FLIGHT = 2_000

def tell(number, task):
    os.write(1, b"%d %d\\n" % (number, task.result()))

async def main():
    broker = RedisBroker(BrokerUrl(url), Limits(capacity=10_000_000), reading=False)
    await broker.start()
    with contextlib.suppress(RunExistsError):
        await broker.open_run(RunMeta(run_id=run_id, game="synth"))
    await broker.heartbeat([run_id])
    tasks = []
    for count in range(10_000_000):
        tasks.append(asyncio.create_task(broker.publish(run_id, LogEvent(text=f"{life} {count}"))))
        tasks[-1].add_done_callback(functools.partial(tell, count))
        if count % 70 == 0:
            await asyncio.sleep(0)
        if count >= IN_FLIGHT:
            await tasks[count - IN_FLIGHT]
            tasks[count - IN_FLIGHT] = None

asyncio.run(main())
"""


def acknowledged(url: str, life: int, lines: int) -> dict[int, int]:
    """Kill a producer after `lines` reported events; returns the seq of each event reported."""
    command = [sys.executable, "-c", NUMBERED, url, "r", str(life)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        told += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    whole = (line.split() for line in told if line.endswith(b"\n"))
    return {int(number): int(seq) for number, seq in whole}


async def test_a_killed_producer_loses_nothing_that_was_acknowledged(
    redis_url: str, clock: FakeClock
) -> None:
    choose = random.Random(20_261)
    acks: dict[int, dict[int, int]] = {}
    unacknowledged = 0

    for life in range(KILLS):
        acks[life] = acknowledged(redis_url, life, choose.randint(0, 1_500))
        stream = list(entries(redis_url, "r"))

        assert {each.epoch for each in stream} == {stream[0].epoch}
        assert [each.seq for each in stream] == list(range(1, len(stream) + 1))
        by_life: dict[int, dict[int, int]] = {life: {} for life in acks}
        for each in stream:
            of, number = map(int, each.text.split())
            assert number == len(by_life[of])
            assert not any(by_life[later] for later in range(of + 1, life + 1))
            by_life[of][number] = each.seq
        for of, told in acks.items():
            assert told.items() <= by_life[of].items()
        unacknowledged = len(stream) - sum(map(len, acks.values()))

    print(
        f"{KILLS} kills: acknowledged {sum(map(len, acks.values())):,}, in the stream "
        f"{len(stream):,} ({unacknowledged:,} without having been acknowledged), "
        "lost 0, duplicates 0"
    )
    assert runs_in(redis_url) == ["r"]
    reader = RedisBroker(BrokerUrl(redis_url), clock=clock)
    await reader.start()
    states = [(await reader.runs())[0].state]
    clock.now += 16
    states.append((await reader.runs())[0].state)
    await reader.aclose()
    assert states == ["open", "silent"]


async def test_a_run_that_is_opened_again_takes_what_was_on_its_way(redis_url: str) -> None:
    broker = RedisBroker(BrokerUrl(redis_url), reading=False)
    await broker.start()

    async def publish(first: int, last: int) -> list[int]:
        events = (LogEvent(text=str(count)) for count in range(first, last))
        return await asyncio.gather(*(broker.publish("r", event) for event in events))

    await broker.open_run(RunMeta(run_id="r"))
    await publish(0, 5)
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    on_its_way = asyncio.create_task(publish(5, 8))
    await broker.open_run(RunMeta(run_id="r"))
    seqs = [*await on_its_way, *await publish(8, 11)]
    await broker.aclose()

    assert seqs == [1, 2, 3, 4, 5, 6]
    assert [each.text for each in entries(redis_url, "r")] == ["5", "6", "7", "8", "9", "10"]
