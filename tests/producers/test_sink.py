"""Publishing from threads: order, back pressure, and no loss while running or closing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import STORE, Cursor, Limits, Outgoing, RunMeta, Subscription
from arena_tui.consumers.persister import Persister
from arena_tui.errors import BrokerError, EventError, RunClosedError
from arena_tui.events import (
    Delivery,
    Envelope,
    ErrorEvent,
    Event,
    LlmResponse,
    LogEvent,
    RunEnd,
    RunStart,
)
from arena_tui.producers.record import strictly
from arena_tui.producers.run import Run
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.consumption import Consumption
from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from arena_tui.store.verify import verify_store
from tests.faults.accounts import FULL
from tests.waiting import until, until_blocking

THREADS = 32
EVENTS = 10_000 if FULL else 2_500
BURST = 50


def read(subscription: Subscription) -> list[Envelope]:
    found: list[Envelope] = []
    while batch := subscription.read_nowait():
        found += [each for each in batch if isinstance(each, Envelope)]
    return found


def events_of(subscription: Subscription) -> list[Event]:
    return [envelope.event for envelope in read(subscription)]


class StuckBroker(InProcessBroker):
    """Accepts batches only while `open` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()

    async def publish_all(self, batch: list[Outgoing]) -> int:  # type: ignore[override]
        await self.open.wait()
        return await super().publish_all(batch)


async def full_sink(broker: StuckBroker) -> MultiRunBrokerSink:
    """A sink of three events that is full; another event has been taken and is not published."""
    sink = MultiRunBrokerSink(broker, bound=3)
    sink.emit("run", LogEvent(turn=0))
    await until(lambda: sink.stats().queued == 0)
    for turn in (1, 2, 3):
        sink.emit("run", LogEvent(turn=turn))
    return sink


@contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work)
    thread.start()
    yield thread
    thread.join(30)
    assert not thread.is_alive()


