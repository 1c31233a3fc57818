"""Consumers as equals: each its own cursor, pace and failures, none the concern of another."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import STORE, Limits, RunMeta, Start, Subscription
from arena_tui.config import Config
from arena_tui.consumers.feed import Feed
from arena_tui.errors import ConsumerError, UsageError
from arena_tui.events import Delivery, Gap, LogEvent
from arena_tui.folds.accounts import Account
from arena_tui.producers.follow import Follower
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.consumption import Consumption
from arena_tui.services.runtime import Runtime
from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from tests.own_consumers import Onlooker, Tally
from tests.waiting import until


@pytest.fixture
async def broker() -> AsyncIterator[InProcessBroker]:
    broker = InProcessBroker()
    await broker.open_run(RunMeta(run_id="a"))
    yield broker
    await broker.aclose()


async def publish(broker: InProcessBroker, count: int) -> None:
    for _ in range(count):
        await broker.publish("a", LogEvent())


def seqs(deliveries: Sequence[Delivery]) -> list[int]:
    return [each.last_seq for each in deliveries]


async def test_a_batch_refused_twice_is_handed_over_unchanged_and_acked_once_taken(
    broker: InProcessBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tally = Tally(tmp_path / "tally", refusals=2)
    consumption = Consumption(tally, broker, retry_s=(0.001,))
    await consumption.start()
    tally.open.clear()

    await publish(broker, 5)
    await until(lambda: tally.handed)
    await publish(broker, 5)
    lag_before = broker.lags("tally")
    tally.open.set()
    await broker.settled(["a"])

    assert [seqs(each) for each in tally.handed[:3]] == [[1, 2, 3, 4, 5]] * 3
    assert lag_before == {"a": 10}
    assert tally.taken == {"a": list(range(1, 11))}
    assert (consumption.info().state, consumption.info().failures) == ("ok", 2)
    assert caplog.messages == [
        "tally: no; events are held and tried again",
        "tally works again",
    ]
    await consumption.stop()


async def test_each_further_refusal_waits_longer_and_a_success_begins_anew(
    broker: InProcessBroker, tmp_path: Path
) -> None:
    class Delays(tuple[float, ...]):
        def __getitem__(self, index: Any) -> Any:
            used.append(index)
            return super().__getitem__(index)

    used: list[int] = []
    tally = Tally(tmp_path / "tally", refusals=4)
    consumption = Consumption(tally, broker, retry_s=Delays([0.0, 0.001, 0.002]))
    await consumption.start()
    await publish(broker, 1)
    await until(lambda: tally.stats().taken == 1)
    first, tally.refusals = list(used), 1
    await publish(broker, 1)
    await until(lambda: tally.stats().taken == 2)

    assert first == [0, 1, 2, 2]
    assert used[len(first) :] == [0]
    await consumption.stop()


async def test_a_process_started_again_goes_on_at_the_consumers_own_cursors(tmp_path: Path) -> None:
    source = tmp_path / "game.jsonl"

    def write(first: int, last: int) -> None:
        with source.open("a") as file:
            for number in range(first, last + 1):
                line = {"run_id": f"run{number % 2}", "kind": "log", "text": str(number)}
                file.write(json.dumps(line) + "\n")

    async def follow(total: int) -> Tally:
        runtime = Runtime(Config(db=str(tmp_path / "arena.duckdb")))
        tally = Tally(tmp_path / "tally")
        await runtime.consume(lambda _: tally)
        await runtime.open()
        follower = Follower(runtime.broker, [source])
        follower.start()
        await until(lambda: tally.stats().taken == total)
        await follower.aclose()
        assert await runtime.aclose() is None
        return tally

    write(1, 2_000)
    await follow(2_000)
    write(2_001, 3_000)
    tally = await follow(3_000)

    assert tally.taken == {"run0": list(range(1, 1_501)), "run1": list(range(1, 1_501))}
    assert tally.handed[0][0].first_seq == 1_001  # though the file is read from its beginning
    database = Database(str(tmp_path / "arena.duckdb"))
    assert {totals.events for totals in database.read_now(read_runs)} == {1_500}
    database.close()


async def test_a_slow_consumer_is_no_matter_of_the_stores_or_the_producers(tmp_path: Path) -> None:
    runtime = Runtime(Config(db=":memory:"), Limits(capacity=100, retain=10))
    tally = Tally(tmp_path / "tally")
    feed = await runtime.consume(Feed)
    slow = await runtime.consume(lambda _: tally)
    await runtime.open()
    tally.open.clear()
    # A store that lags would be waited for until it moves: for an hour.
    sink = MultiRunBrokerSink(runtime.broker, patience_s=3_600)

    for _ in range(400):
        sink.emit("a", LogEvent(), owned=False)
    await asyncio.wait_for(sink.flush(), 30)
    await runtime.broker.settled(["a"], STORE)
    truth = (await feed.consumer.frame(runtime.consumers())).truth
    consumers = {each.name: each for each in (await runtime.broker.stats()).consumers}

    assert truth.account == Account(published=400, stored=400)
    assert (truth.store, truth.lag_s) == ("ok", 0.0)
    assert consumers[STORE].overflow == 0
    assert consumers["tally"].overflow > 0
    assert runtime.broker.lags("tally") == {"a": 400}
    assert slow.info().state == "ok"
    tally.open.set()
    await sink.aclose()
    assert await runtime.aclose() is None
    gaps = [each for batch in tally.handed for each in batch if isinstance(each, Gap)]
    assert sum(gap.count for gap in gaps) == consumers["tally"].overflow


async def test_one_that_raises_for_ever_is_shown_as_error_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = Runtime(Config(db=":memory:"), give_up_s=1.0)
    onlooker, tally = Onlooker(), Tally(tmp_path / "tally", refusals=float("inf"))
    onlooker.failing = True
    failing = [await runtime.consume(lambda _: onlooker), await runtime.consume(lambda _: tally)]
    await runtime.open()

    for _ in range(100):
        runtime.sink.emit("a", LogEvent())
    await runtime.sink.flush()
    await runtime.broker.settled(["a"], STORE)
    await until(lambda: all(each.info().state == "error" for each in failing))

    store = runtime.running(STORE).info()
    assert (store.state, store.stats.stored) == ("ok", 100)
    assert [each.info().last_error for each in failing] == ["cannot look", "no"]
    assert sorted(map(str, runtime.broker.warnings.newest())) == [
        "onlooker: cannot look; events are held and tried again",
        "tally: no; events are held and tried again",
    ]
    unkept = await runtime.aclose()
    assert unkept == "101 events could not be kept by tally: no"
    assert runtime.running(STORE).consumer.stats().stored == 101
    assert sum("held and tried again" in message for message in caplog.messages) == 2


async def test_closing_waits_for_a_durable_consumer_that_only_takes_its_time(
    tmp_path: Path,
) -> None:
    runtime = Runtime(Config(db=None))
    tally = Tally(tmp_path / "tally")
    tally.open.clear()
    await runtime.consume(lambda _: tally)
    await runtime.open()
    runtime.sink.emit("a", LogEvent())
    runtime.sink.emit("a", LogEvent())
    await runtime.sink.flush()

    closing = asyncio.create_task(runtime.aclose())
    await until(lambda: tally.handed)
    is_waited_for = not closing.done()
    tally.open.set()

    assert is_waited_for
    assert await closing is None
    assert tally.taken == {"a": [1, 2, 3]}
    assert tally.closings == 1


async def test_one_that_refuses_is_given_up_alone(tmp_path: Path) -> None:
    runtime = Runtime(Config(db=None), give_up_s=1.0)
    slow, broken = Tally(tmp_path / "slow"), Tally(tmp_path / "broken", refusals=float("inf"))
    broken.name = "broken"
    slow.open.clear()
    await runtime.consume(lambda _: slow)
    refusing = await runtime.consume(lambda _: broken)
    await runtime.open()
    runtime.sink.emit("a", LogEvent())
    await runtime.sink.flush()

    closing = asyncio.create_task(runtime.aclose())
    await until(lambda: slow.handed and refusing.info().failures > 1)
    slow.open.set()

    assert await closing == "2 events could not be kept by broken: no"
    assert slow.taken == {"a": [1, 2]}


async def test_a_polled_consumer_is_handed_events_when_asked_for(broker: InProcessBroker) -> None:
    onlooker = Onlooker(polled=True)
    consumption = Consumption(onlooker, broker)
    await consumption.start()
    await publish(broker, 25)
    nothing_yet = list(onlooker.seen)

    some = await consumption.catch_up(limit=10)
    rest = await consumption.catch_up()

    assert nothing_yet == []
    assert some + rest == 25
    assert seqs(onlooker.seen) == list(range(1, 26))
    await consumption.stop()
    assert await consumption.catch_up() == 0


async def test_what_a_polled_consumer_refused_comes_first_the_next_time() -> None:
    runtime = Runtime(Config(db=None))
    onlookers = [Onlooker("one", polled=True), Onlooker("two", polled=True)]
    one, two = onlookers
    consumptions = [await runtime.consume(lambda _: one), await runtime.consume(lambda _: two)]
    await runtime.open()
    runtime.sink.emit("a", LogEvent())
    await runtime.sink.flush()
    onlookers[0].failing = True

    with pytest.raises(ValueError, match="cannot look"):
        await runtime.catch_up()
    states = [each.info().state for each in consumptions]
    onlookers[0].failing = False
    runtime.sink.emit("a", LogEvent())
    await runtime.sink.flush()
    await runtime.catch_up()

    assert states == ["error", "ok"]
    assert [seqs(each.seen) for each in onlookers] == [[1, 2], [1, 2]]
    assert consumptions[0].info().state == "ok"
    await runtime.aclose()


async def test_a_consumer_of_one_run_is_handed_no_other(broker: InProcessBroker) -> None:
    await broker.open_run(RunMeta(run_id="b"))
    onlooker = Onlooker(runs=["a"])
    consumption = Consumption(onlooker, broker)
    await consumption.start()

    await publish(broker, 3)
    await broker.publish("b", LogEvent())
    await broker.close_run("a")
    await until(lambda: consumption.info().state == "stopped")

    assert {each.run_id for each in onlooker.seen} == {"a"}
    assert seqs(onlooker.seen) == [1, 2, 3, 4]
    await consumption.stop()


async def test_stopped_and_started_again_it_goes_on_at_its_cursors(
    broker: InProcessBroker, tmp_path: Path
) -> None:
    tally = Tally(tmp_path / "tally")
    consumption = Consumption(tally, broker)
    await consumption.start()
    await publish(broker, 3)
    await broker.settled(["a"])
    await consumption.stop()
    stopped = consumption.info().state

    await publish(broker, 3)
    await consumption.start()
    await broker.settled(["a"])

    assert stopped == "stopped"
    assert tally.taken == {"a": [1, 2, 3, 4, 5, 6]}
    assert seqs([each for batch in tally.handed for each in batch]) == [1, 2, 3, 4, 5, 6]
    assert (tally.starts, tally.closings) == (2, 1)
    await consumption.stop()


class Breaking(InProcessBroker):
    """Its first subscription breaks after one read, while more of the batch is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions = 0

    def subscribe(
        self,
        name: str,
        runs: Collection[str] | None = None,
        start: Start = "oldest",
        durable: bool = False,
        unfinished: Collection[str] = (),
        identity: str | None = "",
        replace: bool = False,
    ) -> Subscription:
        subscription = super().subscribe(name, runs, start, durable, unfinished, identity, replace)
        self.subscriptions += 1
        return _Broken(subscription) if self.subscriptions == 1 else subscription


