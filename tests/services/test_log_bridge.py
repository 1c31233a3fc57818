"""A program whose log goes into its run: our own lines do not, and nothing feeds itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import arena_tui
from arena_tui.broker.own_log import own_log
from arena_tui.broker.warnings import Warnings
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.errors import BrokerError
from arena_tui.events import RunEnd
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.runtime import Runtime
from tests.faults.accounts import entries
from tests.redis_fixture import MakeRedis
from tests.services.forking import stored
from tests.waiting import until, until_blocking

WITHIN_S = 30


class Bridge(logging.Handler):
    """What users write."""

    def __init__(self, run: arena_tui.Run) -> None:
        super().__init__()
        self.run = run

    def emit(self, record: logging.LogRecord) -> None:
        self.run.log(record.getMessage())


@pytest.fixture
def bridges() -> Iterator[list[Bridge]]:
    """Those to be taken from the root logger."""
    bridges: list[Bridge] = []
    yield bridges
    for bridge in bridges:
        logging.getLogger().removeHandler(bridge)


def bridged(run: arena_tui.Run, bridges: list[Bridge]) -> None:
    bridge = Bridge(run)
    bridges.append(bridge)
    logging.getLogger().addHandler(bridge)


def test_our_own_lines_are_not_recorded_and_the_program_s_are(
    tmp_path: Path, bridges: list[Bridge]
) -> None:
    path = tmp_path / "arena.duckdb"
    with arena_tui.connect(db=str(path)) as arena, arena.run("g", run_id="r") as run:
        bridged(run, bridges)
        logging.getLogger("agent").warning("theirs")
        Warnings().add("link_down", why="ours")
        own_log("arena_tui.x").error("ours")

    assert stored(path)["r"] == (3, None)


def test_a_handler_that_raises_stops_nothing_of_ours(bridges: list[Bridge]) -> None:
    with arena_tui.connect(store=False) as arena:
        with arena.run("g") as run:
            bridged(run, bridges)
        told = Warnings()
        told.add("link_down", why="after the run has ended")

        class Raising(Bridge):
            def emit(self, record: logging.LogRecord) -> None:
                raise ZeroDivisionError

        bridges.append(Raising(run))
        logging.getLogger().addHandler(bridges[-1])
        told.add("link_down", why="to a handler that raises")

    assert told.counts()["link_down"] == 2


async def test_a_full_queue_is_not_waited_for_in_a_handler(bridges: list[Bridge]) -> None:
    """A thread that waited there would hold the handler's lock, which our loop needs to warn."""
    runtime = Runtime(Config(db=None))
    sink = MultiRunBrokerSink(runtime.broker, bound=10)
    run = sink.run("g", run_id="r")
    bridged(run, bridges)
    logged = threading.Event()

    def log() -> None:
        for number in range(15):
            logging.getLogger("agent").warning("line %d", number)
        logged.set()

    thread = threading.Thread(target=log)
    thread.start()
    thread.join(WITHIN_S)  # the loop does not go on meanwhile
    runtime.broker.warnings.add("link_down", why="the loop can warn")
    await sink.flush()

    assert logged.is_set()
    assert sink.stats().refused.events == 0
    await sink.aclose()
    await runtime.aclose()


async def test_refused_events_do_not_feed_on_the_warning_of_them(
    redis_url: str, bridges: list[Bridge]
) -> None:
    arena = arena_tui.connect(redis_url)
    run = arena.run("g", run_id="r").__enter__()
    bridged(run, bridges)
    other = Runtime(Config(broker=BrokerUrl(redis_url)), producer=True)
    await other.open()

    run.action("e4")
    other.sink.emit("r", RunEnd())
    await until(lambda: len(list(entries(redis_url, "r"))) >= 3)
    run.action("e5")

    with pytest.raises(BrokerError, match=r"^\d events? w") as raised:
        arena.close()
    await other.aclose()
    assert int(str(raised.value).split()[0]) <= 4


def test_a_lost_server_is_no_event_of_the_run(make_redis: MakeRedis, bridges: list[Bridge]) -> None:
    server = make_redis(aof=True)
    with arena_tui.connect(server.url) as arena, arena.run("g", run_id="r") as run:
        bridged(run, bridges)
        server.kill()
        for number in range(20):
            run.action(number)
        server.start()
        until_blocking(lambda: len(list(entries(server.url, "r"))) == 21)

    texts = {entry.text for entry in entries(server.url, "r")}
    assert texts == {"run_start", "action", "run_end"}