async def test_32_threads_in_bursts_lose_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "a.duckdb")
    broker = InProcessBroker()
    database = Database(path)
    persister = Persister(database)
    storing = Consumption(persister, broker)
    await storing.start()
    sink = MultiRunBrokerSink(broker, bound=5_000)
    everyone_is_here = threading.Barrier(THREADS)

    def play(number: int) -> None:
        everyone_is_here.wait()
        for first in range(0, EVENTS, BURST):
            for count in range(first, first + BURST):
                event = LlmResponse(turn=count, text="some words", input_tokens=1, cost_usd=0.25)
                sink.emit(f"run-{number}", event)

    def produce() -> None:
        threads = [threading.Thread(target=play, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sink.close_all()

    await asyncio.to_thread(produce)
    counters = persister.stats()
    held = await broker.runs()
    await broker.aclose()
    await storing.stop()
    database.close()

    assert (counters.stored, counters.lost) == (THREADS * (EVENTS + 1), 0)
    assert held == []
    again = Database(path)
    verdicts = again.read_now(verify_store)
    totals = again.read_now(read_runs)
    out_of_order = again.read_now(
        lambda connection: connection.execute(
            "SELECT count(*) FROM events WHERE kind = 'llm_response' AND turn <> seq - 1"
        ).fetchone()
    )
    again.close()
    assert [(each.events, each.problems) for each in verdicts] == [(EVENTS + 1, ())] * THREADS
    assert {each.status for each in totals} == {"stopped"}
    assert {(each.input_tokens, each.cost_usd) for each in totals} == {(EVENTS, EVENTS / 4)}
    assert out_of_order == (0,)


async def test_what_was_accepted_before_closing_is_kept_while_threads_go_on() -> None:
    broker = InProcessBroker(Limits(capacity=200_000, retain=200_000))
    everything = broker.subscribe("test")
    sink = MultiRunBrokerSink(broker)
    accepted = [0] * 8
    begun = threading.Barrier(9)

    def play(number: int) -> None:
        begun.wait()
        try:
            for count in range(1_000_000):
                sink.emit(f"run-{number}-{count // 40}", LogEvent(turn=count))
                accepted[number] = count + 1
        except BrokerError:
            pass

    threads = [threading.Thread(target=play, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    await asyncio.to_thread(begun.wait)
    got: list[Envelope] = []

    async def keep_up() -> None:
        async for batch in everything:
            got.extend(each for each in batch if isinstance(each, Envelope))

    keeping_up = asyncio.create_task(keep_up())
    await until(lambda: sum(accepted) >= 500)
    await sink.aclose()
    keeping_up.cancel()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    got += read(everything)

    for number in range(8):
        own = [each for each in got if each.run_id.startswith(f"run-{number}-")]
        turns = [each.event.turn for each in own if isinstance(each.event, LogEvent)]
        assert turns == list(range(len(turns)))
        assert len(turns) - accepted[number] in (0, 1)
    ends = [each.run_id for each in got if isinstance(each.event, RunEnd)]
    assert sorted(ends) == sorted({each.run_id for each in got})


async def test_a_full_sink_makes_the_producer_wait_and_says_so() -> None:
    broker = StuckBroker()
    everything = broker.subscribe("test")
    sink = MultiRunBrokerSink(broker, bound=10)
    emitted: list[int] = []

    def play() -> None:
        for count in range(4_000):
            sink.emit("run", LogEvent(turn=count))
            emitted.append(count)

    with in_thread(play):
        # The writer has dequeued its first batch, and is blocked publishing it.
        await until(lambda: sink.stats().queued >= 10)
        waiting = len(emitted)
        broker.open.set()
        await until(lambda: len(emitted) == 4_000)
    await sink.flush()

    assert waiting < 4_000
    assert [event.turn for event in events_of(everything)] == list(range(4_000))
    stats = sink.stats()
    assert stats.blocked_s > 0
    assert 10 <= stats.queued_peak <= 11
    assert (stats.queued, stats.refused.events) == (0, 0)


async def test_the_loop_itself_is_never_made_to_wait() -> None:
    sink = MultiRunBrokerSink(StuckBroker(), bound=3)
    for _ in range(3):
        sink.emit("run", LogEvent())

    with pytest.raises(BrokerError, match="emit from a thread"):
        sink.emit("run", LogEvent())
    with pytest.raises(RuntimeError, match="await aclose"):
        sink.close_all()


async def test_a_producer_waits_for_room_not_for_the_broker() -> None:
    broker = StuckBroker()
    sink = MultiRunBrokerSink(broker, bound=4)

    def play() -> None:
        for count in range(7):
            sink.emit("run", LogEvent(turn=count))

    with in_thread(play) as thread:
        until_blocking(lambda: sink.stats().blocked_s)  # the loop is blocked and drains nothing
        await until(lambda: not thread.is_alive())
        queued = sink.stats().queued
        broker.open.set()
        await sink.aclose()

    assert queued == 3


async def test_closing_lets_a_waiting_producer_go() -> None:
    broker = StuckBroker()
    sink = MultiRunBrokerSink(broker, bound=4)
    refused: list[Exception] = []

    def play() -> None:
        try:
            while True:
                sink.emit("run", LogEvent())
        except BrokerError as error:
            refused.append(error)

    with in_thread(play):
        await until(lambda: sink.stats().queued >= 4)
        closing = asyncio.create_task(sink.aclose())
        await until(lambda: refused)
        broker.open.set()
        await closing

    assert "closed" in str(refused[0])


async def test_coroutines_and_threads_in_bursts_keep_a_tiny_bound_and_their_order() -> None:
    broker = InProcessBroker()
    everything = broker.subscribe("test")
    sink = MultiRunBrokerSink(broker, bound=4)
    got: list[Envelope] = []

    async def play(run: str) -> None:
        for count in range(100):
            await sink.room()
            sink.emit(run, LogEvent(turn=count))

    def play_in_thread(run: str) -> None:
        for count in range(1_000):
            sink.emit(run, LogEvent(turn=count))

    async def keep_up() -> None:
        async for batch in everything:
            got.extend(each for each in batch if isinstance(each, Envelope))

    keeping_up = asyncio.create_task(keep_up())
    here = [play(f"coroutine-{number}") for number in range(50)]
    there = [asyncio.to_thread(play_in_thread, f"thread-{number}") for number in range(4)]
    await asyncio.gather(*here, *there)
    await sink.flush()
    keeping_up.cancel()
    got += read(everything)

    turns: dict[str, list[int | None]] = {}
    for each in got:
        turns.setdefault(each.run_id, []).append(each.event.turn)
    assert {run: len(found) for run, found in turns.items() if run.startswith("c")} == {
        f"coroutine-{number}": 100 for number in range(50)
    }
    assert {run: len(found) for run, found in turns.items() if run.startswith("t")} == {
        f"thread-{number}": 1_000 for number in range(4)
    }
    assert all(found == list(range(len(found))) for found in turns.values())
    assert sink.stats().queued_peak <= 4 + 4  # threads that looked at the same time
    assert sink.stats().blocked_s > 0


async def test_a_coroutine_that_waited_may_emit_a_burst_whatever_threads_do() -> None:
    broker = StuckBroker()
    sink = MultiRunBrokerSink(broker, bound=4)
    sink.emit("run", LogEvent())
    await until(lambda: sink.stats().queued == 0)

    await sink.room()
    with in_thread(lambda: [sink.emit("thread", LogEvent()) for _ in range(4)]):
        pass
    for _ in range(4):
        sink.emit("coroutine", LogEvent())

    with pytest.raises(BrokerError, match="await room"):
        sink.emit("coroutine", LogEvent())
    assert sink.stats().queued == 8
    broker.open.set()


async def test_waiting_for_room_may_be_cancelled_and_is_counted() -> None:
    broker = StuckBroker()
    everything = broker.subscribe("test")
    sink = await full_sink(broker)
    waiting = [asyncio.create_task(sink.room()) for _ in range(9)]
    await until(lambda: sink.stats().blocked_s)

    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    blocked_s = [sink.stats().blocked_s for _ in range(2)]
    waiting_still = asyncio.create_task(sink.room())
    await until(lambda: sink.stats().blocked_s > blocked_s[0])
    broker.open.set()
    await waiting_still
    sink.emit("run", LogEvent(turn=4))
    await sink.flush()

    assert all(each.cancelled() for each in waiting)
    assert blocked_s[0] == blocked_s[1] > 0  # nobody is counted any more
    assert [event.turn for event in events_of(everything)] == [0, 1, 2, 3, 4]


async def test_one_that_waits_on_another_loop_does_not_block_it() -> None:
    broker = StuckBroker()
    everything = broker.subscribe("test")
    sink = MultiRunBrokerSink(broker, bound=3)
    others = 0

    async def agent() -> None:
        nonlocal others
        run = sink.run("chess", run_id="run")
        playing = asyncio.create_task(play(run))
        forgotten = asyncio.create_task(play(sink.run("chess")))
        await until(lambda: sink.stats().blocked_s)
        forgotten.cancel()
        while not playing.done():
            others += 1
            await asyncio.sleep(0)

    async def play(run: Run) -> None:
        for count in range(100):
            await run.room()
            run.log(str(count))

    thread = asyncio.create_task(asyncio.to_thread(asyncio.run, agent()))
    await until(lambda: others > 10)
    broker.open.set()
    await thread
    await sink.flush()

    own = [each.event for each in read(everything) if each.run_id == "run"]
    assert [each.text for each in own if isinstance(each, LogEvent)] == [str(n) for n in range(100)]


async def test_closing_ends_the_waiting_for_room() -> None:
    broker = StuckBroker()
    sink = await full_sink(broker)
    waiting = asyncio.create_task(sink.room())
    await until(lambda: sink.stats().blocked_s)

    closing = asyncio.create_task(sink.aclose())
    with pytest.raises(BrokerError, match="closed"):
        await waiting
    with pytest.raises(BrokerError, match="closed"):
        await sink.room()
    broker.open.set()
    await closing


async def test_a_run_is_left_at_once_though_the_sink_is_full() -> None:
    broker = StuckBroker()
    everything = broker.subscribe("test")
    sink = MultiRunBrokerSink(broker, bound=3)

    def play() -> None:
        with sink.run("chess") as run:
            run.log("one")
            run.log("two")
            raise ValueError("no such move")

    with pytest.raises(ValueError, match="no such move"):
        play()
    with pytest.raises(BrokerError, match="full"):
        sink.emit("another", LogEvent())
    broker.open.set()
    await sink.flush()

    kinds = [event.kind for event in events_of(everything)]
    assert kinds == ["run_start", "log", "log", "error", "run_end"]


async def test_a_closed_sink_accepts_nothing_and_closes_twice() -> None:
    sink = MultiRunBrokerSink(InProcessBroker())
    sink.emit("run", LogEvent())

    await sink.aclose()
    await sink.aclose()
    await asyncio.to_thread(sink.close_all)
    await sink.flush()

    for run_id in ("run", "another"):
        with pytest.raises(BrokerError, match="closed"):
            sink.emit(run_id, LogEvent())


async def test_a_signal_that_comes_late_keeps_nobody_waiting_on_a_closed_sink(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = MultiRunBrokerSink(InProcessBroker())
    late: list[Callable[[], None]] = []
    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", late.append)
        sink.emit("run", LogEvent())
    await sink.aclose()

    for signal in late:
        signal()

    assert len(late) == 1
    await asyncio.wait_for(sink.flush(), 30)


async def test_events_after_the_end_are_refused_and_counted() -> None:
    broker = InProcessBroker()
    sink = MultiRunBrokerSink(broker)
    sink.emit("run", LogEvent())
    sink.emit("run", RunEnd())
    sink.emit("other", LogEvent())
    await sink.flush()

    with pytest.raises(RunClosedError, match="ended"):
        sink.emit("run", LogEvent())
    await broker.close_run("other")
    sink.emit("other", LogEvent())
    await sink.flush()

    assert sink.stats().refused.events == 1


async def test_an_unusable_event_or_run_id_is_the_caller_s_error_and_harms_nobody() -> None:
    broker = InProcessBroker()
    everything = broker.subscribe("test")
    sink = MultiRunBrokerSink(broker)

    with pytest.raises(EventError, match="not usable"):
        sink.emit("a run", LogEvent())
    with pytest.raises(EventError, match="text"):
        sink.emit("run", LogEvent(text=3))  # type: ignore[arg-type]
    sink.emit("run", LogEvent(text="fine"))
    await sink.aclose()

    first, end = events_of(everything)
    assert first == LogEvent(ts=first.ts, text="fine")
    assert isinstance(end, RunEnd)


async def test_the_writer_survives_a_broker_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(InProcessBroker):
        failures = 2

        async def publish_all(self, batch: list[Outgoing]) -> int:  # type: ignore[override]
            self.failures -= 1
            if self.failures >= 0:
                raise [BrokerError("gone"), ValueError("a bug")][self.failures]
            return await super().publish_all(batch)

    broker = Failing()
    everything = broker.subscribe("test")
    sink = MultiRunBrokerSink(broker)
    for text in ("lost", "lost too", "kept"):
        sink.emit("run", LogEvent(text=text))
        await sink.flush()

    assert sink.stats().refused.events == 2
    assert len(caplog.records) == 2
    (kept,) = events_of(everything)
    assert kept == LogEvent(ts=kept.ts, text="kept")


async def test_giving_up_on_the_store_leaves_the_events_in_the_broker() -> None:
    broker = InProcessBroker()
    store = broker.subscribe(STORE, durable=True)
    sink = MultiRunBrokerSink(broker)
    sink.emit("run", LogEvent())
    closing = asyncio.create_task(sink.aclose())
    got: list[Envelope] = []
    await until(lambda: got.extend(read(store)) or len(got) == 2)

    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing

    (info,) = await broker.runs()
    assert (info.state, info.last_seq) == ("closed", 2)


async def test_a_fast_producer_is_paced_by_a_store_that_moves() -> None:
    broker = InProcessBroker(Limits(capacity=100, retain=10))
    store = broker.subscribe(STORE, durable=True)
    sink = MultiRunBrokerSink(broker)

    async def keep() -> list[Envelope]:
        kept: list[Envelope] = []
        async for batch in store:
            for each in batch:
                assert isinstance(each, Envelope)
                kept.append(each)
                store.ack({each.run_id: Cursor(each.epoch, each.seq)})
        return kept

    keeping = asyncio.create_task(keep())
    for count in range(5_000):
        sink.emit("run", LogEvent(turn=count))
    await sink.aclose()
    await broker.aclose()

    assert [each.seq for each in await keeping] == list(range(1, 5_002))
    assert (await broker.stats()).overflow == 0


async def test_publishing_goes_on_once_the_store_has_most_and_not_only_when_it_has_all() -> None:
    broker = InProcessBroker(Limits(capacity=100, retain=10))
    store = broker.subscribe(STORE, durable=True)
    sink = MultiRunBrokerSink(broker, patience_s=3_600)

    async def keep() -> None:
        async for batch in store:
            last = batch[-1]
            assert isinstance(last, Envelope)
            store.ack({last.run_id: Cursor(last.epoch, max(0, last.seq - 10))})

    for count in range(1_000):
        sink.emit("run", LogEvent(turn=count))
    await until(lambda: sink.stats().queued == 925)
    keeping = asyncio.create_task(keep())
    await asyncio.wait_for(sink.flush(), 30)

    stats = await broker.stats()
    assert (stats.published, stats.overflow) == (1_000, 0)
    keeping.cancel()


async def test_publishing_pauses_at_the_share_of_a_run_it_was_told() -> None:
    lags: list[int] = []

    class Watched(InProcessBroker):
        async def settled(self, run_ids: Iterable[str], consumer: str | None = None) -> None:
            lags.extend(self.lags(STORE).values())
            store.ack({"run": Cursor(1, 50)})

    broker = Watched(Limits(capacity=100, retain=10))
    store = broker.subscribe(STORE, durable=True)
    await broker.open_run(RunMeta(run_id="run"), epoch=1)
    sink = MultiRunBrokerSink(broker, pause_at=0.25)
    for count in range(75):
        sink.emit("run", LogEvent(turn=count))
    await sink.flush()

    assert lags == [50]


async def test_a_store_that_does_not_move_is_not_waited_for() -> None:
    broker = InProcessBroker(Limits(capacity=100, retain=10))
    broker.subscribe(STORE, durable=True)
    sink = MultiRunBrokerSink(broker, patience_s=0.01)

    for count in range(5_000):
        sink.emit("run", LogEvent(turn=count))
    await sink.flush()

    stats = await broker.stats()
    assert (stats.published, stats.overflow) == (5_000, 4_900)


async def test_a_store_that_moves_again_is_waited_for_again() -> None:
    broker = InProcessBroker(Limits(capacity=100, retain=10))
    store = broker.subscribe(STORE, durable=True)
    sink = MultiRunBrokerSink(broker, patience_s=0.01)

    async def keep() -> None:
        while True:
            for each in store.read_nowait(10):
                store.ack({each.run_id: Cursor(each.epoch, each.last_seq)})
            await asyncio.sleep(0)

    async def publish() -> int:
        for count in range(5_000):
            sink.emit("run", LogEvent(turn=count))
        await sink.flush()
        return (await broker.stats()).overflow

    lost = [await publish()]
    keeping = asyncio.create_task(keep())
    lost.append(await publish())

    assert lost[0] == 4_900
    assert lost[1] - lost[0] <= 100
    keeping.cancel()


async def test_publishing_waits_briefly_while_much_of_all_runs_is_not_stored() -> None:
    lags: list[int] = []

    class Watched(InProcessBroker):
        async def settled(self, run_ids: Iterable[str], consumer: str | None = None) -> None:
            lags.append(sum(self.lags(STORE).values()))
            store.ack({run_id: Cursor(1, 1_000) for run_id in run_ids})

    broker = Watched(Limits(capacity=1_000, decoded=4_000))
    store = broker.subscribe(STORE, durable=True)
    sink = MultiRunBrokerSink(broker)
    for run in range(40):
        await broker.open_run(RunMeta(run_id=f"run-{run}"), epoch=1)
    for count in range(8_000):
        sink.emit(f"run-{count % 40}", LogEvent(turn=count))
    await sink.flush()

    assert lags == [2_250, 2_250, 2_250]


async def test_many_runs_are_not_held_up_by_a_store_that_does_not_move() -> None:
    broker = InProcessBroker(Limits(decoded=4_000))
    broker.subscribe(STORE, durable=True)
    sink = MultiRunBrokerSink(broker, patience_s=0.01)

    for count in range(8_000):
        sink.emit(f"run-{count % 40}", LogEvent(turn=count))
    await sink.flush()

    stats = await broker.stats()
    assert (stats.published, stats.overflow) == (8_000, 0)


async def test_large_events_are_paced_before_a_run_holds_too_many_bytes() -> None:
    broker = InProcessBroker(Limits(run_bytes=200_000))
    store = broker.subscribe(STORE, durable=True)
    sink = MultiRunBrokerSink(broker)

    async def keep() -> list[Delivery]:
        kept: list[Delivery] = []
        async for batch in store:
            for each in batch:
                kept.append(each)
                seq = each.seq if isinstance(each, Envelope) else each.to_seq
                store.ack({each.run_id: Cursor(each.epoch, seq)})
        return kept

    keeping = asyncio.create_task(keep())
    for count in range(2_000):
        sink.emit(f"run-{count % 2}", LogEvent(turn=count, text="x" * 1_000))
    await sink.aclose()
    await broker.aclose()

    assert (await broker.stats()).overflow == 0
    assert [type(each) for each in await keeping] == [Envelope] * 2_002


async def test_closing_ends_a_sink_s_own_runs_and_leaves_those_that_it_forwards() -> None:
    broker = InProcessBroker()
    everything = broker.subscribe("test")
    store = broker.subscribe(STORE, durable=True)
    sink = MultiRunBrokerSink(broker)
    sink.emit("own", LogEvent())
    for count in range(4_000):
        sink.emit("forwarded", LogEvent(turn=count), owned=False)
    sink.emit("forwarded-and-ended", RunEnd(), owned=False)
    await sink.flush()

    closing = asyncio.create_task(sink.aclose())
    got: list[Envelope] = []
    await until(lambda: got.extend(read(everything)) or got[-1].run_id == "own")
    waited = not closing.done()
    store.ack({"own": Cursor(got[-1].epoch, 2)})
    await closing

    assert waited
    turns = [each.event.turn for each in got if each.run_id == "forwarded"]
    assert turns == list(range(4_000))
    assert {each.meta.run_id: each.state for each in await broker.runs()} == {
        "forwarded": "open", "forwarded-and-ended": "closed",
    }  # fmt: skip
    with pytest.raises(BrokerError, match="closed"):
        sink.emit("forwarded", LogEvent())


async def test_disowned_runs_stay_open_and_the_others_end() -> None:
    broker = InProcessBroker()
    sink = MultiRunBrokerSink(broker)
    for run_id in ("given-up", "kept"):
        sink.emit(run_id, LogEvent())

    sink.disown(["given-up", "never-seen"])
    sink.emit("given-up", LogEvent())
    await sink.aclose()

    (info,) = await broker.runs()
    assert (info.meta.run_id, info.state, info.last_seq) == ("given-up", "open", 2)


async def test_a_forwarded_run_is_owned_once_its_start_comes_through_the_sink() -> None:
    broker = InProcessBroker()
    sink = MultiRunBrokerSink(broker)
    for run_id in ("begun", "forwarded"):
        sink.emit(run_id, LogEvent(), owned=False)

    sink.emit("begun", RunStart())
    sink.emit("begun", LogEvent(), owned=False)
    sink.emit("forwarded", LogEvent())
    await sink.aclose()

    (info,) = await broker.runs()
    assert (info.meta.run_id, info.state) == ("forwarded", "open")


async def test_a_sink_vouches_only_for_runs_it_owns() -> None:
    class Listening(InProcessBroker):
        def __init__(self) -> None:
            super().__init__()
            self.beats: list[list[str]] = []

        async def heartbeat(self, run_ids: Iterable[str]) -> None:
            self.beats.append(list(run_ids))

    broker, silent = Listening(), Listening()
    mixed, forwarding = MultiRunBrokerSink(broker), MultiRunBrokerSink(silent)
    mixed.emit("own", LogEvent())
    for sink in (mixed, forwarding):
        sink.emit("forwarded", LogEvent(), owned=False)

    await until(lambda: broker.beats)
    await mixed.aclose()
    await forwarding.aclose()

    assert broker.beats == [["own"]]
    assert silent.beats == []


async def test_no_heartbeat_goes_on_once_the_sink_is_closed() -> None:
    """A client of a server may swallow a cancellation, and the connection is closed next."""

    class Deaf(InProcessBroker):
        beating = False

        async def heartbeat(self, run_ids: Iterable[str]) -> None:
            self.beating = True
            try:
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
                await asyncio.Event().wait()
            finally:
                self.beating = False

    broker = Deaf()
    await broker.start()
    sink = MultiRunBrokerSink(broker)
    sink.run("g").turn(1)
    await until(lambda: broker.beating)

    await sink.aclose()

    assert not broker.beating
    await broker.aclose()


class FailingBroker(InProcessBroker):
    """Cannot say what is not stored, nor take a heartbeat."""

    def lags(self, consumer: str) -> dict[str, int]:
        raise ZeroDivisionError("lags")

    async def heartbeat(self, run_ids: Iterable[str]) -> None:
        raise ZeroDivisionError("heartbeat")


async def test_producers_go_on_though_pacing_and_heartbeats_fail(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = FailingBroker()
    sink = MultiRunBrokerSink(broker, bound=10)

    def play() -> None:
        for _ in range(1_000):
            sink.emit("run", LogEvent())

    await asyncio.wait_for(asyncio.to_thread(play), 20)
    await until(lambda: broker.warnings.counts() == {"work_failed": 2})
    failures = sink.stats().failures
    await asyncio.wait_for(sink.aclose(), 20)

    assert failures > 2
    assert sorted(caplog.messages) == [
        "pacing producers failed and goes on: ZeroDivisionError('lags'): see the log",
        "the heartbeat failed and goes on: ZeroDivisionError('heartbeat'): see the log",
    ]


async def test_a_run_begins_and_finishes_by_itself() -> None:
    broker = InProcessBroker()
    everything = broker.subscribe("test")
    sink = MultiRunBrokerSink(broker)

    with sink.run("chess", ["white", "black"], seed=4) as run:
        run.turn(1, player="white")
        run.action("e4")
        run.end({"white": 1.0, "black": 0.0})
    await sink.flush()

    got = events_of(everything)
    assert [event.kind for event in got] == ["run_start", "turn_start", "action", "run_end"]
    assert [event.agent_id for event in got] == [None, "white", "white", None]
    assert isinstance(got[0], RunStart)
    assert (got[0].game, got[0].seed) == ("chess", 4)
    assert isinstance(got[3], RunEnd)
    assert (got[3].status, got[3].outcome) == ("finished", {"white": 1.0, "black": 0.0})


@pytest.mark.parametrize(
    ("raised", "kinds", "status"),
    [
        (ValueError("no such move"), ["run_start", "error", "run_end"], "crashed"),
        (KeyboardInterrupt(), ["run_start", "run_end"], "stopped"),
        (SystemExit(1), ["run_start", "run_end"], "stopped"),
    ],
    ids=["error", "interrupt", "exit"],
)
async def test_a_run_that_is_left_by_an_exception_says_how(
    raised: BaseException, kinds: list[str], status: str
) -> None:
    broker = InProcessBroker()
    everything = broker.subscribe("test")
    sink = MultiRunBrokerSink(broker)

    with pytest.raises(type(raised)), sink.run("chess"):
        raise raised
    await sink.flush()

    got = events_of(everything)
    assert [event.kind for event in got] == kinds
    assert isinstance(got[-1], RunEnd)
    assert got[-1].status == status
    if isinstance(got[1], ErrorEvent):
        assert (got[1].where, got[1].message, got[1].fatal) == ("ValueError", "no such move", True)
        assert "raise raised" in str(got[1].traceback)


async def test_what_threads_record_while_it_closes_is_published_or_refused_to_them() -> None:
    """Never taken and then refused behind their backs, since their run was ended before it."""
    for _ in range(30):
        broker = InProcessBroker()
        sink = MultiRunBrokerSink(broker)
        told: list[str] = []

        def play(sink: MultiRunBrokerSink = sink, told: list[str] = told) -> None:
            run = sink.run("g", refused=strictly)
            try:
                while True:
                    run.log("x")
            except BrokerError as error:
                told.append(str(error))

        threads = [threading.Thread(target=play) for _ in range(4)]
        for thread in threads:
            thread.start()
        await until(lambda sink=sink: sink.stats().queued)
        await sink.aclose()
        for thread in threads:
            await asyncio.to_thread(thread.join)

        assert len(told) == 4
        assert sink.stats().refused.events == 0
