"""Events that a running server loses are counted exactly, and everything goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
import redis

from arena_tui.broker.redis.scripts import events_key, meta_key
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.consumers.lines import recording
from arena_tui.services.runtime import Runtime
from tests.faults.stage import LIMITS, QUICK, Producer, Station
from tests.waiting import until

Client: TypeAlias = "redis.Redis"


def flush(client: Client) -> None:
    client.flushall()


def delete_events(client: Client) -> None:
    client.delete(events_key("a"))


def delete_meta(client: Client) -> None:
    client.delete(meta_key("a"))


def delete_both(client: Client) -> None:
    client.delete(meta_key("a"), events_key("a"))


def trim(client: Client) -> None:
    client.xtrim(events_key("a"), maxlen=0, approximate=False)


def delete_some(client: Client) -> None:
    entries = client.xrange(events_key("a"))  # 50 at least, however far it is trimmed by now
    middle = len(entries) // 2
    client.xdel(events_key("a"), *(entry_id for entry_id, _ in entries[middle : middle + 10]))


LOSSES = {
    flush: 300,
    delete_events: 300,
    delete_meta: 0,
    delete_both: 300,
    trim: 300,
    delete_some: 10,
}
"""Each with what it costs a store that has none of the 300 newest events."""

Loss: TypeAlias = Callable[[Client], None]
losses = pytest.mark.parametrize("lose", LOSSES, ids=lambda loss: loss.__name__)


@pytest.fixture
def client(redis_url: str) -> Client:
    return redis.Redis.from_url(redis_url)


@losses
async def test_what_is_stored_already_is_not_missed(
    lose: Loss, client: Client, redis_url: str, tmp_path: Path
) -> None:
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        await producer.publish("a", 350)
        await producer.publish("b", 10)
        await station.has("a", 350)
        await station.has("b", 10)

        lose(client)
        await producer.publish("a", 20)
        await producer.publish("b", 10)

        for run_id, count in producer.published.items():
            await station.has(run_id, count)
            account = await station.account(run_id)
            account.check(count)
            assert account.lost == 0
        if lose is flush:
            assert "run a: its stream was made anew" in await station.warnings()


@losses
async def test_a_store_that_is_behind_counts_what_it_can_no_longer_have(
    lose: Loss, client: Client, redis_url: str, tmp_path: Path
) -> None:
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        for run_id in "ab":
            await producer.publish(run_id, 50)
            await station.has(run_id, 50)
        await station.stop_storing()
        for run_id in "ab":
            await producer.publish(run_id, 300)
            await station.arrived(run_id, 350)

        lose(client)
        await producer.publish("a", 20)
        await producer.publish("b", 10)
        await station.store_again()

        for run_id, count in producer.published.items():
            await station.has(run_id, count)
            account = await station.account(run_id)
            account.check(count)
            touched = run_id == "a" or lose is flush
            assert account.lost <= LOSSES[lose] * touched
        if LOSSES[lose]:
            assert "run a: overflow" in await station.warnings()


@losses
async def test_a_store_that_was_away_counts_what_it_missed(
    lose: Loss, client: Client, redis_url: str, tmp_path: Path
) -> None:
    async with Producer(redis_url) as producer:
        station = Station(redis_url, tmp_path / "a.db")
        async with station:
            for run_id in "ab":
                await producer.publish(run_id, 50)
                await station.has(run_id, 50)
        for run_id in "ab":
            await producer.publish(run_id, 300)
        lose(client)
        await producer.publish("a", 20)
        await producer.publish("b", 10)

        async with station:
            for run_id, count in producer.published.items():
                await station.has(run_id, count)
                account = await station.account(run_id)
                account.check(count)
                touched = run_id == "a" or lose is flush
                assert account.lost == LOSSES[lose] * touched
                assert len(account.gaps) <= 1


@losses
async def test_a_store_that_comes_only_now_counts_all_it_never_saw(
    lose: Loss, client: Client, redis_url: str, tmp_path: Path
) -> None:
    async with Producer(redis_url) as producer:
        await producer.publish("a", 300)
        lose(client)
        await producer.publish("a", 20)

        async with Station(redis_url, tmp_path / "a.db") as station:
            await station.has("a", 320)
            account = await station.account("a")
            account.check(320)
            assert account.lost == LOSSES[lose]


async def test_a_loss_that_nobody_knows_the_end_of_is_told_as_that(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    """Its producer has gone, its store was away, and the server forgot all of it."""
    station = Station(redis_url, tmp_path / "a.db")
    async with Producer(redis_url) as producer:
        async with station:
            await producer.publish("a", 50)
            await station.has("a", 50)
        await producer.publish("a", 10)
    client.flushall()

    async with Producer(redis_url) as other:
        other.published["a"] = 60
        await other.publish("a", 20)
        async with station:
            await station.has("a", 80)
            account = await station.account("a")

    assert account.gaps == [(51, 50, "unknown")]
    assert account.stored == 70


async def test_a_run_that_does_not_come_back_has_lost_nobody_knows_how_much(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    async with Station(redis_url, tmp_path / "a.db") as station:
        async with Producer(redis_url) as producer:
            await producer.publish("a", 50)
            await station.has("a", 50)
        client.flushall()

        async with asyncio.timeout(30):
            while not await station.rows("SELECT 1 FROM gaps"):
                pass
        account = await station.account("a")

    assert account.gaps == [(51, 50, "unknown")]


@pytest.mark.parametrize("ends", [False, True], ids=["silent", "ended"])
@pytest.mark.parametrize("away", [False, True], ids=["behind", "away"])
async def test_a_producer_that_is_still_there_tells_how_much_was_lost(
    away: bool, ends: bool, client: Client, redis_url: str, tmp_path: Path
) -> None:
    """It publishes nothing more: its heartbeats tell."""
    async with Producer(redis_url) as producer:
        station = Station(redis_url, tmp_path / "a.db")
        async with station:
            await producer.publish("a", 50)
            await station.has("a", 50)
            if not away:
                await station.stop_storing()
                await publish_the_rest(producer, ends)
                client.flushall()
                await producer.broker.heartbeat([] if ends else ["a"])
                await station.store_again()
                await station.accounts_for("a", producer.published["a"])
                account = await station.account("a")
        if away:
            await publish_the_rest(producer, ends)
            client.flushall()
            await producer.broker.heartbeat([] if ends else ["a"])
            async with station:
                await station.accounts_for("a", producer.published["a"])
                account = await station.account("a")

    print(f"published {producer.published['a']}, lost {account.lost}; gaps {account.gaps}")
    assert account.lost >= 250
    assert {reason for *_, reason in account.gaps} <= {"trimmed", "reset"}


async def publish_the_rest(producer: Producer, ends: bool) -> None:
    await producer.publish("a", 300)
    if ends:
        await producer.end("a")


@pytest.mark.parametrize("ends", [False, True], ids=["silent", "ended"])
async def test_nothing_is_lost_with_a_server_of_which_all_was_stored(
    ends: bool, client: Client, redis_url: str, tmp_path: Path
) -> None:
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        await publish_the_rest(producer, ends)
        await station.accounts_for("a", producer.published["a"])
        client.flushall()

        await producer.broker.heartbeat([] if ends else ["a"])
        await producer.publish("b", 1)
        await station.has("b", 1)
        await until(lambda: is_left_alone(station))
        await station.accounts_for("a", producer.published["a"])
        account = await station.account("a")

    assert account.lost == 0
    assert all(reason == "reset" for *_, reason in account.gaps)


async def is_left_alone(station: Station) -> bool:
    """Whether the run is no longer missing, as far as its readers know."""
    infos = await station.runtime.broker.runs()
    return all(info.state != "silent" for info in infos if info.meta.run_id == "a")


async def test_a_store_is_told_of_a_run_that_was_lost_without_a_trace_while_it_was_away(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    """Those that ended lost nothing, and another broker's are none of this server's."""
    station = Station(redis_url, tmp_path / "a.db")
    async with Producer(redis_url) as producer, station:
        for run_id in ("cut", "whole", "elsewhere"):
            await producer.publish(run_id, 50)
            await station.has(run_id, 50)
        await producer.end("whole")
        await station.accounts_for("whole", 51)
        await station.stop_storing()
        await station.rows("UPDATE runs SET broker = 'in-process' WHERE run_id = 'elsewhere'")
        await producer.publish("cut", 20)
    client.flushall()

    for _ in range(2):
        async with station:
            await until(lambda: station.rows("SELECT 1 FROM gaps"))
            found = await station.rows("SELECT run_id, lost, lost_unknown FROM runs ORDER BY 1")
            gaps = await station.rows("SELECT run_id, from_seq, to_seq, reason FROM gaps")

    assert found == [("cut", 0, 1), ("elsewhere", 0, 0), ("whole", 0, 0)]
    assert gaps == [("cut", 51, 50, "unknown")]


async def test_a_recorder_is_told_of_a_run_that_was_lost_while_it_was_away(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "record.jsonl"
    config = Config(broker=BrokerUrl(redis_url), db=None)

    async def record(until_line: bytes) -> None:
        runtime = Runtime(config, timing=QUICK, consumers=[recording(path)])
        await runtime.open()
        await until(lambda: until_line in path.read_bytes())
        await runtime.aclose()

    async with Producer(redis_url) as producer:
        await producer.publish("cut", 5)
        await producer.publish("whole", 5)
        await producer.end("whole")
        await record(b'"kind":"run_end"')
    client.flushall()
    for number in range(2):
        async with Producer(redis_url) as producer:
            await producer.publish(f"later{number}", 1)
            await producer.end(f"later{number}")
            await record(b"later%d" % number)
            await record(b'"reason":"unknown"')

    gaps = [line for line in path.read_bytes().splitlines() if b'"gap"' in line]
    assert len(gaps) == 1
    assert b'"run_id":"cut"' in gaps[0]


async def test_a_run_id_used_again_after_its_end_has_lost_nothing(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    station = Station(redis_url, tmp_path / "a.db")
    async with Producer(redis_url) as producer, station:
        await producer.publish("a", 10)
        await producer.end("a")
        await station.accounts_for("a", 11)
    client.flushall()

    async with Producer(redis_url) as producer, station:
        await producer.publish("a", 5)
        await station.accounts_for("a", 16)
        account = await station.account("a")
        ((unknown,),) = await station.rows("SELECT lost_unknown FROM runs")

    assert (account.gaps, account.lost, unknown) == ([], 0, 0)


async def test_only_of_runs_that_do_not_come_back_a_loss_is_told(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    """Those that end while they are read again are soon no longer held here."""
    station = Station(redis_url, tmp_path / "a.db")
    runs = [f"run{number}" for number in range(2 * LIMITS.closed_runs)]
    finished = "SELECT run_id FROM runs WHERE status = 'finished' ORDER BY 1"
    async with Producer(redis_url) as producer:
        async with station:
            for run_id in (*runs, "cut"):
                await producer.publish(run_id, 5)
                await station.has(run_id, 5)
        client.delete(events_key("cut"), meta_key("cut"))

        async with station:
            for run_id in runs:
                await producer.end(run_id)
                await station.accounts_for(run_id, 6)
            await until(lambda: station.rows("SELECT 1 FROM gaps"))
            told = await station.rows("SELECT run_id FROM gaps")
            ended = await station.rows(finished)
            warnings = await station.warnings()

    assert told == [("cut",)]
    assert warnings.count("it is no longer in Redis") == 1
    assert ended == [(run_id,) for run_id in runs]


async def test_a_stream_made_anew_of_which_nothing_is_left_is_a_gap(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        await producer.publish("a", 50)
        await station.has("a", 50)
        epoch = int(client.hget(meta_key("a"), "epoch"))

        with client.pipeline(transaction=True) as at_once:
            at_once.delete(events_key("a"))
            renewed = {"epoch": epoch + 1, "seq": 5, "ended": f"{epoch}-50"}
            at_once.hset(meta_key("a"), mapping=renewed)
            at_once.execute()

        await station.accounts_for("a", 55)
        account = await station.account("a")

    assert account.gaps == [(1, 5, "trimmed")]


async def test_a_store_that_starts_again_is_told_of_a_run_that_was_given_up_meanwhile(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    async with Station(redis_url, tmp_path / "a.db") as station:
        async with Producer(redis_url) as producer:
            await producer.publish("a", 50)
            await station.has("a", 50)
        await station.stop_storing()
        client.flushall()

        async def is_given_up() -> bool:
            return "it does not come back" in await station.warnings()

        await until(is_given_up)
        await station.store_again()
        await until(lambda: station.rows("SELECT 1 FROM gaps"))
        account = await station.account("a")

    assert account.gaps == [(51, 50, "unknown")]
