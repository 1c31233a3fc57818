"""Whatever was published is stored, in flight or lost, and counted once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.broker.protocol import STORE, BrokerProtocol, Cursor, Limits, RunMeta
from arena_tui.events import Envelope, Gap, LogEvent
from arena_tui.folds.accounts import Account, account_of, run_account
from arena_tui.services.consumption import Consumption
from tests.conftest import MakeBroker, arrived
from tests.own_consumers import Onlooker

counts = st.integers(0, 10**12)


@given(published=counts, unacked=counts, lost=counts, already=counts)
def test_it_adds_up_whatever_was_read_when(
    published: int, unacked: int, lost: int, already: int
) -> None:
    account = account_of(published, unacked, lost, already=already)

    parts = account.stored, account.already_stored, account.in_flight, account.lost
    assert account.published == sum(parts)
    assert min(parts) >= 0


def test_what_was_stored_before_is_not_counted_as_stored() -> None:
    account = account_of(10, 3, 2, already=4)

    assert account == Account(published=10, stored=1, already_stored=4, in_flight=3, lost=2)
    assert str(account) == "published 10 = stored 1 + already stored 4 + in flight 3 + lost 2"


def test_what_is_neither_acked_nor_lost_is_in_flight() -> None:
    assert account_of(10, 3, 2) == Account(published=10, stored=5, in_flight=3, lost=2)


def test_it_reads_as_an_equation() -> None:
    known = account_of(90_312, 111, 0)

    assert str(known) == "published 90,312 = stored 90,201 + in flight 111 + lost 0"
    assert str(account_of(1, 0, 0, 2)).endswith(" + lost 0, and an unknown number")


async def test_a_run_and_all_runs_add_up_while_events_are_lost(make_broker: MakeBroker) -> None:
    broker = await make_broker(Limits(capacity=10, retain=3))
    store = broker.subscribe(STORE, durable=True)
    for run_id, count in (("a", 25), ("b", 5)):
        info = await broker.open_run(RunMeta(run_id=run_id))
        for _ in range(count):
            await broker.publish(run_id, LogEvent())
    await arrived(broker)
    while store.stats().lag:
        await asyncio.wait_for(anext(store), 20)
    store.ack({"b": Cursor(info.epoch, 4)})

    stats = await broker.stats()

    runs = {each.run_id: run_account(each, STORE) for each in stats.runs}
    assert runs["b"] == Account(published=5, stored=4, in_flight=1)
    assert runs["a"] == Account(published=25, in_flight=10, lost=15)
    own = store.stats()
    assert own.delivered + own.in_gaps + own.skipped + own.lag == stats.published == 30


async def account_with(broker: BrokerProtocol, consumer: str, lost: int = 0) -> Account:
    return account_of((await broker.stats()).published, sum(broker.lags(consumer).values()), lost)


async def test_what_is_let_go_before_it_is_acked_is_in_flight_until_its_gap_is_acked(
    make_broker: MakeBroker,
) -> None:
    """A consumer of this process: the store is the owner's, which says itself how far it is."""
    broker = await make_broker(Limits(decoded=2))
    tally = broker.subscribe("tally", durable=True)
    info = await broker.open_run(RunMeta(run_id="a"))
    for _ in range(5):
        await broker.publish("a", LogEvent())
    await broker.close_run("a")
    await arrived(broker)
    await broker.reap("a")

    before = await account_with(broker, "tally")
    got = await asyncio.wait_for(anext(tally), 20)
    while got[-1].last_seq < 6:
        got += await asyncio.wait_for(anext(tally), 20)
    lost = sum(each.count for each in got if isinstance(each, Gap))
    handed = await account_with(broker, "tally")
    tally.ack({"a": Cursor(info.epoch, 6)})
    acked = await account_with(broker, "tally", lost)

    assert got[0] == Gap("a", info.epoch, 1, lost, "reaped")
    assert before == handed == Account(published=6, in_flight=6)
    assert acked == Account(published=6, stored=6 - lost, lost=lost)


@pytest.mark.parametrize("make_broker", ["memory"], indirect=True)
async def test_what_was_let_go_before_a_durable_consumer_came_is_a_gap_to_it(
    make_broker: MakeBroker,
) -> None:
    broker = await make_broker(Limits(closed_runs=1))
    epochs = {}
    for run_id in "abc":
        epochs[run_id] = (await broker.open_run(RunMeta(run_id=run_id))).epoch
        await broker.publish(run_id, LogEvent())
        await broker.close_run(run_id)

    store = broker.subscribe(STORE, start={"b": Cursor(epochs["b"], 1)}, durable=True)
    before = await account_with(broker, STORE)
    got = store.read_nowait()
    store.ack({run_id: Cursor(epoch, 2) for run_id, epoch in epochs.items()})

    assert before == Account(published=6, stored=1, in_flight=5)
    assert [each for each in got if isinstance(each, Gap)] == [
        Gap("a", epochs["a"], 1, 2, "reaped"),
        Gap("b", epochs["b"], 2, 2, "reaped"),
    ]
    assert [each.run_id for each in got if isinstance(each, Envelope)] == ["c", "c"]
    assert await account_with(broker, STORE, lost=3) == Account(published=6, stored=3, lost=3)


async def test_a_consumer_adds_up_at_any_moment(make_broker: MakeBroker) -> None:
    broker = await make_broker(Limits(capacity=10, retain=3))
    onlooker = Consumption(Onlooker(polled=True), broker)
    await onlooker.start()
    await broker.open_run(RunMeta(run_id="a"))
    for number in range(1, 40):
        await broker.publish("a", LogEvent())
        await arrived(broker)
        if number % 7 == 0 or number % 17 == 0:
            await onlooker.catch_up(limit=3)

        info = onlooker.info()
        assert info.published == (await broker.stats()).published == number
        assert (info.unacked, info.acked, info.durable) == (0, 0, False)
