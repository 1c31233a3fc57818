"""Replay of a run from any event on, from store and broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import Limits, RunInfo, RunMeta
from arena_tui.consumers.persister import Persister
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Envelope, Gap, GapReason, LogEvent, RunEnd
from arena_tui.services.consumption import Consumption
from arena_tui.store.database import Database
from arena_tui.store.history import History
from arena_tui.store.replay import replay
from arena_tui.store.windows import WINDOW
from tests.envelopes import envelope
from tests.store_fixture import store


def logs(first: int, last: int, epoch: int = 7) -> list[Delivery]:
    return [envelope("a", epoch, seq, LogEvent()) for seq in range(first, last + 1)]


async def collected(stream: AsyncIterator[Delivery]) -> list[Any]:
    async with asyncio.timeout(20):
        return [
            (each.epoch, each.from_seq, each.to_seq)
            if isinstance(each, Gap)
            else (each.epoch, each.seq)
            async for each in stream
        ]


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


@pytest.fixture
async def broker(database: Database) -> AsyncIterator[InProcessBroker]:
    """A broker that holds three events per run, and a persister that keeps up."""
    made = InProcessBroker(Limits(capacity=1_000, retain=3, closed_runs=1))
    storing = Consumption(Persister(database, batch_interval_s=0.001), made)
    await storing.start()
    yield made
    await made.aclose()
    await storing.stop()


async def publish(broker: InProcessBroker, count: int, settle: bool = True) -> int:
    """Publish to run a, opening it if needed; returns its epoch."""
    if not any(info.meta.run_id == "a" for info in await broker.runs()):
        await broker.open_run(RunMeta(run_id="a"))
    for _ in range(count):
        await broker.publish("a", LogEvent())
    if settle:
        await broker.settled(["a"])
    return next(info.epoch for info in await broker.runs() if info.meta.run_id == "a")


async def test_a_stored_run_is_read_window_by_window(database: Database, history: History) -> None:
    count = 2 * WINDOW + 3
    await store(database, logs(1, count))

    assert await collected(replay(history, None, "a")) == [(7, n) for n in range(1, count + 1)]
    assert await collected(replay(history, None, "a", from_seq=count)) == [(7, count)]
    assert await collected(replay(history, None, "a", from_seq=count + 1)) == []


async def test_gaps_are_given_once_and_from_where_they_are_asked_for(
    database: Database, history: History
) -> None:
    far = 3 * WINDOW
    await store(
        database,
        [*logs(1, 2), Gap("a", 7, 3, far, "trimmed"), *logs(far + 1, far + 2)],
    )

    assert await collected(replay(history, None, "a")) == [
        (7, 1), (7, 2), (7, 3, far), (7, far + 1), (7, far + 2),
    ]  # fmt: skip
    assert await collected(replay(history, None, "a", from_seq=WINDOW)) == [
        (7, WINDOW, far), (7, far + 1), (7, far + 2),
    ]  # fmt: skip


async def test_a_run_of_several_epochs_is_read_in_their_order(
    database: Database, history: History
) -> None:
    await store(
        database,
        [*logs(1, 3), Gap("a", 7, 4, 3, "unknown")],
        [*logs(1, 2, epoch=9), Gap("a", 9, 3, 2, "unknown")],
        logs(1, 2, epoch=11),
    )

    assert await collected(replay(history, None, "a")) == [
        (7, 1), (7, 2), (7, 3), (7, 4, 3), (9, 1), (9, 2), (9, 3, 2), (11, 1), (11, 2),
    ]  # fmt: skip
    assert await collected(replay(history, None, "a", from_seq=2, epoch=9)) == [
        (9, 2), (9, 3, 2), (11, 1), (11, 2),
    ]  # fmt: skip
    assert await collected(replay(history, None, "a", from_seq=2, epoch=11)) == [(11, 2)]


async def test_stored_rows_then_the_live_stream_as_one(
    history: History, broker: InProcessBroker
) -> None:
    epoch = await publish(broker, 50)
    following = asyncio.create_task(collected(replay(history, broker, "a", from_seq=5)))
    await asyncio.sleep(0)

    await publish(broker, 50, settle=False)
    await broker.close_run("a")

    assert await following == [(epoch, n) for n in range(5, 102)]


async def test_a_consumer_behind_the_trim_reads_on_from_the_store(
    history: History, broker: InProcessBroker
) -> None:
    epoch = await publish(broker, 5)
    stream = replay(history, broker, "a")
    seen = [await anext(stream) for _ in range(5)]
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)

    for _ in range(4):
        await publish(broker, 40)
    await broker.close_run("a")
    seen.append(await asyncio.wait_for(waiting, 20))
    rest = await collected(stream)

    assert [each.seq for each in seen if isinstance(each, Envelope)] == [1, 2, 3, 4, 5, 6]
    assert rest == [(epoch, n) for n in range(7, 167)]


async def test_what_neither_has_is_one_gap(history: History) -> None:
    broker = InProcessBroker(Limits(capacity=10, retain=2))
    epoch = await publish(broker, 30, settle=False)
    await broker.publish("a", RunEnd())

    got = await collected(replay(history, broker, "a"))

    assert got == [(epoch, 1, 21), *((epoch, n) for n in range(22, 32))]


async def test_a_gap_both_know_is_given_once(database: Database, history: History) -> None:
    broker = InProcessBroker(Limits(capacity=10, retain=2))
    epoch = await publish(broker, 30, settle=False)
    await broker.publish("a", RunEnd())
    await store(database, [*logs(1, 4, epoch), Gap("a", epoch, 5, 18, "trimmed")])

    got = await collected(replay(history, broker, "a"))

    assert got == [
        *((epoch, n) for n in range(1, 5)),
        (epoch, 5, 18),
        (epoch, 19, 21),
        *((epoch, n) for n in range(22, 32)),
    ]


async def test_an_empty_gap_where_the_stream_has_a_counted_one_is_no_progress(
    database: Database, history: History
) -> None:
    broker = InProcessBroker(Limits(capacity=10, retain=2))
    epoch = await publish(broker, 30, settle=False)
    await broker.publish("a", RunEnd())
    await store(database, [*logs(1, 4, epoch), Gap("a", epoch, 5, 4, "unknown")])

    got = await collected(replay(history, broker, "a"))

    assert got == [
        *((epoch, n) for n in range(1, 5)),
        (epoch, 5, 4),
        (epoch, 5, 21),
        *((epoch, n) for n in range(22, 32)),
    ]


async def test_a_run_reaped_while_it_is_read_ends_from_the_store(
    history: History, broker: InProcessBroker
) -> None:
    epoch = await publish(broker, 20)
    stream = replay(history, broker, "a", from_seq=19)
    first = [await anext(stream), await anext(stream)]
    await publish(broker, 5)
    await broker.close_run("a")
    await broker.settled(["a"])

    await broker.reap("a")

    assert len(first) == 2
    assert await collected(stream) == [(epoch, n) for n in range(21, 27)]


async def test_a_run_begun_anew_under_its_id_is_read_through_both(
    history: History, broker: InProcessBroker
) -> None:
    old = await publish(broker, 4)
    await broker.close_run("a")
    await broker.settled(["a"])
    await broker.reap("a")
    new = await publish(broker, 2)
    await broker.close_run("a")

    got = await collected(replay(history, broker, "a"))

    assert got == [*((old, n) for n in range(1, 6)), *((new, n) for n in range(1, 4))]
    assert await collected(replay(history, broker, "a", 3, new)) == [(new, 3)]


@pytest.mark.parametrize("bounds", [(3, 2, "unknown"), (3, 60, "reset")], ids=["unknown", "known"])
async def test_a_loss_between_two_epochs_is_given_once_whoever_knows_of_it(
    database: Database, history: History, bounds: tuple[int, int, GapReason]
) -> None:
    class Renewed(InProcessBroker):
        """Delivers a loss between two epochs, as a shared broker does."""

        async def runs(self) -> list[RunInfo]:
            return [
                RunInfo(
                    meta=RunMeta(run_id="a"), epoch=9, state="closed", first_seq=1, last_seq=2,
                    silent_s=0.0,
                )
            ]  # fmt: skip

        async def stream(self, run_id: str, from_seq: int = 1) -> AsyncIterator[Delivery]:
            for each in [loss, *logs(1, 2, epoch=9)]:
                yield each

    loss = Gap("a", 7, *bounds)
    expected = [(7, 1), (7, 2), (7, 3, loss.to_seq), (9, 1), (9, 2)]

    await store(database, logs(1, 2))
    live_knows = await collected(replay(history, Renewed(), "a"))
    await store(database, [loss])
    both_know = await collected(replay(history, Renewed(), "a"))

    assert [live_knows, both_know] == [expected, expected]


async def test_asking_ahead_of_the_newest_event_waits_for_it(
    history: History, broker: InProcessBroker
) -> None:
    epoch = await publish(broker, 2)
    following = asyncio.create_task(collected(replay(history, broker, "a", from_seq=5)))
    await asyncio.sleep(0)

    await publish(broker, 4)
    await broker.close_run("a")

    assert await following == [(epoch, 5), (epoch, 6), (epoch, 7)]


async def test_it_ends_when_the_broker_does(history: History, broker: InProcessBroker) -> None:
    epoch = await publish(broker, 2)
    stream = replay(history, broker, "a")
    seen = [await anext(stream), await anext(stream)]

    await broker.aclose()

    assert [each.epoch for each in seen] == [epoch, epoch]
    assert await collected(stream) == []


async def test_a_run_nobody_knows_is_an_error(history: History, broker: InProcessBroker) -> None:
    await publish(broker, 1)

    for run_id in ("b", ""):
        with pytest.raises(UnknownRunError):
            await collected(replay(history, broker, run_id))