class _Broken:
    def __init__(self, whole: Subscription) -> None:
        self.name, self.batch_max = whole.name, whole.batch_max
        self.ack, self.close, self.read_nowait = whole.ack, whole.close, whole.read_nowait
        self._whole = whole
        self._reads = 0

    def __aiter__(self) -> AsyncIterator[list[Delivery]]:
        return self

    async def __anext__(self) -> list[Delivery]:
        self._reads += 1
        if self._reads > 1:
            raise KeyError("a bug")
        return await anext(aiter(self._whole))


async def test_a_subscription_that_breaks_is_replaced_at_the_consumers_cursors(
    tmp_path: Path,
) -> None:
    broker, tally = Breaking(), Tally(tmp_path / "tally")
    consumption = Consumption(tally, broker, retry_s=(0.001,))
    await consumption.start()
    await broker.open_run(RunMeta(run_id="a"))

    await publish(broker, 3)
    await until(lambda: broker.subscriptions == 2)
    await publish(broker, 3)
    await broker.settled(["a"])

    assert tally.taken == {"a": [1, 2, 3, 4, 5, 6]}
    assert seqs([each for batch in tally.handed for each in batch]) == [1, 2, 3, 4, 5, 6]
    assert (tally.starts, tally.closings) == (2, 1)
    assert (consumption.info().state, consumption.info().failures) == ("ok", 1)
    await consumption.stop()
    await broker.aclose()


async def test_one_that_cannot_start_leaves_nothing_behind(
    broker: InProcessBroker, tmp_path: Path
) -> None:
    damaged = tmp_path / "tally"
    damaged.write_text("{")
    first = Consumption(Tally(damaged), broker)
    with pytest.raises(ConsumerError, match="tally cannot start: Expecting"):
        await first.start()

    second = Consumption(Tally(tmp_path / "other"), broker)
    await second.start()
    with pytest.raises(UsageError, match="already"):
        await Consumption(Tally(tmp_path / "third"), broker).start()

    assert first.consumer.closings == 1
    assert second.info().state == "ok"
    await second.stop()


async def test_nothing_of_a_consumption_is_left_after_stopping(
    broker: InProcessBroker, tmp_path: Path
) -> None:
    tasks, threads = len(asyncio.all_tasks()), threading.active_count()
    consumption = Consumption(Tally(tmp_path / "tally"), broker)
    await consumption.start()

    await consumption.stop()
    await consumption.stop()

    assert (len(asyncio.all_tasks()), threading.active_count()) == (tasks, threads)
    assert (await broker.stats()).consumers == ()
