"""Foreign data in the broker's keys is quarantined and disturbs no other run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import redis

from arena_tui.broker.redis.scripts import INDEX, events_key, meta_key
from tests.faults.stage import Producer, Station

Client: TypeAlias = "redis.Redis"
EVENTS, META = events_key("a"), meta_key("a")


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def id_after(client: Client, ahead: int) -> str:
    """The id of the run's event `ahead` places after its newest."""
    ((newest, _),) = client.xrevrange(EVENTS, count=1)
    epoch, _, seq = newest.partition("-")
    return f"{epoch}-{int(seq) + ahead}"


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(
    ("ahead", "fields", "lost"),
    [
        (None, {"foo": "bar"}, 0),
        (1, {"foo": "bar"}, 0),
        (30, {"foo": "bar"}, 0),
        (1, {"e": "{not JSON"}, 1),
    ],
)
async def test_an_entry_of_somebody_else_is_kept_aside(
    client: Client, redis_url: str, tmp_path: Path,
    behind: bool, ahead: int | None, fields: dict[str, str], lost: int,
) -> None:  # fmt: skip
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        for run_id in "ab":
            await producer.publish(run_id, 20)
            await station.has(run_id, 20)
        if behind:
            await station.stop_storing()
        for _ in range(2):
            client.xadd(EVENTS, fields, id="*" if ahead is None else id_after(client, ahead))
        await producer.publish("a", 20)
        await producer.publish("b", 20)
        if behind:
            await station.arrived("a", 20)
            await station.store_again()

        for run_id in "ab":
            await station.has(run_id, 40)
        account = await station.account("a")
        account.check(40 + 2 * lost)
        assert len(account.raw) == 2
        assert all(" ".join(*fields.items()).encode() in raw for raw in account.raw)
        assert "aside" in await station.warnings()
        assert (await station.account("b")).gaps == []


async def test_an_event_that_somebody_writes_by_hand_is_an_event(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        await producer.publish("a", 20)
        client.xadd(EVENTS, {"e": '{"kind":"log","text":"21"}'}, id=id_after(client, 1))
        await station.has("a", 21)
        producer.published["a"] += 1
        await producer.publish("a", 20)

        await station.has("a", 41)
        account = await station.account("a")
        account.check(41)
        assert account.lost == 0


@pytest.mark.parametrize("ahead", [1, 30])
async def test_nothing_written_by_hand_after_a_run_s_end_stops_the_others(
    client: Client, redis_url: str, tmp_path: Path, ahead: int
) -> None:
    async with Producer(redis_url) as producer:
        await producer.publish("a", 5)
        await producer.end("a")
        run_end = {"e": '{"kind":"run_end","status":"finished"}'}
        client.xadd(EVENTS, run_end, id=id_after(client, ahead))
        async with Station(redis_url, tmp_path / "a.db") as station:
            for run_id in "bcdefg":
                await producer.publish(run_id, 5)
                await producer.end(run_id)
                await station.accounts_for(run_id, 6)

            (await station.account("a")).check(5)
            warnings = await station.warnings()
    assert "failed" not in warnings


@pytest.mark.parametrize("behind", [False, True])
async def test_a_key_of_another_type_stops_its_own_run_only(
    client: Client, redis_url: str, tmp_path: Path, behind: bool
) -> None:
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        for run_id in "ab":
            await producer.publish(run_id, 20)
            await station.has(run_id, 20)
        if behind:
            await station.stop_storing()
            await producer.publish("a", 300)
            await station.arrived("a", 320)
        client.set(EVENTS, "mine")
        refused = await producer.publish("a", 5)
        await producer.publish("b", 20)
        if behind:
            await station.store_again()
        await station.has("b", 40)
        warnings = await station.warnings()
        client.delete(EVENTS)
        await producer.publish("a", 5)

        count = producer.published["a"]
        await station.has("a", count)
        account = await station.account("a")
        account.check(count + refused)
        assert refused == 5
        assert account.lost <= 270 * behind + refused
        assert "run a: its stream is gone" in warnings or behind
        assert (await station.account("b")).gaps == []


async def test_a_key_that_is_taken_before_its_run_begins_is_said(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    client.set(EVENTS, "mine")
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        refused = await producer.publish("a", 5)
        await producer.publish("b", 5)
        await station.has("b", 5)
        client.delete(EVENTS)
        await producer.publish("a", 5)

        await station.has("a", 5)
        (await station.account("a")).check(5 + refused)
        assert refused == 5


async def test_garbage_in_the_index_hides_no_run(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    garbage: list[dict[str, str]] = [
        {"foo": "bar"}, {"run": "nobody"}, {"run": "two words"}, {"run": ""}, {"run": "\x00" * 900},
    ]  # fmt: skip
    for fields in garbage:
        client.xadd(INDEX, fields)
    client.hset(meta_key("two words"), mapping={"epoch": "5", "seq": "7"})
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        await producer.publish("a", 5)
        await station.has("a", 5)
        for fields in garbage:
            client.xadd(INDEX, fields)
        await producer.publish("b", 5)

        await station.has("b", 5)
        async with Station(redis_url, tmp_path / "late.db") as late:
            for run_id in "ab":
                await late.has(run_id, 5)
                (await late.account(run_id)).check(5)
        assert "left a run out" in await station.warnings()


@pytest.mark.parametrize(
    "garbage",
    [
        {"epoch": "soon"}, {"epoch": "1e300"}, {"epoch": "-4"}, {"seq": "many"}, {"seq": ""},
        {"alive": "yes"}, {"run": "{"}, {"run": '{"run_id":5}'}, {"ended": "yesterday"},
        {"status": "unheard of"}, {"index": "nowhere"}, {"nonce": "x"},
    ],
    ids=str,
)  # fmt: skip
async def test_garbage_beside_a_stream_disturbs_no_run(
    client: Client, redis_url: str, tmp_path: Path, garbage: dict[str, str]
) -> None:
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        for run_id in "ab":
            await producer.publish(run_id, 20)
            await station.has(run_id, 20)
        client.hset(META, mapping=garbage)
        await producer.broker.heartbeat("ab")
        async with Station(redis_url, tmp_path / "late.db") as late:
            for run_id in "ab":
                await producer.publish(run_id, 20)

            for store in (station, late):
                for run_id in "ab":
                    await store.has(run_id, 40)
                    account = await store.account(run_id)
                    account.check(40)
                    assert account.lost == 0


async def test_a_run_without_its_facts_is_made_anew_once_they_can_be_written(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    async with Producer(redis_url) as producer, Station(redis_url, tmp_path / "a.db") as station:
        for run_id in "ab":
            await producer.publish(run_id, 20)
            await station.has(run_id, 20)
        client.set(META, "mine")
        refused = await producer.publish("a", 5)
        await producer.publish("b", 20)
        await station.has("b", 40)
        async with Station(redis_url, tmp_path / "late.db") as late:
            await late.has("b", 40)
        client.delete(META)
        await producer.publish("a", 20)

        await station.has("a", 40)
        account = await station.account("a")
        account.check(40 + refused)
        assert (refused, account.lost) == (5, 5)


async def test_an_index_that_was_deleted_names_its_runs_again(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    async with Producer(redis_url) as producer:
        for run_id in "ab":
            await producer.publish(run_id, 20)
        client.delete(INDEX)
        await producer.broker.heartbeat("ab")

        async with Station(redis_url, tmp_path / "a.db") as station:
            for run_id in "ab":
                await station.has(run_id, 20)
                (await station.account(run_id)).check(20)
        assert client.xlen(INDEX) == 2
