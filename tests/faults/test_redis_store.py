"""Stores on Redis that are killed, late, concurrent or slow: each event is stored or counted."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from arena_tui.broker.protocol import STORE, Limits
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.scripts import CONSUMERS, INDEX, acks_key, events_key, meta_key
from arena_tui.broker_url import BrokerUrl
from arena_tui.events import Delivery, Envelope, Gap
from arena_tui.store.database import Database
from arena_tui.store.history import History
from tests.faults.accounts import FULL
from tests.faults.stage import LIMITS, QUICK, Producer, Station
from tests.redis_fixture import MakeRedis
from tests.store_fixture import replay
from tests.waiting import pause, until

ROUNDS = 100 if FULL else 6

PERSISTER = """
import asyncio, sys
from arena_tui.broker.protocol import STORE, Limits
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.services.runtime import Runtime

async def main(url, db, ack_s):
    limits, timing = Limits(capacity=5_000, retain=50), Timing(ack_s=float(ack_s), sweep_s=0.02)
    runtime = Runtime(Config(broker=BrokerUrl(url), db=db), limits, timing=timing)
    await runtime.open()
    print("open", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


def start_persister(url: str, db: Path, ack_s: float = 0.02) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PERSISTER, url, str(db), str(ack_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def longest(url: str, producer: Producer) -> int:
    """Length of the longest run on the server, in events."""
    with redis.Redis.from_url(url) as client:
        return max([0, *(int(client.xlen(events_key(each))) for each in producer.published)])


async def test_a_persister_killed_again_and_again_stores_everything_once(
    redis_url: str, tmp_path: Path
) -> None:
    limits = Limits(capacity=5_000, retain=50)
    db = tmp_path / "a.db"
    chance = random.Random(7)
    stop = asyncio.Event()
    async with Producer(redis_url, limits) as producer:

        async def has_room() -> bool:
            """Whether another batch fits without an overflow."""
            return stop.is_set() or await longest(redis_url, producer) <= 3_000

        async def publish() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                await until(has_room)
                for run_id in (f"a{number // 200}", f"b{number // 300}"):
                    await producer.publish(run_id, 5)
                await pause(0.002)

        publishing = asyncio.create_task(publish())
        for _ in range(ROUNDS):
            process = start_persister(redis_url, db)
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "open\n"
            with redis.Redis.from_url(redis_url) as client:
                for _ in range(chance.randrange(0, 400)):
                    client.ping()
                    await asyncio.sleep(0)
            process.kill()
            process.wait()
        stop.set()
        await publishing

        async with Station(redis_url, db, limits) as station:
            for run_id, count in producer.published.items():
                await station.accounts_for(run_id, count)
            await station.account("a0")
            rows = await station.rows(
                "SELECT run_id, count(*), count(DISTINCT payload->>'text') FROM events GROUP BY 1"
            )
            ((lost,),) = await station.rows("SELECT sum(lost) FROM runs")
            warned = station.runtime.broker.warnings.counts()
    stored = {run_id: count for run_id, count, _ in rows}
    print(
        f"{ROUNDS} kills, {len(stored)} runs: published {producer.published.total()} "
        f"= stored {sum(stored.values())} + lost {lost}"
    )
    assert stored == {run_id: count for run_id, _, count in rows} == producer.published
    assert (lost, warned.get("consumer_failed", 0)) == (0, 0)


async def test_a_run_that_its_producer_left_expires_without_a_loss_and_may_go_on(
    redis_url: str, tmp_path: Path
) -> None:
    limits = Limits(capacity=2_000, retain=50, closed_run_s=1)
    async with (
        Producer(redis_url, limits) as producer,
        Station(redis_url, tmp_path / "a.db", limits) as station,
    ):
        await producer.publish("a", 20)
        await station.has("a", 20)
        with redis.Redis.from_url(redis_url) as client:
            client.hset(meta_key("a"), "alive", 1)
            await until(lambda: not client.exists(events_key("a")))
        warnings = await station.warnings()
        held = [each.held for each in (await station.runtime.broker.stats()).runs]

        await producer.publish("a", 5)

        await station.accounts_for("a", 25)
        account = await station.account("a")
        account.check(25)
        assert account.lost == 0
        assert all(reason == "reset" for *_, reason in account.gaps)
        assert "is gone" not in warnings
        assert held == [0]


@pytest.mark.parametrize("count", [1_049, 1_050, 2_050, 3_051])
async def test_a_store_that_was_away_is_told_of_no_gap_where_nothing_is_lost(
    count: int, redis_url: str, tmp_path: Path
) -> None:
    """All but the newest 50 are fetched from the server, by the thousand."""
    limits = Limits(capacity=5_000, retain=50)
    station = Station(redis_url, tmp_path / "a.db", limits)
    async with Producer(redis_url, limits) as producer:
        async with station:
            await producer.publish("first", 1)
            await station.has("first", 1)
        await producer.publish("a", count)

        async with station:
            await station.has("a", count)
            account = await station.account("a")
            account.check(count)
            assert account.gaps == []


async def test_two_stores_have_everything_and_the_slower_holds_trimming(
    redis_url: str, tmp_path: Path
) -> None:
    first = Station(redis_url, tmp_path / "first.db")
    second = Station(redis_url, tmp_path / "second.db")
    live = RedisBroker(BrokerUrl(redis_url), LIMITS, timing=QUICK)
    watching = live.subscribe("dashboard")
    seen: list[Delivery] = []

    async def watch() -> None:
        while len(seen) < 600:
            seen.extend(await anext(watching))

    async with Producer(redis_url) as producer, first, second:
        await live.start()
        watched = asyncio.create_task(watch())
        await producer.publish("a", 50)
        await producer.publish("a", 50)
        for station in (first, second):
            await station.has("a", 100)
        await second.stop_storing()
        await producer.publish("a", 500)
        await first.has("a", 600)
        held = await until_acked(redis_url, first, "a", 600)
        await asyncio.wait_for(watched, 30)
        await second.store_again()
        await second.has("a", 600)
        await until_held(redis_url, "a", LIMITS.retain)

        await live.aclose()
        for station in (first, second):
            account = await station.account("a")
            account.check(600)
            assert account.lost == 0
        print(f"held for the slower store: {held}, after it: {LIMITS.retain}")
        assert 500 <= held <= 600
        assert [each.seq for each in seen if isinstance(each, Envelope)] == list(range(1, 601))


async def until_acked(url: str, station: Station, run_id: str, seq: int) -> int:
    """Wait for this store's ack of `seq`; returns how many entries the server then holds."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        store = acks_key(station.consumer)
        await until(lambda: (client.hget(store, run_id) or "").endswith(f"-{seq}"))
        return int(client.xlen(events_key(run_id)))


async def until_held(url: str, run_id: str, count: int) -> None:
    with redis.Redis.from_url(url) as client:
        await until(lambda: client.xlen(events_key(run_id)) <= count)


async def test_a_store_that_is_gone_holds_nothing_any_more(redis_url: str, tmp_path: Path) -> None:
    first = Station(redis_url, tmp_path / "first.db")
    async with Producer(redis_url) as producer, first:
        async with Station(redis_url, tmp_path / "second.db") as second:
            await producer.publish("a", 100)
            await second.has("a", 100)
            gone = acks_key(second.consumer)
        for run_id in ("a", "b", "c", "d", "e", "f"):
            await producer.publish(run_id, 200)
            await producer.end(run_id)
        for run_id in "abcdef":
            await first.accounts_for(run_id, producer.published[run_id])
        held = await until_acked(redis_url, first, "f", 201)
        with redis.Redis.from_url(redis_url) as client:
            before = client.xlen(INDEX)
            client.delete(gone)  # as after an hour without a heartbeat
            await until(lambda: client.scard(CONSUMERS) == 1)

            await until(lambda: client.ttl(events_key("f")) > 0)
            left = [client.xlen(events_key(run_id)) for run_id in "bcdef"]
        print(f"runs held for a store that is gone: {before}, then of each {left}")
        assert (held, before, left) == (201, 6, [LIMITS.retain] * 5)


async def test_runs_that_are_not_stored_are_never_reaped(redis_url: str, tmp_path: Path) -> None:
    runs = [f"run{number}" for number in range(10)]
    limits = Limits(capacity=2_000, retain=50, closed_runs=3, closed_run_s=0)
    async with Producer(redis_url, limits) as producer:
        for run_id in runs:
            await producer.publish(run_id, 20)
            await producer.end(run_id)
        station = Station(redis_url, tmp_path / "a.db", limits)
        with redis.Redis.from_url(redis_url) as client:
            unstored = client.xlen(INDEX)
            async with station:
                for run_id in runs:
                    await station.accounts_for(run_id, 21)
                await until(lambda: client.xlen(INDEX) == 0)
                left = len([*client.scan_iter("arena:run*:events")])
                for run_id in runs:
                    account = await station.account(run_id)
                    assert (account.stored, account.lost) == (20, 0)
        print(f"closed runs held unstored: {unstored}, once stored: {left}")
        assert (unstored, left) == (10, 0)


async def test_a_store_that_died_before_its_ack_acks_when_it_comes_back(
    redis_url: str, tmp_path: Path
) -> None:
    db = tmp_path / "a.db"
    process = start_persister(redis_url, db, ack_s=3_600)
    assert process.stdout is not None
    await asyncio.to_thread(process.stdout.readline)
    async with Producer(redis_url) as producer:
        await producer.publish("a", 300)
        await until(lambda: b'"text":"300"' in (tmp_path / "a.db.wal").read_bytes())
        process.kill()
        process.wait()
        with redis.Redis.from_url(redis_url) as client:
            unacked = client.xlen(events_key("a"))

        async with Station(redis_url, db) as station:
            await until_held(redis_url, "a", LIMITS.retain)
            (await station.account("a")).check(300)
    assert unacked == 300


async def test_a_replay_goes_from_the_store_over_redis_to_what_is_live(
    redis_url: str, tmp_path: Path
) -> None:
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        await producer.publish("a", 400)
        await station.has("a", 400)
        await until_held(redis_url, "a", LIMITS.retain)
        await station.stop_storing()
        await producer.publish("a", 300)  # more than this process holds
        await station.arrived("a", 700)
        history = station.runtime.history
        assert history is not None

        seen = []
        async with asyncio.timeout(30):
            async for delivery in replay(history, station.runtime.broker, "a", 1):
                seen.append(delivery)
                if len(seen) == 600:
                    await producer.publish("a", 50)
                if len(seen) == 720:
                    await producer.end("a")

        assert not any(isinstance(each, Gap) for each in seen)
        assert [each.seq for each in seen if isinstance(each, Envelope)] == list(range(1, 752))
        await station.store_again()
        await station.accounts_for("a", 751)
        (await station.account("a")).check(750)


async def test_a_replay_tells_of_a_stream_that_was_lost_before_it_was_read(
    redis_url: str, tmp_path: Path
) -> None:
    async with Producer(redis_url) as producer:
        await producer.publish("a", 40)
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()
        await producer.publish("a", 30)
        await producer.end("a")
        async with Station(redis_url, tmp_path / "a.db") as station:
            await station.arrived("a", 31)
            database = Database(":memory:")

            seen = []
            async with asyncio.timeout(30):
                async for delivery in replay(History(database), station.runtime.broker, "a"):
                    seen.append(delivery)
            database.close()

    assert [(each.first_seq, each.last_seq) for each in seen if isinstance(each, Gap)] == [(1, 40)]
    assert [each.seq for each in seen if isinstance(each, Envelope)] == list(range(1, 32))


async def test_a_late_store_reads_from_redis_what_the_process_does_not_hold(
    redis_url: str, tmp_path: Path
) -> None:
    limits = Limits(capacity=30_000, retain=50)
    async with Producer(redis_url, limits) as producer:
        for run_id in ("a", "b"):
            for _ in range(10):
                await producer.publish(run_id, 2_000)
        async with Station(redis_url, tmp_path / "a.db", limits) as station:
            held = 0
            storing = station.runtime.running(STORE)

            async def all_is_stored() -> bool:
                nonlocal held
                stats = await station.runtime.broker.stats()
                held = max([held, *(run.high_water for run in stats.runs)])
                return bool(storing.consumer.stats().stored == 40_000)

            await until(all_is_stored)
            for run_id in ("a", "b"):
                account = await station.account(run_id)
                account.check(20_000)
                assert account.lost == 0
    print(f"held at most {held} events of a run while storing 20,000")
    assert held <= 2 * limits.retain


@pytest.mark.parametrize("reading", [True, False])
async def test_overflow_is_told_once_and_counted_exactly(
    redis_url: str, tmp_path: Path, reading: bool, caplog: pytest.LogCaptureFixture
) -> None:
    station = Station(redis_url, tmp_path / "a.db")
    async with Producer(redis_url) as producer:
        async with station:
            await producer.publish("a", 100)
            await station.has("a", 100)
            if reading:
                await station.stop_storing()
                await producer.publish("a", 2_900)
                await station.arrived("a", 3_000)
                await station.store_again()
                await station.has("a", 3_000)
                stats = await station.runtime.broker.stats()
        if not reading:
            await producer.publish("a", 2_900)
            async with station:
                await station.has("a", 3_000)
                stats = await station.runtime.broker.stats()
        async with station:
            account = await station.account("a")
        account.check(3_000)
        print(f"overflow {stats.overflow}, of the run {stats.runs[0].overflow}")
        assert account.gaps == [(101, 1_000, "trimmed")]
        assert (stats.overflow, stats.runs[0].overflow) == (900, 900)
        assert sum("overflow" in each.getMessage() for each in caplog.records) == 1


async def test_overflow_of_a_stopped_process_is_counted_exactly(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis()
    limits = Limits(capacity=5_000, retain=50)
    db = tmp_path / "a.db"
    process = start_persister(server.url, db)
    assert process.stdout is not None
    await asyncio.to_thread(process.stdout.readline)
    async with Producer(server.url, limits) as producer:
        await producer.publish("a", 100)
        await until_held(server.url, "a", 50)
        process.send_signal(signal.SIGSTOP)
        for _ in range(8):
            await producer.publish("a", 1_000)
        process.send_signal(signal.SIGCONT)
        await producer.publish("a", 100)
        await until_held(server.url, "a", 50)
        process.kill()
        process.wait()

        async with Station(server.url, db, limits) as station:
            await station.has("a", 8_200)
            account = await station.account("a")
            account.check(8_200)
            # Events sent to the process before it was stopped are not lost.
            assert 2_000 <= account.lost <= 3_100
            assert 3_100 <= account.gaps[-1][1] <= 3_200
