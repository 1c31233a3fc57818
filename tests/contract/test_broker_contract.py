"""The guarantees of `BrokerProtocol`, on every backend."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from arena_tui.broker.protocol import STORE, BrokerProtocol, Cursor, Limits, RunMeta, Subscription
from arena_tui.codec import sealed
from arena_tui.errors import (
    BrokerError,
    EventError,
    EventTooLargeError,
    RunClosedError,
    RunExistsError,
    UnknownRunError,
    UsageError,
)
from arena_tui.events import Action, Delivery, Envelope, Event, Gap, LogEvent, RunEnd
from tests.conftest import FakeClock, MakeBroker, arrived

TINY = Limits(capacity=10, retain=3, closed_runs=2)


def log(text: str) -> LogEvent:
    return LogEvent(text=text)


async def publish(broker: BrokerProtocol, run_id: str, count: int) -> None:
    for number in range(count):
        await broker.publish(run_id, log(str(number)))
    await arrived(broker)


async def opened(broker: BrokerProtocol, *run_ids: str) -> None:
    for run_id in run_ids:
        await broker.open_run(RunMeta(run_id=run_id, game="chess"))


def drain(subscription: Subscription, limit: int = 1_000) -> list[Delivery]:
    deliveries: list[Delivery] = []
    while batch := subscription.read_nowait(limit):
        deliveries += batch
    return deliveries


async def read_to(subscription: Subscription, seq: int) -> list[Delivery]:
    """All deliveries up to this event; awaits, as a durable consumer may have to recover some."""
    deliveries: list[Delivery] = []
    while not deliveries or seqs(deliveries[-1:]) != [seq]:
        deliveries += await asyncio.wait_for(anext(subscription), 20)
    return deliveries


def seqs(deliveries: list[Delivery]) -> list[int | tuple[int, int]]:
    return [
        (each.from_seq, each.to_seq) if isinstance(each, Gap) else each.seq for each in deliveries
    ]


async def test_seqs_are_dense_from_one_in_every_run(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a", "b")

    given = [await broker.publish(run, log("x")) for run in "aabab"]

    assert given == [1, 2, 1, 3, 2]


async def test_all_consumers_see_the_same_envelopes(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a", "b")
    readers = [broker.subscribe(name) for name in ("one", "two", "three")]
    for number in range(2_500):
        await broker.publish("ab"[number % 2], log(str(number)))
    await arrived(broker)

    first, second, third = (drain(reader) for reader in readers)

    assert len(first) == 2_500
    for run in "ab":
        of_run = [[e for e in each if e.run_id == run] for each in (first, second, third)]
        assert of_run[0] == of_run[1] == of_run[2]
        assert seqs(of_run[0]) == list(range(1, 1_251))


async def test_stream_replays_then_follows_and_ends_with_the_run(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a")
    await publish(broker, "a", 3)
    seen: list[Delivery] = []

    async def follow() -> None:
        async for delivery in broker.stream("a", from_seq=2):
            seen.append(delivery)

    reader = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await publish(broker, "a", 2)
    await broker.close_run("a")
    await asyncio.wait_for(reader, 5)

    assert seqs(seen) == [2, 3, 4, 5, 6]
    assert isinstance(seen[-1], Envelope)
    assert isinstance(seen[-1].event, RunEnd)


async def test_stream_of_a_closed_run_replays_it_and_ends(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a")
    await publish(broker, "a", 2)
    await broker.close_run("a", status="finished")
    await arrived(broker)

    assert seqs([delivery async for delivery in broker.stream("a")]) == [1, 2, 3]


async def test_a_stream_cannot_start_beyond_the_next_event(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a")

    with pytest.raises(BrokerError, match="cannot start at 5"):
        await anext(broker.stream("a", from_seq=5))


async def test_closing_twice_leaves_one_end(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a")

    await broker.close_run("a", status="crashed", reason="fell over")
    await broker.close_run("a")
    await arrived(broker)

    (only,) = [each async for each in broker.stream("a")]
    assert isinstance(only, Envelope)
    assert only.event == RunEnd(ts=only.event.ts, status="crashed", reason="fell over")


async def test_nothing_follows_the_run_end(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a")
    await broker.publish("a", RunEnd())

    with pytest.raises(RunClosedError, match="open a new run"):
        await broker.publish("a", log("late"))


async def test_batches_open_runs_and_count_what_came_too_late(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    events: list[Event] = [log("first"), RunEnd(), log("late")]

    refused = await broker.publish_all([("new", *sealed(event)) for event in events])
    await arrived(broker)

    assert refused == (1, "run new has ended: open a new run")
    assert seqs(drain(broker.subscribe("reader"))) == [1, 2]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (Action(action=object()), EventError),
        (Action(action="\ud800"), EventError),
        (Action(turn="three"), EventError),  # type: ignore[arg-type]
        (LogEvent(text="x" * 300_000), EventTooLargeError),
    ],
    ids=["object", "surrogate", "type", "size"],
)
async def test_an_event_nobody_could_read_is_refused(
    make_broker: MakeBroker, event: Event, error: type[Exception]
) -> None:
    broker = await make_broker()
    await opened(broker, "a")

    with pytest.raises(error):
        await broker.publish("a", event)

    assert await broker.publish("a", log("fine")) == 1


async def test_unknown_and_doubled_runs_are_refused(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a")

    with pytest.raises(RunExistsError):
        await broker.open_run(RunMeta(run_id="a"))
    with pytest.raises(UnknownRunError):
        await broker.publish("nobody", log("x"))
    with pytest.raises(EventError, match="not usable"):
        await broker.open_run(RunMeta(run_id="with space"))


async def test_slow_reader_learns_how_many_it_missed(make_broker: MakeBroker) -> None:
    broker = await make_broker(TINY)
    await opened(broker, "a")
    reader = broker.subscribe("slow")
    await publish(broker, "a", 4)
    early = reader.read_nowait(2)

    await publish(broker, "a", 21)

    assert seqs(early) == [1, 2]
    assert seqs(drain(reader)) == [(3, 15), *range(16, 26)]


async def test_a_reader_that_never_reads_slows_nobody(make_broker: MakeBroker) -> None:
    broker = await make_broker(TINY)
    await opened(broker, "a")
    broker.subscribe("dead")
    live = broker.subscribe("live")
    seen: list[Delivery] = []

    for _ in range(50):
        await publish(broker, "a", 5)
        seen += drain(live)

    stats = {each.name: each for each in (await broker.stats()).consumers}
    assert seqs(seen) == list(range(1, 251))
    assert (stats["dead"].delivered, stats["dead"].lag, stats["live"].lag) == (0, 250, 0)


async def test_a_busy_run_does_not_starve_the_others(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "busy", "quiet")
    reader = broker.subscribe("reader")
    await broker.publish_all([("busy", *sealed(log("busy"))) for _ in range(12_000)])
    await broker.publish("quiet", log("here"))
    await arrived(broker)

    batch = reader.read_nowait(1_000)

    assert "quiet" in {each.run_id for each in batch}


async def test_cancelled_reader_loses_nothing(make_broker: MakeBroker) -> None:
    broker = await make_broker(TINY)
    await opened(broker, "a")
    reader = broker.subscribe("reader")
    for _ in range(5):
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    await publish(broker, "a", 3)

    assert seqs(await anext(reader)) == [1, 2, 3]


async def test_acked_events_are_trimmed_down_to_retain(make_broker: MakeBroker) -> None:
    broker = await make_broker(TINY)
    (await broker.open_run(RunMeta(run_id="a")))
    epoch = (await broker.runs())[0].epoch
    store = broker.subscribe("store", durable=True)
    await publish(broker, "a", 8)
    drain(store)

    store.ack({"a": Cursor(epoch, 7)})

    (info,) = await broker.runs()
    assert (info.first_seq, info.last_seq) == (6, 8)
    assert (await broker.stats()).overflow == 0


async def test_a_late_joiner_starts_at_the_oldest_held_without_a_gap(
    make_broker: MakeBroker,
) -> None:
    broker = await make_broker(TINY)
    await opened(broker, "a")
    await publish(broker, "a", 25)

    assert seqs(drain(broker.subscribe("late"))) == list(range(16, 26))
    assert seqs(drain(broker.subscribe("new", start="newest"))) == []


async def test_a_consumer_resumes_after_its_cursor(make_broker: MakeBroker) -> None:
    broker = await make_broker(TINY)
    await opened(broker, "a", "b")
    await publish(broker, "a", 25)
    await publish(broker, "b", 12)
    epochs = {info.meta.run_id: info.epoch for info in await broker.runs()}

    back = broker.subscribe("back", start={"a": Cursor(epochs["a"], 9)})

    got = drain(back)
    assert seqs([e for e in got if e.run_id == "a"]) == [(10, 15), *range(16, 26)]
    assert seqs([e for e in got if e.run_id == "b"]) == [(1, 2), *range(3, 13)]


async def test_another_epoch_is_a_reset_not_a_continuation(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a")
    await publish(broker, "a", 2)

    back = broker.subscribe("back", start={"a": Cursor(1, 57)})

    first, *rest = drain(back)
    assert first == Gap("a", 1, 58, 57, "unknown")
    assert seqs(rest) == [1, 2]


async def test_overflow_is_announced_once_and_counted_exactly(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker = await make_broker(TINY)
    await opened(broker, "a")
    store = broker.subscribe("store", durable=True)
    await publish(broker, "a", 4)
    in_hand = store.read_nowait(4)

    with caplog.at_level(logging.WARNING):
        await publish(broker, "a", 33)
        rest = await read_to(store, 37)

    stats = await broker.stats()
    assert seqs(in_hand) == [1, 2, 3, 4]
    assert seqs(rest) == [(5, 27), *range(28, 38)]
    assert stats.overflow == stats.runs[0].overflow == 23
    assert sum("overflow" in record.message for record in caplog.records) == 1


async def test_an_overflow_is_over_when_half_of_the_log_is_acked_and_the_next_is_announced(
    make_broker: MakeBroker,
) -> None:
    broker = await make_broker(TINY)
    await opened(broker, "a")
    epoch = (await broker.runs())[0].epoch
    store = broker.subscribe("store", durable=True)

    def told() -> list[str]:
        codes = ("overflow", "overflow_over")
        return [str(each) for each in broker.warnings.newest() if each.code in codes]

    await publish(broker, "a", 30)
    await read_to(store, 30)
    store.ack({"a": Cursor(epoch, 24)})
    still_behind = told()
    await publish(broker, "a", 10)
    await read_to(store, 40)
    store.ack({"a": Cursor(epoch, 40)})
    caught_up = told()
    await publish(broker, "a", 30)
    await read_to(store, 70)
    store.ack({"a": Cursor(epoch, 70)})

    begun = "run a: overflow, store is losing events"
    assert still_behind == [begun]
    assert caught_up == [begun, "run a: store keeps up again, 20 events were lost"]
    assert told() == [*caught_up, begun, "run a: store keeps up again, 20 events were lost"]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
async def test_an_event_that_several_consumers_lose_is_one_overflow(
    make_broker: MakeBroker, count: int
) -> None:
    broker = await make_broker(TINY)
    await opened(broker, "a")
    consumers = [broker.subscribe(f"store {n}", durable=True) for n in range(count)]
    await publish(broker, "a", 4)
    in_hand = [consumer.read_nowait(n) for n, consumer in enumerate(consumers)]

    await publish(broker, "a", 21)
    rest = [await read_to(consumer, 25) for consumer in consumers]

    stats = await broker.stats()
    assert [seqs(each) for each in in_hand] == [list(range(1, n + 1)) for n in range(count)]
    assert [seqs(each)[0] for each in rest] == [(n + 1, 15) for n in range(count)]
    assert (stats.published, stats.overflow, stats.runs[0].overflow) == (25, 15, 15)


@pytest.mark.parametrize("count", [2, 3, 4])
async def test_every_durable_consumer_has_its_own_account(
    make_broker: MakeBroker, count: int
) -> None:
    broker = await make_broker(TINY)
    await opened(broker, "a")
    epoch = (await broker.runs())[0].epoch
    consumers = [broker.subscribe(f"store {n}", durable=True) for n in range(count)]
    await publish(broker, "a", 8)
    for number, consumer in enumerate(consumers):
        consumer.read_nowait()
        consumer.ack({"a": Cursor(epoch, 8 - 2 * number)})

    lags = [broker.lags(consumer.name) for consumer in consumers]
    stats = await broker.stats()

    assert lags == [{}, *({"a": 2 * number} for number in range(1, count))]
    assert [(each.name, each.lag, each.overflow) for each in stats.runs[0].consumers] == [
        (f"store {number}", 2 * number, 0) for number in range(count)
    ]
    assert [each.lag_peak for each in stats.runs[0].consumers] == [8] * count
    assert broker.lags("nobody") == {}


async def test_the_slowest_durable_consumer_holds_back_trimming(make_broker: MakeBroker) -> None:
    broker = await make_broker(TINY)
    await opened(broker, "a")
    epoch = (await broker.runs())[0].epoch
    fast, slow = (broker.subscribe(name, durable=True) for name in ("fast", "slow"))
    await publish(broker, "a", 9)
    fast.ack({"a": Cursor(epoch, 9)})
    held_back = (await broker.runs())[0].first_seq

    slow.ack({"a": Cursor(epoch, 4)})
    followed = (await broker.runs())[0].first_seq
    slow.close()
    left = (await broker.runs())[0].first_seq

    assert (held_back, followed, left) == (1, 5, 7)


async def test_the_store_is_settled_whatever_another_consumer_has_yet_to_ack(
    make_broker: MakeBroker,
) -> None:
    broker = await make_broker()
    await opened(broker, "a")
    epoch = (await broker.runs())[0].epoch
    store = broker.subscribe(STORE, durable=True)
    broker.subscribe("slow", durable=True)
    await publish(broker, "a", 60)

    store.ack({"a": Cursor(epoch, 60)})
    await asyncio.wait_for(broker.settled(["a"], STORE), 20)

    (run,) = (await broker.stats()).runs
    assert {each.name: each.lag for each in run.consumers} == {STORE: 0, "slow": 60}


async def test_two_durable_consumers_of_one_name_are_refused(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    broker.subscribe("store", durable=True)

    with pytest.raises(UsageError, match="give another name"):
        broker.subscribe("store", durable=True)


async def test_two_durable_consumers_of_one_identity_are_refused(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    first = broker.subscribe("one", durable=True, identity="here:/file")
    broker.subscribe("temporary", durable=True, identity=None)

    with pytest.raises(UsageError, match="'one', known as 'here:/file', already"):
        broker.subscribe("two", durable=True, identity="here:/file")
    first.close()
    second = broker.subscribe("two", durable=True, identity="here:/file")

    assert second.name == "two"


async def test_what_is_held_for_a_durable_consumer_stays_held_for_the_one_that_replaces_it(
    make_broker: MakeBroker,
) -> None:
    broker = await make_broker(Limits(capacity=100, retain=3))
    slow, fast = (broker.subscribe(name, durable=True) for name in ("slow", "fast"))
    await opened(broker, "a")
    await publish(broker, "a", 50)
    (run,) = await broker.runs()
    fast.ack({"a": Cursor(run.epoch, 50)})

    start = {"a": Cursor(run.epoch, 5)}
    new = broker.subscribe("slow", start=start, durable=True, replace=True)
    lags = broker.lags("slow")
    got = await read_to(new, 50)
    with pytest.raises(StopAsyncIteration):
        await anext(slow)
    slow.close()

    assert seqs(got) == list(range(6, 51))
    assert lags == broker.lags("slow") == {"a": 45}
    new.ack({"a": Cursor(run.epoch, 50)})
    assert broker.lags("slow") == {}
    assert [each.name for each in (await broker.stats()).consumers] == ["fast", "slow"]


async def test_replacing_takes_no_identity_from_another_consumer(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    for name in ("one", "two"):
        broker.subscribe(name, durable=True)

    with pytest.raises(UsageError, match="'two', known as 'two', already"):
        broker.subscribe("one", durable=True, identity="two", replace=True)

    names = [each.name for each in (await broker.stats()).consumers]
    assert names == ["one", "two"]


async def test_there_need_not_be_one_to_replace(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a")
    await publish(broker, "a", 2)

    new = broker.subscribe("one", durable=True, replace=True)

    assert seqs(await read_to(new, 2)) == [1, 2]


@pytest.mark.parametrize("make_broker", ["memory"], indirect=True)
async def test_what_was_trimmed_while_a_durable_consumer_was_away_is_a_gap_from_its_cursor(
    make_broker: MakeBroker,
) -> None:
    broker = await make_broker(Limits(capacity=100, retain=3))
    slow, fast = (broker.subscribe(name, durable=True) for name in ("slow", "fast"))
    await opened(broker, "a")
    await publish(broker, "a", 50)
    (run,) = await broker.runs()
    fast.ack({"a": Cursor(run.epoch, 50)})

    slow.close()
    later = broker.subscribe("slow", start={"a": Cursor(run.epoch, 5)}, durable=True)

    assert drain(later) == [Gap("a", run.epoch, 6, 47, "trimmed"), *drain(broker.subscribe("any"))]


async def test_forgetting_who_is_not_known_does_nothing(make_broker: MakeBroker) -> None:
    broker = await make_broker()

    await broker.forget("nobody")

    assert await broker.known_consumers() == {}


async def test_high_water_marks_are_logged_once_per_rising_edge(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker = await make_broker(TINY)
    await opened(broker, "a")
    epoch = (await broker.runs())[0].epoch
    store = broker.subscribe("store", durable=True)

    def percents() -> list[str]:
        found = [r.message.split(", ")[1] for r in caplog.records if "capacity" in r.message]
        caplog.clear()
        return found

    with caplog.at_level(logging.WARNING):
        await publish(broker, "a", 10)
        rising = percents()
        await publish(broker, "a", 5)
        staying = percents()
        store.ack({"a": Cursor(epoch, 15)})
        await publish(broker, "a", 5)
        again = percents()

    assert rising == ["50 % of capacity", "80 % of capacity", "100 % of capacity"]
    assert staying == []
    assert again == ["50 % of capacity"]


async def test_a_producer_without_heartbeats_is_silent_until_it_gives_a_sign(
    make_broker: MakeBroker, clock: FakeClock
) -> None:
    broker = await make_broker()
    await opened(broker, "a")
    await publish(broker, "a", 1)

    async def state() -> str:
        return (await broker.runs())[0].state

    states = [await state()]
    clock.now += 16
    states.append(await state())
    await broker.heartbeat(["a"])
    states.append(await state())
    clock.now += 16
    await publish(broker, "a", 1)
    states.append(await state())
    await broker.close_run("a")
    await arrived(broker)
    clock.now += 60
    states.append(await state())

    assert states == ["open", "silent", "open", "open", "closed"]


async def test_settled_waits_for_the_last_ack(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a")
    epoch = (await broker.runs())[0].epoch
    store = broker.subscribe("store", durable=True)
    await publish(broker, "a", 3)

    waiting = asyncio.create_task(broker.settled(["a"]))
    store.ack({"a": Cursor(epoch, 2)})
    await asyncio.sleep(0)
    early = waiting.done()
    store.ack({"a": Cursor(epoch, 3)})
    await asyncio.wait_for(waiting, 5)

    assert not early


async def test_reaping_tells_unfinished_readers_what_they_miss(make_broker: MakeBroker) -> None:
    broker = await make_broker(TINY)
    await opened(broker, "a")
    reader = broker.subscribe("reader", runs=["a"])
    await publish(broker, "a", 5)
    assert seqs(reader.read_nowait(2)) == [1, 2]
    with pytest.raises(BrokerError, match="still open"):
        await broker.reap("a")
    await broker.close_run("a")
    await arrived(broker)

    await broker.reap("a")

    assert seqs(drain(reader)) == [(3, 6)]
    assert await broker.runs() == []


async def test_a_run_of_an_id_that_was_reaped_is_new_to_who_had_all_of_the_old_one(
    make_broker: MakeBroker,
) -> None:
    broker = await make_broker()
    await opened(broker, "a")
    await publish(broker, "a", 5)
    (old,) = await broker.runs()
    start = {"a": Cursor(old.epoch, 2)}
    reader = broker.subscribe("reader", start=start, durable=True)
    await broker.close_run("a")
    await arrived(broker)
    before = await read_to(reader, 6)
    reader.ack({"a": Cursor(old.epoch, 6)})
    await broker.reap("a")

    await opened(broker, "a")
    await publish(broker, "a", 2)

    assert seqs(before) == [3, 4, 5, 6]
    assert seqs(await read_to(reader, 2)) == [1, 2]
    (new,) = await broker.runs()
    assert new.epoch > old.epoch
    assert broker.lags("reader") == {"a": 2}


async def test_old_closed_runs_are_reaped_but_never_before_they_are_stored(
    make_broker: MakeBroker,
) -> None:
    broker = await make_broker(TINY)
    store = broker.subscribe("store", durable=True)
    for run in "abcd":
        await opened(broker, run)
        await broker.close_run(run)
    await arrived(broker)
    before = [info.meta.run_id for info in await broker.runs()]

    epochs = {info.meta.run_id: info.epoch for info in await broker.runs()}
    store.ack({run: Cursor(epochs[run], 1) for run in "abcd"})
    await opened(broker, "e")
    await broker.close_run("e")
    await arrived(broker)

    assert before == ["a", "b", "c", "d"]
    assert [info.meta.run_id for info in await broker.runs()] == ["d", "e"]


async def test_long_texts_are_bounded_in_bytes(make_broker: MakeBroker) -> None:
    broker = await make_broker(Limits(run_bytes=500_000))
    await opened(broker, "a")
    reader = broker.subscribe("slow")

    for _ in range(20):
        await broker.publish("a", log("x" * 100_000))
    await arrived(broker)

    got = drain(reader)
    assert seqs(got) == [(1, 16), 17, 18, 19, 20]


async def test_another_thread_is_sent_to_the_sink(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a")
    raised: list[str] = []

    def wrong() -> None:
        try:
            asyncio.run(broker.publish("a", log("x")))  # type: ignore[arg-type]
        except RuntimeError as error:
            raised.append(str(error))

    thread = threading.Thread(target=wrong)
    thread.start()
    thread.join()

    assert raised == ["the broker belongs to its loop's thread: publish through MultiRunBrokerSink"]


async def test_shutdown_ends_every_iterator(make_broker: MakeBroker) -> None:
    broker = await make_broker()
    await opened(broker, "a")

    async def consume() -> int:
        return sum([len(batch) async for batch in broker.subscribe("all")])

    async def follow() -> int:
        return len([each async for each in broker.stream("a")])

    tasks = [asyncio.create_task(consume()), asyncio.create_task(follow())]
    await publish(broker, "a", 1)
    await asyncio.sleep(0)

    await broker.aclose()

    assert await asyncio.wait_for(asyncio.gather(*tasks), 5) == [1, 1]
