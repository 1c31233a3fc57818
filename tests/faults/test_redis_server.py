"""A server that dies, returns with older data or is full: losses counted, nothing stalls."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import pytest
import redis

from arena_tui.broker.protocol import Limits
from arena_tui.broker.redis.scripts import events_key
from arena_tui.services.servers import RedisServer
from tests.faults.accounts import link_of
from tests.faults.stage import Account, Producer, Station
from tests.redis_fixture import MakeRedis
from tests.waiting import until


async def killed(server: RedisServer) -> None:
    await asyncio.to_thread(server.kill)


async def started(server: RedisServer) -> None:
    await asyncio.to_thread(server.start)


async def is_said(station: Station, text: str) -> bool:
    return text in await station.warnings()


async def account_with_gaps(station: Station, run_id: str) -> Account | None:
    account = await station.account(run_id)
    return account if account.gaps else None


async def test_a_killed_server_with_a_log_loses_and_doubles_nothing(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis(aof=True)
    async with (
        Producer(server.url) as producer,
        Producer(server.url) as other,
        Station(server.url, tmp_path / "a.db") as station,
    ):

        async def publish(producer: Producer, run_id: str) -> None:
            for _ in range(60):
                await producer.publish(run_id, 25)

        async with asyncio.TaskGroup() as group:
            group.create_task(publish(producer, "a"))
            group.create_task(publish(other, "b"))
            for number in (100, 500, 900):
                await station.has("a", number)
                await killed(server)
                await started(server)

        for run_id in "ab":
            await station.has(run_id, 1_500)
            account = await station.account(run_id)
            account.check(1_500)
            assert account.lost == 0
            assert account.gaps == []
        # A client that was still waiting to retry may report last.
        await until(lambda: is_said(station, "works again"))


async def test_a_killed_server_without_a_log_loses_what_was_not_read_as_one_gap(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis()
    station = Station(server.url, tmp_path / "a.db")
    async with Producer(server.url) as producer:
        async with station:
            for run_id, count in {"a": 50, "b": 70, "c": 5}.items():
                await producer.publish(run_id, count)
                await station.has(run_id, count)
        await producer.publish("a", 130)
        await producer.publish("b", 40)
        await killed(server)
        await started(server)
        for run_id in "abc":
            await producer.publish(run_id, 10)

        async with station:
            for run_id, lost in {"a": 130, "b": 40, "c": 0}.items():
                count = producer.published[run_id]
                await station.has(run_id, count)
                account = await station.account(run_id)
                account.check(count)
                lengths = [(last - first + 1, why) for first, last, why in account.gaps]
                assert lengths == ([(lost, "reset")] if lost else [])


async def test_a_server_killed_in_the_middle_of_everything_is_accounted_for(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis()
    async with Producer(server.url) as producer, Station(server.url, tmp_path / "a.db") as station:

        async def publish(run_id: str) -> None:
            for _ in range(60):
                await producer.publish(run_id, 25)

        async with asyncio.TaskGroup() as group:
            for run_id in "abcd":
                group.create_task(publish(run_id))
            await station.has("a", 300)
            await killed(server)
            await started(server)

        for run_id in "abcd":
            await producer.publish(run_id, 25)
            await station.has(run_id, 1_525)
            account = await station.account(run_id)
            # Events that the server delivered but had not acknowledged are published again.
            once, twice = len(set(account.numbers)), account.stored - len(set(account.numbers))
            print(f"published 1525 = stored {once} + lost {account.lost}; told twice {twice}")
            assert once + account.lost == 1_525
            assert twice <= 25
            assert f"run {run_id}: its stream was made anew" in await station.warnings()
        assert "its stream was made anew" in await station.warnings()


async def test_a_run_that_died_with_its_server_and_its_producer_leaves_a_mark(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis()
    async with Station(server.url, tmp_path / "a.db") as station:
        async with Producer(server.url) as producer:
            await producer.publish("a", 50)
            await station.has("a", 50)
            await killed(server)
        await started(server)
        account = await until(lambda: account_with_gaps(station, "a"))

        assert account.gaps == [(51, 50, "unknown")]
        assert "run a: its stream is gone" in await station.warnings()


async def test_a_server_restored_from_an_older_copy_uses_no_seq_again(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis(aof=True)
    copy = tmp_path / "copy"
    station = Station(server.url, tmp_path / "a.db")
    late = Station(server.url, tmp_path / "late.db")
    async with Producer(server.url) as producer, station:
        async with late:
            await producer.publish("a", 50)
            await station.has("a", 50)
            await late.has("a", 50)
        shutil.copytree(server.folder, copy)
        await producer.publish("a", 30)
        await station.has("a", 80)

        await restored(server, copy)
        await producer.publish("a", 20)
        await station.has("a", 100)

        account = await station.account("a")
        account.check(100)
        assert account.lost == 0
        async with late:
            await late.has("a", 100)
            account = await late.account("a")
            account.check(100)
            assert account.gaps == [(51, 80, "reset")]


async def test_a_reader_tells_a_restored_server_what_it_has_seen(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis(aof=True)
    copy = tmp_path / "copy"
    async with Station(server.url, tmp_path / "a.db") as station:
        async with Producer(server.url) as producer:
            await producer.publish("a", 50)
            await station.has("a", 50)
            shutil.copytree(server.folder, copy)
            await producer.publish("a", 30)
            await station.has("a", 80)

        await restored(server, copy)
        await renewed(server, "a")
        async with Producer(server.url) as second:
            second.published["a"] = 80
            await second.publish("a", 20)
            await station.has("a", 100)

        account = await station.account("a")
        account.check(100)
        assert account.lost == 0


async def test_a_store_tells_a_restored_server_what_it_has(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis(aof=True)
    copy = tmp_path / "copy"
    station = Station(server.url, tmp_path / "a.db")
    async with station, Producer(server.url) as producer:
        await producer.publish("a", 50)
        await station.has("a", 50)
        shutil.copytree(server.folder, copy)
        await producer.publish("a", 30)
        await station.has("a", 80)
    await restored(server, copy)

    async with station:
        await renewed(server, "a")
        async with Producer(server.url) as second:
            second.published["a"] = 80
            await second.publish("a", 20)
            await station.has("a", 100)

        account = await station.account("a")
        account.check(100)
        assert account.lost == 0


@pytest.mark.parametrize("same_producer", [True, False])
async def test_a_copy_from_before_the_stream_was_made_anew_is_no_way_back(
    make_redis: MakeRedis, tmp_path: Path, same_producer: bool
) -> None:
    server = make_redis(aof=True)
    copy = tmp_path / "copy"
    station = Station(server.url, tmp_path / "a.db")
    async with Producer(server.url) as producer, Producer(server.url) as other:
        async with station:
            await producer.publish("a", 50)
            await station.has("a", 50)
            shutil.copytree(server.folder, copy)
            with redis.Redis.from_url(server.url) as client:
                client.flushall()
            await producer.publish("a", 30)
            await station.has("a", 80)
        await restored(server, copy)

        async with station:
            await renewed(server, "a")
            if not same_producer:
                other.published["a"] = 80
            await (producer if same_producer else other).publish("a", 20)
            await station.has("a", 100)

            account = await station.account("a")
            account.check(100)
            assert account.lost == 0


async def restored(server: RedisServer, copy: Path) -> None:
    await killed(server)
    shutil.rmtree(server.folder)
    shutil.copytree(copy, server.folder)
    await started(server)


async def renewed(server: RedisServer, run_id: str) -> None:
    """Return once the server knows that its clients have seen newer events of the run."""
    with redis.Redis.from_url(server.url) as client:
        await until(lambda: bool(client.hget(f"arena:{run_id}:meta", "ended")))


async def test_a_full_server_holds_producers_back_until_the_store_makes_room(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis(extra=("--maxmemory", "4mb"))
    limits = Limits(capacity=100_000, retain=50)
    station = Station(server.url, tmp_path / "a.db", limits)
    async with Producer(server.url, limits) as producer, station:
        await producer.publish("a", 10)
        await station.has("a", 10)
        await station.stop_storing()
        publishing = asyncio.create_task(flood(producer, 200))
        problem = await problem_of(producer)
        held_back = (await producer.broker.stats()).unsent
        done = publishing.done()

        await station.store_again()
        async with asyncio.timeout(60):
            await publishing
        await station.has("a", 10_010)

        account = await station.account("a")
        account.check(10_010)
        assert "full" in problem
        assert held_back > 0
        assert not done
        assert account.lost == 0
        assert (await producer.broker.stats()).link is None


async def flood(producer: Producer, times: int) -> None:
    for _ in range(times):
        await producer.publish("a", 50, " " + "x" * 1_000)


async def problem_of(producer: Producer) -> str:
    return await until(lambda: link_of(producer.broker))


async def test_a_server_that_may_evict_runs_is_warned_of(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis(extra=("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"))

    async with Station(server.url, tmp_path / "a.db") as station:
        warnings = await station.warnings()

    assert re.search(r"may evict whole runs \(maxmemory-policy allkeys-lru\)", warnings)


async def test_runs_that_were_evicted_go_on(make_redis: MakeRedis, tmp_path: Path) -> None:
    server = make_redis(extra=("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-random"))
    limits = Limits(capacity=100_000, retain=50)
    async with (
        Producer(server.url, limits) as producer,
        Station(server.url, tmp_path / "a.db", limits) as station,
    ):
        for _ in range(40):
            for run_id in "abcde":
                await producer.publish(run_id, 20, " " + "x" * 2_000)

        with redis.Redis.from_url(server.url) as client:
            client.config_set("maxmemory", 0)  # what is evicted last, nobody comes to tell of
            for run_id in "abcde":
                await producer.publish(run_id, 20)
        for run_id in "abcde":
            await station.has(run_id, 820)
            account = await station.account(run_id)
            # Evicted again before it was read, a run takes the end of its stream before with it.
            if not any(reason == "unknown" for _, _, reason in account.gaps):
                account.check(820)
            assert account.numbers == sorted(set(account.numbers))
            assert account.stored + account.lost <= 820
        with redis.Redis.from_url(server.url) as client:
            print("evicted keys:", client.info("stats")["evicted_keys"])
            assert client.exists(*(events_key(run_id) for run_id in "abcde"))
