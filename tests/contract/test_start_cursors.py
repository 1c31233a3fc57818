"""A subscription gets what comes after its start cursors and nothing else, on every backend.

The broker is restarted as far as it can be: on a server another broker object goes on, which has
nothing in its cache; in process the runs are published again, as a producer does that goes on with
what is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import BrokerProtocol, Cursor, Limits, RunMeta, Subscription
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Gap, LogEvent
from tests.conftest import SERVERS, MakeBroker, arrived
from tests.waiting import until

COUNT = 20
EPOCH = 1_700_000_000_000
SMALL = Limits(capacity=100, retain=8)

Restart: TypeAlias = Callable[[], Awaitable[tuple[BrokerProtocol, Callable[[], Awaitable[None]]]]]


async def publish(broker: BrokerProtocol, run_id: str, count: int) -> None:
    for number in range(count):
        await broker.publish(run_id, LogEvent(text=str(number)))


@pytest.fixture
def restart(make_broker: MakeBroker) -> Restart:
    """Gives a broker object that has yet to start, as after a restart, and what starts it: then
    runs a and b have `COUNT` events each, of `EPOCH`."""

    async def make() -> tuple[BrokerProtocol, Callable[[], Awaitable[None]]]:
        broker = await make_broker(SMALL)
        if isinstance(broker, InProcessBroker):

            async def publish_again() -> None:
                for run_id in "ab":
                    await broker.open_run(RunMeta(run_id=run_id), EPOCH)
                    await publish(broker, run_id, COUNT)

            return broker, publish_again
        for run_id in "ab":
            await broker.open_run(RunMeta(run_id=run_id), EPOCH)
            await publish(broker, run_id, COUNT)
        await arrived(broker)
        await broker.aclose()
        again = await make_broker(SMALL, started=False)
        return again, again.start

    return make


async def read_to(subscription: Subscription, seq: int, runs: str = "ab") -> dict[str, list[int]]:
    """The seqs of each run, gaps as their seqs below zero, once all these runs are read so far."""
    got: dict[str, list[int]] = {}

    def take(batch: list[Delivery]) -> None:
        for each in batch:
            sign = -1 if isinstance(each, Gap) else 1
            seqs = range(each.first_seq, each.last_seq + 1)
            got.setdefault(each.run_id, []).extend(sign * at for at in seqs)

    while not all(run in got and abs(got[run][-1]) >= seq for run in runs):
        take(await asyncio.wait_for(anext(subscription), 20))
    take(subscription.read_nowait())
    return got


@pytest.mark.parametrize("before", [True, False], ids=["before start", "after start"])
@pytest.mark.parametrize("durable", [True, False], ids=["durable", "not durable"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
async def test_each_of_several_consumers_gets_what_comes_after_its_cursors(
    restart: Restart, count: int, durable: bool, before: bool
) -> None:
    broker, start = await restart()
    if not before:
        await start()
    cursors = [5, 12, 15, 19][:count]
    readers = [
        broker.subscribe(
            f"c{seq}", start={run: Cursor(EPOCH, seq) for run in "ab"}, durable=durable
        )
        for seq in cursors
    ]
    if before:
        await start()

    got = [await read_to(reader, COUNT) for reader in readers]

    for seq, of_runs in zip(cursors, got, strict=True):
        expected = list(range(seq + 1, COUNT + 1))
        assert of_runs == {"a": expected, "b": expected}
    for each in (await broker.stats()).consumers:
        own = int(each.name[1:])
        assert each.delivered == 2 * (COUNT - own)
        assert (each.in_gaps, each.lag) == (0, 0)


@pytest.mark.parametrize("before", [True, False], ids=["before start", "after start"])
@pytest.mark.parametrize("durable", [True, False], ids=["durable", "not durable"])
@pytest.mark.parametrize("beyond", [0, 3])
async def test_nothing_up_to_a_cursor_at_or_beyond_the_end_is_delivered(
    restart: Restart, beyond: int, durable: bool, before: bool
) -> None:
    broker, start = await restart()
    if not before:
        await start()
    reader = broker.subscribe(
        "c", start={"a": Cursor(EPOCH, COUNT + beyond), "b": Cursor(EPOCH, 18)}, durable=durable
    )
    if before:
        await start()
    await arrived(broker)

    assert await read_to(reader, COUNT, "b") == {"b": [19, 20]}
    await broker.publish_all([])
    if durable:
        reader.ack({"b": Cursor(EPOCH, COUNT)})
        assert broker.lags("c") == {}
        await asyncio.wait_for(broker.settled(["a", "b"], "c"), 20)


@pytest.mark.parametrize("durable", [True, False], ids=["durable", "not durable"])
async def test_what_comes_after_a_cursor_at_the_end_is_delivered(
    restart: Restart, durable: bool
) -> None:
    broker, start = await restart()
    reader = broker.subscribe("c", start={"a": Cursor(EPOCH, COUNT)}, durable=durable)
    await start()

    await publish(broker, "a", 2)

    assert (await read_to(reader, COUNT + 2, "a"))["a"] == [21, 22]


@pytest.mark.parametrize("durable", [True, False], ids=["durable", "not durable"])
async def test_some_runs_start_at_their_cursors_too(restart: Restart, durable: bool) -> None:
    broker, start = await restart()
    with pytest.raises(UnknownRunError):
        broker.subscribe("early", ["a"], {"a": Cursor(EPOCH, 15)}, durable)
    await start()
    cursors = {"a": Cursor(EPOCH, 15), "b": Cursor(EPOCH, COUNT)}

    one = broker.subscribe("one", ["a"], cursors, durable)
    two = broker.subscribe("two", ["a", "b"], cursors, durable)

    assert await read_to(one, COUNT, "a") == {"a": [16, 17, 18, 19, 20]}
    assert await read_to(two, COUNT, "a") == {"a": [16, 17, 18, 19, 20]}


@pytest.mark.parametrize("seq", [0, 12, COUNT, COUNT + 5])
async def test_of_an_older_epoch_a_cursor_is_behind_everything(restart: Restart, seq: int) -> None:
    broker, start = await restart()
    await start()

    reader = broker.subscribe("c", start={"a": Cursor(EPOCH - 1, seq), "b": Cursor(EPOCH, 20)})

    lost, *rest = await asyncio.wait_for(anext(reader), 20)
    while not rest or rest[-1].last_seq < COUNT:
        rest += await asyncio.wait_for(anext(reader), 20)
    assert lost == Gap("a", EPOCH - 1, seq + 1, seq, "unknown")
    assert [each.last_seq for each in rest] == list(range(1, COUNT + 1))


async def test_of_a_newer_epoch_a_cursor_is_beyond_everything(restart: Restart) -> None:
    broker, start = await restart()
    reader = broker.subscribe("c", start={"a": Cursor(EPOCH + 1, 3)})
    await start()

    assert await read_to(reader, COUNT, "b") == {"b": list(range(1, COUNT + 1))}


@pytest.mark.parametrize("make_broker", SERVERS, indirect=True)
@pytest.mark.parametrize("seq", [COUNT, COUNT + 5])
async def test_a_server_that_lost_what_a_durable_consumer_has_goes_on_after_it(
    restart: Restart, seq: int
) -> None:
    broker, start = await restart()
    reader = broker.subscribe("c", start={"a": Cursor(EPOCH, seq)}, durable=True)
    await start()
    await until(lambda: _renewed(broker, "a", seq > COUNT))
    await publish(broker, "a", 1)

    assert (await read_to(reader, 1, "a"))["a"] == [21 if seq == COUNT else 1]


@pytest.mark.parametrize("before", [True, False], ids=["before start", "after start"])
async def test_the_newest_start_after_a_restart_is_the_next_event_published(
    restart: Restart, before: bool
) -> None:
    broker, start = await restart()
    before = before and not isinstance(broker, InProcessBroker)  # there nothing is older
    if not before:
        await start()
    reader = broker.subscribe("c", start="newest")
    if before:
        await start()

    await publish(broker, "a", 1)

    assert await read_to(reader, 21, "a") == {"a": [21]}


@pytest.mark.parametrize("make_broker", ["memory"], indirect=True)
async def test_an_event_already_had_is_no_overflow_when_it_is_evicted(
    make_broker: MakeBroker,
) -> None:
    broker = await make_broker(Limits(capacity=10, retain=3))
    reader = broker.subscribe("c", start={"a": Cursor(EPOCH, 25)}, durable=True)
    await broker.open_run(RunMeta(run_id="a"), EPOCH)
    await publish(broker, "a", 30)
    await arrived(broker)

    assert await read_to(reader, 30, "a") == {"a": [26, 27, 28, 29, 30]}
    assert (await broker.stats()).overflow == 0


async def test_a_stream_can_start_at_any_event_that_the_server_has(restart: Restart) -> None:
    broker, start = await restart()
    await start()

    got = broker.stream("a", from_seq=COUNT)

    assert (await asyncio.wait_for(anext(got), 20)).last_seq == COUNT


async def _renewed(broker: BrokerProtocol, run_id: str, renewed: bool) -> bool:
    (info,) = [info for info in await broker.runs() if info.meta.run_id == run_id]
    return (info.epoch > EPOCH) is renewed
