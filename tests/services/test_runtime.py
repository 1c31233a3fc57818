"""What a process opens it closes, and it says what it could not keep."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import STORE, Limits, RunMeta
from arena_tui.broker.warnings import Warnings
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.errors import BrokerError, StoreError, StoreLockedError
from arena_tui.events import LogEvent
from arena_tui.games.specs import GameSpec
from arena_tui.services.runtime import Runtime
from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from arena_tui.store.verify import verify_store
from tests.waiting import until


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(db=str(tmp_path / "arena.duckdb"))


def stored(config: Config) -> dict[str, tuple[int, str]]:
    """Events and status of each run of a clean store."""
    database = Database(str(config.db))
    assert [verdict for verdict in database.read_now(verify_store) if verdict.problems] == []
    runs = {each.run_id: (each.events, each.status) for each in database.read_now(read_runs)}
    database.close()
    return runs


async def test_everything_published_is_stored_on_closing(config: Config) -> None:
    runtime = Runtime(config)
    await runtime.open()
    with runtime.sink.run("chess", run_id="ended"):
        pass
    runtime.sink.emit("open", LogEvent())
    await runtime.broker.open_run(RunMeta(run_id="not through the sink"[:3]))
    await runtime.broker.publish("not", LogEvent())

    unsaved = await runtime.aclose()

    assert unsaved is None
    assert stored(config) == {
        "ended": (2, "finished"), "open": (2, "stopped"), "not": (1, "running"),
    }  # fmt: skip


async def test_what_was_published_before_the_store_opened_is_stored(config: Config) -> None:
    runtime = Runtime(config)
    for _ in range(50):
        runtime.sink.emit("early", LogEvent())
    await runtime.sink.flush()

    await runtime.open()

    assert await runtime.aclose() is None
    assert stored(config) == {"early": (51, "stopped")}


async def test_opened_twice_at_once_it_has_one_store(config: Config) -> None:
    runtime = Runtime(config)

    await asyncio.gather(runtime.open(), runtime.open())

    consumers = (await runtime.broker.stats()).consumers
    assert [each.name for each in consumers] == [STORE]
    assert await runtime.aclose() is None


async def test_without_a_store_nothing_is_waited_for(config: Config) -> None:
    runtime = Runtime(Config(db=None))
    await runtime.open()
    runtime.sink.emit("run", LogEvent())

    assert await runtime.aclose() is None
    assert (runtime.database, runtime.consumers()) == (None, ())


async def test_closing_twice_is_harmless(config: Config) -> None:
    runtime = Runtime(config)
    await runtime.open()

    assert [await runtime.aclose(), await runtime.aclose()] == [None, None]


async def test_a_store_that_refuses_is_given_up_and_the_loss_is_counted(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(config, give_up_s=0.15)
    await runtime.open()
    for _ in range(3):
        runtime.sink.emit("run", LogEvent())
    await runtime.sink.flush()
    await runtime.broker.settled(["run"])

    async def refuse(*_: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Database, "write", refuse)
    for _ in range(7):
        runtime.sink.emit("run", LogEvent())

    unsaved = await runtime.aclose()

    assert unsaved == "8 events could not be stored: the disk is full"
    monkeypatch.undo()
    assert stored(config) == {"run": (3, "running")}


async def test_a_store_that_cannot_be_opened_leaves_the_broker_working(config: Config) -> None:
    Path(str(config.db)).write_text("not a store")
    runtime = Runtime(config)
    everything = runtime.broker.subscribe("test")

    with pytest.raises(StoreError, match="not a store"):
        await runtime.open()

    runtime.sink.emit("run", LogEvent())
    await runtime.sink.flush()
    assert len(everything.read_nowait()) == 1
    assert await runtime.aclose() is None


async def test_cursors_that_cannot_be_read_are_an_error_not_a_wait(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise StoreError("cannot read the store: Corrupt database file")

    runtime = Runtime(config)
    with monkeypatch.context() as patched:
        patched.setattr(Database, "read", refuse)
        with pytest.raises(StoreError, match="Corrupt"):
            await asyncio.wait_for(runtime.open(), 20)

    await runtime.open()  # the file was let go
    await runtime.aclose()


async def test_what_was_mended_is_told(config: Config) -> None:
    Database(str(config.db)).close()
    path = Path(str(config.db))
    path.write_bytes(path.read_bytes()[:9_000])
    runtime = Runtime(config)

    await runtime.open()

    assert ["moved to" in str(each) for each in runtime.broker.warnings.newest()] == [True]
    await runtime.aclose()


async def test_a_second_runtime_of_another_process_is_told_who_has_the_store(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(path: str, warnings: Warnings) -> None:
        raise StoreLockedError(f"the store {path} is open in process 7", 7)

    runtime = Runtime(config)
    monkeypatch.setattr("arena_tui.store.database.open_store", locked)

    with pytest.raises(StoreLockedError, match="process 7"):
        await runtime.open()
    await runtime.aclose()


async def test_a_store_that_is_not_waited_for_is_closed_again(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    made: list[Database] = []

    def open_slowly(path: str, warnings: Warnings, *, only_read: bool) -> Database:
        begun.set()
        may_end.wait(30)
        made.append(Database(path, warnings, only_read=only_read))
        return made[0]

    monkeypatch.setattr("arena_tui.store.database.Database", open_slowly)
    runtime = Runtime(config)
    opening = asyncio.create_task(runtime.open())
    await asyncio.to_thread(begun.wait)
    for _ in range(2):
        opening.cancel()
        await asyncio.sleep(0)
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await runtime.aclose()

    with pytest.raises(StoreError):
        made[0].read_now(read_runs)


async def test_what_was_played_for_a_broker_never_reached_is_not_waited_for() -> None:
    runtime = Runtime(Config(broker=BrokerUrl("redis://127.0.0.1:1"), db=None))
    runtime.sink.emit("a", LogEvent(text="x"))
    with pytest.raises(BrokerError, match="cannot reach"):
        await runtime.open()

    unsent = await asyncio.wait_for(runtime.aclose(), 20)

    assert unsent is not None
    assert "could not be published" in unsent


async def test_refused_events_of_a_followed_file_are_told_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"run_id":"a","kind":"log"}\n' * 3)
    runtime = Runtime(Config(db=None))
    await runtime.open()
    await runtime.broker.open_run(RunMeta(run_id="a"))
    await runtime.broker.close_run("a")

    runtime.following.add([path])
    await until(lambda: len(caplog.messages) == 3)

    assert await runtime.aclose() == "3 events were refused: run a has ended: open a new run"


async def test_events_of_a_followed_file_that_wait_are_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(InProcessBroker, "publish_all", wait)
    path = tmp_path / "x.jsonl"
    path.write_text('{"run_id":"a","kind":"log"}\n' * 5)
    runtime = Runtime(Config(db=None), Limits(capacity=4, retain=4), give_up_s=0.1)
    await runtime.open()

    runtime.following.add([path])
    await until(lambda: runtime.unsent == 4, 20)

    assert await runtime.aclose() == "4 events could not be published: no progress for 0.1 s"


async def test_closing_ends_the_games_that_are_played_here(config: Config) -> None:
    runtime = Runtime(config)
    await runtime.open()
    spec = GameSpec(game="synth", games=2, delay_s=0.01, rate_per_s=1_000.0)
    await runtime.games.start(spec, continuous=True)
    await until(lambda: runtime.broker.lags(STORE))
    playing = runtime.games.playing

    assert await runtime.aclose() is None
    assert (playing, runtime.games.playing) == (1, 0)


async def test_what_was_emitted_last_reaches_a_shared_broker(redis_url: str) -> None:
    runtime = Runtime(Config(broker=BrokerUrl(redis_url), db=None), producer=True)
    await runtime.open()
    for _ in range(100):
        runtime.sink.emit("a", LogEvent())

    assert await runtime.aclose() is None

    watching = Runtime(Config(broker=BrokerUrl(redis_url), db=None))
    await watching.open()
    seen = [each async for each in watching.broker.stream("a")]
    assert [each.last_seq for each in seen] == list(range(1, 102))
    await watching.aclose()


async def test_a_store_is_not_read_while_it_is_closed_as_the_server_is_not_there(
    tmp_path: Path,
) -> None:
    nobody = BrokerUrl("redis://127.0.0.1:1")
    runtime = Runtime(Config(broker=nobody, db=str(tmp_path / "arena.duckdb")))
    opening = asyncio.create_task(runtime.open())

    reads = 0
    while not opening.done():
        if runtime.history is not None:
            await runtime.history.known()
            reads += 1
        await asyncio.sleep(0)

    with pytest.raises(BrokerError, match="cannot reach redis"):
        await opening
    assert reads
    assert runtime.history is runtime.database is None
    await runtime.aclose()
