"""Replay of a run from any event on, from store and broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import Cursor, Limits, RunMeta
from arena_tui.codec import sealed
from arena_tui.consumers.persister import Persister
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Envelope, Gap, LogEvent, RunEnd
from arena_tui.services.consumption import Consumption
from arena_tui.store.database import Database
from arena_tui.store.history import History
from arena_tui.store.windows import WINDOW
from tests.envelopes import envelope
from tests.store_fixture import replay, store


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
    persister = Persister(database)
    persister.batch_interval_s = 0.001
    storing = Consumption(persister, made)
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


class Renewed(InProcessBroker):
    """Holds two events and the end of epoch 9 of run a, whose earlier streams ended at these
    cursors, as on a server that lost them."""

    def __init__(self, *ended: Cursor) -> None:
        super().__init__()
        stream = self.ledger.attach(RunMeta(run_id="a"), 9, 1, ended)
        for event in (LogEvent(), LogEvent(), RunEnd()):
            self.ledger.append(stream, *sealed(event))


NINE = [(9, 1), (9, 2), (9, 3)]


@pytest.mark.parametrize("ended", [[], [Cursor(7, 60)]], ids=["unknown", "known"])
async def test_a_loss_between_two_epochs_is_given_once_whoever_knows_of_it(
    database: Database, history: History, ended: list[Cursor]
) -> None:
    loss = Gap("a", 7, 3, 60, "reset") if ended else Gap("a", 7, 3, 2, "unknown")
    expected = [(7, 1), (7, 2), (7, 3, loss.to_seq), *NINE]

    await store(database, logs(1, 2))
    live_knows = await collected(replay(history, Renewed(*ended), "a"))
    await store(database, [loss])
    both_know = await collected(replay(history, Renewed(*ended), "a"))

    assert [live_knows, both_know] == [expected, expected]


@pytest.mark.parametrize("stored", [[], logs(1, 3, epoch=9)], ids=["nothing", "the newest"])
async def test_earlier_epochs_that_the_store_lacks_are_gaps(
    database: Database, history: History, stored: list[Delivery]
) -> None:
    await store(database, stored)
    broker = Renewed(Cursor(5, 40), Cursor(6, 0), Cursor(7, 60))

    assert await collected(replay(history, broker, "a")) == [(5, 1, 40), (7, 1, 60), *NINE]
    assert await collected(replay(history, broker, "a", 31)) == [(5, 31, 40), (7, 1, 60), *NINE]
    assert await collected(replay(history, broker, "a", 31, 7)) == [(7, 31, 60), *NINE]
    assert await collected(replay(history, broker, "a", 2, 9)) == NINE[1:]


async def test_the_end_of_an_epoch_that_the_store_lacks_is_a_gap_before_the_next(
    database: Database, history: History
) -> None:
    await store(database, logs(1, 2), logs(1, 2, epoch=9))

    got = await collected(replay(history, Renewed(Cursor(7, 60)), "a"))

    assert got == [(7, 1), (7, 2), (7, 3, 60), *NINE]


async def test_an_epoch_read_to_its_recorded_end_leaves_no_gap(
    database: Database, history: History
) -> None:
    await store(database, logs(1, 2))

    got = await collected(replay(history, Renewed(Cursor(7, 2)), "a"))

    assert got == [(7, 1), (7, 2), *NINE]


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
