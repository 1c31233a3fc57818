"""Closing always ends: it waits for progress, within its time, and says what it could not keep."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from arena_tui.broker.protocol import STORE, Cursor
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.events import Delivery, LogEvent
from arena_tui.services.runtime import Runtime
from tests.own_consumers import Tally
from tests.redis_fixture import MakeRedis
from tests.services.test_runtime import stored
from tests.waiting import pause, until


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(db=str(tmp_path / "arena.duckdb"))


class Trickling(Tally):
    """Takes 0.4 s for each batch, and keeps none."""

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        await pause(0.4)
        return {each.run_id: Cursor(each.epoch, each.last_seq) for each in batch}


def store_writers() -> set[threading.Thread]:
    """Those of all open stores, also of one that other tests of this process share."""
    return {each for each in threading.enumerate() if each.name.startswith("store-writer")}


async def test_a_consumer_that_hangs_is_given_up_and_named(config: Config, tmp_path: Path) -> None:
    runtime, stuck = Runtime(config, give_up_s=1.0), Tally(tmp_path / "tally")
    stuck.open.clear()
    await runtime.consume(lambda _: stuck)
    await runtime.open()
    for _ in range(3):
        runtime.sink.emit("run", LogEvent())

    unkept = await runtime.aclose()

    assert unkept == "4 events could not be kept by tally: no progress for 1 s"
    assert stuck.closings == 1
    assert stored(config) == {"run": (4, "stopped")}


async def test_a_store_stuck_in_a_commit_is_given_up_and_the_loss_is_counted(
    config: Config,
) -> None:
    runtime, may_go_on, others = Runtime(config, give_up_s=0.2), threading.Event(), store_writers()
    await runtime.open()
    assert runtime.database is not None
    stuck = asyncio.create_task(runtime.database.write(lambda _: may_go_on.wait(60)))
    for _ in range(3):
        runtime.sink.emit("run", LogEvent())

    unsaved = await runtime.aclose(within_s=1.0)

    assert unsaved == "4 events could not be stored: no progress for 0.2 s"
    may_go_on.set()
    await stuck
    await until(lambda: store_writers() <= others)
    assert stored(config) == {}


async def test_closing_ends_in_time_though_there_is_progress(
    config: Config, tmp_path: Path
) -> None:
    runtime, trickling = Runtime(config), Trickling(tmp_path / "tally")
    await runtime.consume(lambda _: trickling)
    await runtime.open()
    for number in range(100_000):
        runtime.sink.emit(f"run-{number % 20}", LogEvent())

    unkept = await runtime.aclose(within_s=1.0)

    assert unkept is not None
    assert re.search(r"[\d,]+ events could not be kept by tally: not done within 1 s", unkept)


@pytest.mark.parametrize("step", ["broker", "consumer"])
async def test_a_step_of_closing_that_fails_does_not_spare_the_others(
    config: Config, step: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(*_: Any) -> None:
        raise RuntimeError("forced")

    runtime = Runtime(config)
    await runtime.open()
    runtime.sink.emit("run", LogEvent())
    if step == "broker":
        monkeypatch.setattr(runtime.broker, "aclose", refuse)
    else:
        monkeypatch.setattr(runtime.running(STORE), "stop", refuse)

    assert await runtime.aclose() is None
    assert stored(config) == {"run": (2, "stopped")}
    assert "failed: forced" in caplog.text


async def test_a_server_that_does_not_answer_is_given_up_in_time(make_redis: MakeRedis) -> None:
    server = make_redis()
    runtime = Runtime(Config(broker=BrokerUrl(server.url), db=None))
    await runtime.open()
    server.pause()
    for _ in range(3):
        runtime.sink.emit("run", LogEvent())

    unsent = await runtime.aclose(within_s=3.0)

    assert unsent is not None
    assert unsent.startswith("4 events could not be published: ")
    server.resume()
