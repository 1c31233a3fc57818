"""The accounts watch themselves: an alarm when one does not add up, and none when all do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import STORE, Limits
from arena_tui.broker.stats import BrokerStats
from arena_tui.config import Config
from arena_tui.consumers.feed import Feed
from arena_tui.consumers.protocol import ConsumerInfo
from arena_tui.events import LogEvent, RunEnd
from arena_tui.folds.accounts import discrepancies
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.instruments import Instruments
from arena_tui.services.runtime import Runtime
from tests.own_consumers import Tally
from tests.waiting import pause


class Miscounting(InProcessBroker):
    """Says that it published some more than it did."""

    more = 0

    async def stats(self) -> BrokerStats:
        stats = await super().stats()
        return replace(stats, published=stats.published + self.more)


def alarms(broker: InProcessBroker) -> list[str]:
    return [str(each) for each in broker.warnings.newest() if each.code == "account_off"]


@pytest.mark.account_off
async def test_a_count_that_is_broken_is_an_alarm_once_until_it_adds_up_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime = Runtime(Config(db=None))
    broker = runtime.broker = Miscounting()
    instruments = Instruments(runtime, dict)
    broker.more = 3
    await instruments.sample()
    assert alarms(broker) == []  # it may have been in between

    for _ in range(3):
        await instruments.sample()

    told = "published = held + trimmed + let go + not held, but 3 are expected and 0 found"
    assert alarms(broker) == [f"the account of broker does not add up: {told}"]
    assert broker.warnings.counts()["account_off"] == 1
    assert [each.levelno for each in caplog.records] == [logging.ERROR]

    broker.more = 0
    await instruments.sample()
    assert alarms(broker) == []
    broker.more = 1
    await instruments.sample()
    await instruments.sample()
    assert broker.warnings.counts()["account_off"] == 2


@pytest.mark.parametrize(
    ("field", "equation"),
    [
        ("delivered", "published = delivered + in gaps + skipped + in flight"),
        ("in_gaps", "published = delivered + in gaps + skipped + in flight"),
        ("kept", "published = kept + skipped + in flight"),
        ("in_hand", "published = kept + skipped + in flight"),
        ("unacked", "not acked <= in flight"),
    ],
)
async def test_each_count_of_a_consumer_is_checked(field: str, equation: str) -> None:
    runtime = Runtime(Config(db=":memory:"))
    await runtime.open()
    for _ in range(10):
        runtime.sink.emit("a", LogEvent(), owned=False)
    await runtime.sink.flush()
    await runtime.broker.settled(["a"], STORE)
    stats, infos = await runtime.broker.stats(), runtime.consumers()
    assert discrepancies(stats, infos) == []

    def broken(info: ConsumerInfo) -> ConsumerInfo:
        return replace(info, **{field: getattr(info, field) + 1})

    found = discrepancies(stats, [broken(each) for each in infos])

    assert [(each.account, each.equation) for each in found] == [(STORE, equation)]
    await runtime.aclose()


async def test_all_add_up_at_any_time_while_events_are_lost_trimmed_and_let_go(
    tmp_path: Path,
) -> None:
    """Sampled a thousand times a second."""
    limits = Limits(capacity=30, retain=5, decoded=40, closed_runs=2)
    runtime = Runtime(Config(db=":memory:"), limits)
    tally = Tally(tmp_path / "tally", refusals=1)
    await runtime.consume(Feed)
    await runtime.consume(lambda _: tally)
    await runtime.open()
    sink = MultiRunBrokerSink(runtime.broker, patience_s=0.01)
    off: list[object] = []
    samples = 0

    async def sample() -> None:
        nonlocal samples
        while True:
            stats = await runtime.broker.stats()
            off.extend(discrepancies(stats, runtime.consumers()))
            samples += 1
            await pause(0.001)

    def emit(runs: Sequence[str]) -> None:
        for run_id in runs:
            for number in range(100):
                sink.emit(run_id, LogEvent(text=str(number)), owned=False)
            sink.emit(run_id, RunEnd(status="finished"), owned=False)

    sampling = asyncio.create_task(sample())
    await asyncio.gather(*(asyncio.to_thread(emit, [f"{name}{n}" for n in range(3)])
                           for name in "ab"))  # fmt: skip
    await sink.flush()
    await runtime.catch_up()
    await runtime.broker.settled([f"{name}{n}" for n in range(3) for name in "ab"])
    emit("z")  # with its end the closed runs are let go
    await sink.flush()
    stats = await runtime.broker.stats()
    await sink.aclose()
    await runtime.aclose()
    sampling.cancel()

    assert off == []
    assert samples > 10
    assert stats.overflow > 0
    assert stats.trimmed > 0
    assert stats.let_go > 0
