"""A key prefix: users and teams that share a server keep to their own keys, and see no others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis

from arena_tui.broker.protocol import Cursor
from arena_tui.broker.redis.advice import ACL_RULES
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.examine import examine
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.cli.doctor_redis import findings_of
from arena_tui.codec import sealed
from arena_tui.errors import BrokerError
from arena_tui.events import Delivery, Envelope, LogEvent, RunEnd
from tests.redis_fixture import MakeRedis
from tests.servers import OwnServer
from tests.waiting import until

QUICK = Timing(block_s=0.2, look_s=0.05, ack_s=0.02, sweep_s=0.02)


@pytest.fixture
def server(make_redis: MakeRedis, redis_binary: Path) -> OwnServer:
    return make_redis(binary=redis_binary)


def url_of(server: OwnServer, team: str) -> BrokerUrl:
    """The URL of a user who may use nothing but the team's keys."""
    rules = ACL_RULES.replace("~arena:*", f"~{team}:*")
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", team, "reset", "on", ">secret", *rules.split())
    return BrokerUrl(f"redis://{team}:secret@127.0.0.1:{server.port}?prefix={team}:")


async def whole_life(url: BrokerUrl, text: str) -> list[str]:
    """Publish, read, ack, sweep, claim, end and reap a run named `r`; returns what was read."""
    broker = RedisBroker(url, timing=QUICK)
    await broker.start()
    try:
        subscription = broker.subscribe("store", durable=True)
        assert await broker.claim("r")
        await broker.publish_all([("r", *sealed(LogEvent(text=text))) for _ in range(3)])
        await broker.heartbeat(["r"])
        await broker.publish_all([("r", *sealed(RunEnd()))])
        read: list[Delivery] = []
        async with asyncio.timeout(20):
            while len(read) < 4:
                read += await anext(subscription)
        subscription.ack({"r": Cursor(read[-1].epoch, 4)})
        await broker.settled(["r"])
        await until(lambda: broker.lags("store") == {})
        return [
            each.event.text
            for each in read
            if isinstance(each, Envelope) and isinstance(each.event, LogEvent)
        ]
    finally:
        await broker.aclose()


async def test_two_prefixes_on_one_server_do_not_see_each_other(server: OwnServer) -> None:
    one, two = url_of(server, "team1"), url_of(server, "team2")

    read = await asyncio.gather(whole_life(one, "one"), whole_life(two, "two"))

    assert read == [["one"] * 3, ["two"] * 3]
    with redis.Redis.from_url(server.url) as admin:
        keys = [key.decode() for key in admin.scan_iter("*")]
        refused = [entry["object"] for entry in admin.acl_log()]
    assert {key.partition("arena:")[0] for key in keys} == {"team1:", "team2:"}
    assert set(refused) <= {"client|setinfo"}  # which is optional for the client library


async def test_doctor_shows_the_prefix_and_looks_under_it(server: OwnServer) -> None:
    url = url_of(server, "team1")
    await whole_life(url, "one")

    report = await examine(url)

    assert (report.runs_closed, [store.name for store in report.stores]) == (1, ["store"])
    assert report.delivery_problem is None
    assert not any(risk.kind == "denies" for risk in report.risks)
    first = next(iter(findings_of(url, report)))
    assert f"127.0.0.1:{server.port}/0?prefix=team1:" in first.detail


async def test_a_right_that_is_lacking_is_named_with_the_prefix(server: OwnServer) -> None:
    url_of(server, "team1")
    other = BrokerUrl(f"redis://team1:secret@127.0.0.1:{server.port}?prefix=team2:")

    with pytest.raises(BrokerError, match=r"permit this user ~team2:\* \+evalsha"):
        await examine(other)
