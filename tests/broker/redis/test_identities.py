"""Under which names a server knows durable consumers, and what it keeps for them meanwhile."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import redis

from arena_tui.broker.protocol import Cursor, Limits, RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.scripts import CONSUMERS, SWEEP, acks_key, events_key
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.consumers.lines import Recorder, recording
from arena_tui.events import LogEvent
from arena_tui.services.runtime import Runtime
from tests.waiting import until

Client: TypeAlias = "redis.Redis"
QUICK = Timing(block_s=0.2, ack_s=0.01, sweep_s=0.01)
FEW = Limits(capacity=1_000, retain=3)


@pytest.fixture
def client(each_redis_url: str) -> Iterator[Client]:
    with redis.Redis.from_url(each_redis_url, decode_responses=True) as client:
        yield client


def recorded(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


async def record_up_to(url: str, path: Path, seq: int) -> None:
    """Record without a store until this event is in the file, then close cleanly."""
    config = Config(broker=BrokerUrl(url), db=None)
    runtime = Runtime(config, FEW, consumers=[recording(path)], timing=QUICK)
    await runtime.open()
    await until(lambda: f'"seq":{seq},'.encode() in path.read_bytes())
    await runtime.aclose()


async def test_a_recorder_without_a_store_is_owed_what_was_published_while_it_was_away(
    client: Client, each_redis_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "all.jsonl"
    broker = RedisBroker(BrokerUrl(each_redis_url), FEW, timing=QUICK)
    await broker.start()
    other = broker.subscribe("other", durable=True)
    epoch = (await broker.open_run(RunMeta(run_id="a"))).epoch
    for _ in range(5):
        await broker.publish("a", LogEvent())
    await record_up_to(each_redis_url, path, 5)

    for _ in range(20):
        await broker.publish("a", LogEvent())
    await broker.flush()
    other.ack({"a": Cursor(epoch, 25)})
    await until(lambda: f"{epoch}-25" in acked(client, "a"))
    client.eval(SWEEP.text, 0, FEW.retain, 1_000, 300, 3_600, 900, "-", 9)
    await record_up_to(each_redis_url, path, 25)
    await broker.aclose()

    found = [(line["kind"], line.get("seq")) for line in recorded(path)]
    assert found == [("log", seq) for seq in range(1, 26)]


@pytest.mark.parametrize("name", ["arena.duckdb", "link.duckdb"])
async def test_a_store_is_known_by_its_machine_and_real_path(
    client: Client, each_redis_url: str, tmp_path: Path, name: str
) -> None:
    (tmp_path / "link.duckdb").symlink_to(tmp_path / "arena.duckdb")
    config = Config(broker=BrokerUrl(each_redis_url), db=str(tmp_path / name))
    runtime = Runtime(config, FEW, timing=QUICK)

    await runtime.open()
    await until(lambda: client.scard(CONSUMERS))
    await runtime.aclose()

    expected = f"{socket.gethostname()}:{tmp_path.resolve()}/arena.duckdb persister"
    assert client.smembers(CONSUMERS) == {expected}
    assert client.ttl(acks_key(expected)) > 3_500


async def test_a_store_in_memory_is_owed_nothing_once_closed(
    client: Client, each_redis_url: str
) -> None:
    config = Config(broker=BrokerUrl(each_redis_url), db=":memory:")
    runtime = Runtime(config, FEW, timing=QUICK)

    await runtime.open()
    await until(lambda: client.scard(CONSUMERS))
    await runtime.aclose()

    assert client.keys("arena:*") == []


def test_a_recorder_is_known_by_its_file_wherever_it_is_called_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    here, there = Recorder(Path("all.jsonl"), "redis"), Recorder(tmp_path / "all.jsonl", "redis")

    assert here.identity == there.identity
    assert here.identity == f"{socket.gethostname()}:{tmp_path.resolve()}/all.jsonl recorder"


async def test_a_consumer_that_has_left_is_known_until_it_is_forgotten(
    client: Client, each_redis_url: str
) -> None:
    broker = RedisBroker(BrokerUrl(each_redis_url), FEW, timing=QUICK)
    await broker.start()
    left, other = (broker.subscribe(name, durable=True) for name in ("left", "other"))
    epoch = (await broker.open_run(RunMeta(run_id="a"))).epoch
    for _ in range(9):
        await broker.publish("a", LogEvent())
    await broker.flush()
    left.ack({"a": Cursor(epoch, 2)})
    other.ack({"a": Cursor(epoch, 9)})
    left.close()
    await until(lambda: acked(client, "a") == {f"{epoch}-2", f"{epoch}-9"})
    await until(lambda: client.xlen(events_key("a")) == 7)

    known = await broker.known_consumers()
    await broker.forget("left")
    await until(lambda: client.xlen(events_key("a")) == FEW.retain)
    known_then = await broker.known_consumers()
    await broker.aclose()

    assert known == {"left": True, "other": True}
    assert known_then == {"other": True}


async def test_a_consumer_whose_lease_has_run_out_is_owed_nothing(
    client: Client, each_redis_url: str
) -> None:
    client.sadd(CONSUMERS, "long gone")
    broker = RedisBroker(BrokerUrl(each_redis_url), FEW)
    await broker.start()

    known = await broker.known_consumers()
    await broker.aclose()

    assert known == {"long gone": False}


def acked(client: Client, run_id: str) -> set[Any]:
    """The consumers' cursors in the run, as the server knows them."""
    return {client.hget(acks_key(str(each)), run_id) for each in client.smembers(CONSUMERS)}
