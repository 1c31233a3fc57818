"""The gauges of a runtime: provoked by real consumers, in process and over a server."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from arena_tui.broker.protocol import STORE, Limits
from arena_tui.broker.stats import ServerStats
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.events import LogEvent
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.brokers import server_of
from arena_tui.services.disk import Disk
from arena_tui.services.panel import ConsumerGauge, Panel
from arena_tui.services.runtime import Runtime
from arena_tui.store.database import Database
from arena_tui.tui.render.broker import loop_line, verdict
from tests.own_consumers import Tally
from tests.waiting import until

LIMITS = Limits(capacity=100, retain=10)


@pytest.fixture(params=["memory", "redis"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """In process, and on a server; each with a store of its own."""
    url = "memory:" if request.param == "memory" else request.getfixturevalue("redis_url")
    return Config(broker=BrokerUrl(url), db=str(tmp_path / "arena.duckdb"))


class Bench:
    """A runtime with a durable consumer that takes nothing while it is not `open`."""

    def __init__(self, config: Config, folder: Path, limits: Limits = LIMITS) -> None:
        self.tally = Tally(folder / "tally")
        self.runtime = Runtime(config, limits, consumers=[lambda _: self.tally])

    async def __aenter__(self) -> Bench:
        await self.runtime.open()
        await self.runtime.instruments.aclose()  # sampled by hand instead
        return self

    async def __aexit__(self, *_: object) -> None:
        self.tally.open.set()
        await self.runtime.aclose()

    async def publish(self, count: int, run_id: str = "a") -> None:
        """Publish, and return once the store has it."""
        for number in range(count):
            self.runtime.sink.emit(run_id, LogEvent(text=str(number)), owned=False)
        await self.runtime.sink.flush()
        await until(self.is_stored)

    async def is_stored(self) -> bool:
        info = self.runtime.running(STORE).info()
        return info.lag == 0 and info.unacked == 0

    async def panel(self) -> Panel:
        await self.runtime.instruments.sample()
        return self.runtime.instruments.panel


def of(panel: Panel, name: str) -> ConsumerGauge:
    return next(each for each in panel.consumers if each.info.name == name)


async def test_a_slow_consumer_is_marked_at_each_mark_and_no_more_once_it_caught_up(
    config: Config, tmp_path: Path
) -> None:
    async with Bench(config, tmp_path) as bench:
        await bench.publish(1)
        calm = await bench.panel()
        bench.tally.open.clear()
        levels, first = [], []
        for count in (49, 30, 20):
            await bench.publish(count)
            panel = await bench.panel()
            levels.append((of(panel, "tally").level, panel.runs[0].level))
            first.append(panel.consumers[0].info.name)
        told = verdict(panel).text
        bench.tally.open.set()
        await until(lambda: not bench.runtime.broker.lags("tally"))
        after = await bench.panel()

    assert (of(calm, "tally").level, verdict(calm).text) == (
        0, "nothing is being lost, nobody is behind",
    )  # fmt: skip
    assert levels == [(1, 1), (2, 2), (3, 3)] or levels == [(0, 0), (1, 1), (2, 2)]
    assert first[-1] == "tally"
    assert told == "tally is behind"
    assert (of(after, "tally").level, after.runs[0].level, of(panel, STORE).level) == (0, 0, 0)
    assert verdict(after).style == "good"


async def test_what_a_consumer_loses_is_shown_while_it_loses_and_said_to_be_lost_before_after_that(
    tmp_path: Path,
) -> None:
    async with Bench(Config(db=":memory:"), tmp_path) as bench:
        bench.tally.open.clear()
        await bench.publish(20)
        sink = MultiRunBrokerSink(bench.runtime.broker, patience_s=3_600)
        for number in range(300):
            sink.emit("a", LogEvent(text=str(number)), owned=False)
        await sink.flush()
        losing = await bench.panel()
        bench.tally.open.set()
        await until(lambda: not bench.runtime.broker.lags("tally"))
        told = await bench.panel()
        for _ in range(60):
            later = await bench.panel()
        await sink.aclose()

    assert losing.runs[0].overflow > 0
    assert losing.runs[0].losing
    assert verdict(losing).text == "1 run lost events within the minute; tally is behind"
    assert of(told, "tally").flow.losing
    assert verdict(told).text == "tally is losing events"
    assert of(later, "tally").info.in_gaps == losing.runs[0].overflow
    assert not later.runs[0].losing
    assert verdict(later).text == (
        f"nothing is being lost, nobody is behind; {losing.runs[0].overflow:,} lost before"
    )


async def test_the_store_shows_its_batches_its_file_and_where_every_event_is(
    config: Config, tmp_path: Path
) -> None:
    async with Bench(config, tmp_path) as bench:
        await bench.publish(50)
        panel = await bench.panel()
        account = bench.runtime.running(STORE).info().account(50)

    store = panel.store
    assert store is not None
    assert store.account == account
    assert store.batch > 0
    assert 0 < store.commit_p50_ms <= store.commit_p99_ms
    assert sum(store.per_second) == 50
    assert store.disk is not None
    assert store.disk.store_bytes + store.disk.wal_bytes > 0
    assert store.disk.free_bytes
    assert store.disk.growth_bytes_per_day is None


def test_a_disk_that_fills_says_when_it_is_full(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path / "a.duckdb"))
    before = disk.sample(0.0)
    (tmp_path / "a.duckdb").write_bytes(b"x" * 1_000_000)
    (tmp_path / "a.duckdb.wal").write_bytes(b"x" * 500_000)
    early, after = disk.sample(29.0), disk.sample(60.0)

    assert (before.store_bytes, before.growth_bytes_per_day) == (0, None)
    assert (early.growth_bytes_per_day, early.full_in_s) == (None, None)
    assert (after.store_bytes, after.wal_bytes) == (1_000_000, 500_000)
    assert after.growth_bytes_per_day == 1_500_000 * 24 * 60
    assert after.full_in_s is not None
    assert after.free_bytes is not None
    assert after.full_in_s == pytest.approx(after.free_bytes / 25_000)
    (tmp_path / "a.duckdb").write_bytes(b"")
    (tmp_path / "a.duckdb.wal").write_bytes(b"")
    assert disk.sample(90.0).full_in_s is None


async def test_producers_that_wait_for_room_are_held_back(tmp_path: Path) -> None:
    goes_on, enough = threading.Event(), threading.Event()
    async with Bench(Config(db=":memory:"), tmp_path, Limits()) as bench:
        assert isinstance(bench.runtime.database, Database)
        busy = asyncio.create_task(bench.runtime.database.write(lambda _: goes_on.wait()))

        def flood() -> None:
            while not enough.is_set():
                bench.runtime.sink.emit("a", LogEvent(), owned=False)

        async def is_held_back() -> bool:
            return (await bench.panel()).loop.held_back_s > 0

        flooding = asyncio.create_task(asyncio.to_thread(flood))
        await until(is_held_back)
        panel = await bench.panel()
        enough.set()
        goes_on.set()
        await asyncio.gather(busy, flooding)

    assert panel.loop.queued_peak > 0
    assert panel.loop.queued > 0
    assert "held back" in loop_line(panel.loop).text


async def test_a_server_is_shown_with_the_stores_of_other_processes(
    redis_url: str, tmp_path: Path
) -> None:
    url = BrokerUrl(redis_url)
    here = Bench(Config(broker=url, db=str(tmp_path / "here.duckdb")), tmp_path)
    there = Runtime(Config(broker=url, db=str(tmp_path / "there.duckdb")), LIMITS)
    async with here:
        await there.open()
        await here.publish(30)
        await until(lambda: not there.broker.lags(STORE) and there.running(STORE).info().kept)
        await there.aclose()
        await here.publish(10)
        ask = server_of(here.runtime.broker)
        assert ask is not None
        own = here.runtime.running(STORE).info().identity

        async def seen() -> ServerStats | None:
            server = await ask()
            return server if server and own in [each.name for each in server.stores] else None

        server = await until(seen)  # acks take their time

    assert server is not None
    assert server.ping_ms > 0
    assert server.memory
    assert server.clients
    assert server.aof is not None
    lags = {each.name.rpartition(" ")[0].rpartition("/")[2]: each.lag for each in server.stores}
    assert lags["there.duckdb"] == 10


def test_of_nothing_there_is_a_verdict_too() -> None:
    assert verdict(Panel()).text == "Taking the first sample …"
