"""What fails here each time it is met is set aside, said and counted; all else goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.events import Delivery, Envelope, Gap, LogEvent, RunEnd

QUICK = Timing(block_s=0.2, look_s=0.05, ack_s=0.02, sweep_s=0.02)


@contextlib.asynccontextmanager
async def two_brokers(url: str) -> AsyncIterator[tuple[RedisBroker, RedisBroker]]:
    """A producer's, and one that reads."""
    brokers = [
        RedisBroker(BrokerUrl(url), reading=reading, timing=QUICK) for reading in (False, True)
    ]
    try:
        for broker in brokers:
            await broker.start()
        yield brokers[0], brokers[1]
    finally:
        for broker in brokers:
            await broker.aclose()


async def read_all(broker: RedisBroker, runs: int) -> list[Delivery]:
    """What is delivered until this many runs have ended."""
    found: list[Delivery] = []
    subscription = broker.subscribe("test")
    async with asyncio.timeout(20):
        while sum(isinstance(e, Envelope) and e.event.kind == "run_end" for e in found) < runs:
            found += await anext(subscription)
    return found


async def test_an_event_that_cannot_be_read_is_a_gap_and_the_rest_is_delivered(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Ledger.append

    def stumble(self: Ledger, stream: Any, event: Any, raw: bytes) -> int:
        if b"stone" in raw:
            raise ZeroDivisionError
        return append(self, stream, event, raw)

    monkeypatch.setattr(Ledger, "append", stumble)
    async with two_brokers(redis_url) as (producer, reader):
        reading = asyncio.create_task(read_all(reader, 2))
        texts = ["one", "two", "stone", "four", "stone", "six"]
        batch = [(run, *sealed(LogEvent(text=text))) for text in texts for run in "ab"]
        batch += [(run, *sealed(RunEnd())) for run in "ab"]
        await producer.publish_all(batch)
        found = await reading
        stats = await reader.stats()

    for run in "ab":
        of_run = [each for each in found if each.run_id == run]
        assert [each.first_seq for each in of_run] == [1, 2, 3, 4, 5, 6, 7]
        gaps = [each for each in of_run if isinstance(each, Gap)]
        assert [(gap.from_seq, gap.to_seq, gap.reason) for gap in gaps] == [
            (3, 3, "quarantined"),
            (5, 5, "quarantined"),
        ]
        assert all(b"stone" in (gap.raw or b"") for gap in gaps)
    assert stats.failures == 4
    said = "reading an event of run a failed and goes on: ZeroDivisionError(): see the log"
    assert [str(each) for each in stats.warnings].count(said) == 1


async def test_a_run_that_cannot_be_attached_keeps_no_other_out(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach = Ledger.attach

    def stumble(self: Ledger, meta: Any, *rest: Any) -> Any:
        if meta.run_id == "b":
            raise ZeroDivisionError
        return attach(self, meta, *rest)

    monkeypatch.setattr(Ledger, "attach", stumble)
    async with two_brokers(redis_url) as (producer, reader):
        reading = asyncio.create_task(read_all(reader, 2))
        await producer.publish_all([(run, *sealed(RunEnd())) for run in "abc"])
        found = await reading
        stats = await reader.stats()

    assert [each.run_id for each in found] == ["a", "c"]
    assert stats.failures >= 1
    said = "checking run b failed and goes on: ZeroDivisionError(): see the log"
    assert [str(each) for each in stats.warnings].count(said) == 1
