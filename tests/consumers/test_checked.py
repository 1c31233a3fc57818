"""What an author gets wrong is said in one line, and stops no other consumer and no game."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import RunMeta
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.consumer import Consumer, Context, Counters, Cursor
from arena_tui.errors import BrokerError, ConsumerError, UsageError
from arena_tui.events import Delivery, LogEvent
from arena_tui.services.connect import Connections
from arena_tui.services.consumption import Consumption
from arena_tui.services.runtime import Runtime
from tests.waiting import until


class Plain(Consumer):
    """A durable consumer that does as it is told."""

    name = "plain"
    durable = True
    begins: Any = "oldest"

    def __init__(self, context: Context) -> None:
        self.got: list[Delivery] = []
        self.said: list[str] = []

    async def start(self) -> Any:
        self.said.append("start")
        return self.begins

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        self.got += batch
        return {each.run_id: Cursor(each.epoch, each.last_seq) for each in batch}

    async def aclose(self) -> None:
        self.said.append("aclose")


def plain(**changes: Any) -> type[Plain]:
    return type("Changed", (Plain,), changes)


@pytest.fixture
def connections() -> Iterator[Connections]:
    made = Connections()
    yield made
    made.close_forgotten()


def connect(connections: Connections, *consumers: Any) -> Any:
    return connections.connect(BrokerUrl("memory:"), ":memory:", True, consumers)


@pytest.mark.parametrize("begins", [None, "latest", 7, {"r": 1}, {"r": ("x", 1)}])
async def test_a_start_that_is_none_is_refused(begins: Any) -> None:
    runtime = Runtime(Config(db=None), consumers=[plain(begins=begins)])

    with pytest.raises(ConsumerError, match=r"plain: start\(\) must return 'oldest', 'newest' or"):
        await runtime.open()
    await runtime.aclose()


async def test_cursors_may_be_plain_pairs() -> None:
    broker = InProcessBroker()
    await broker.open_run(RunMeta(run_id="r"), 7)
    for _ in range(3):
        await broker.publish("r", LogEvent())
    running = Consumption(plain(begins={"r": (7, 2)})(Context(broker, Config())), broker)

    await running.start()

    await asyncio.wait_for(broker.settled(["r"], "plain"), 20)
    assert [each.last_seq for each in running.consumer.got] == [3]
    await running.stop()


@pytest.mark.parametrize("returned", [None, 7, {"r": 1}])
async def test_acks_that_are_none_are_a_failure_that_says_so(returned: Any) -> None:
    async def handle(self: Any, batch: Any) -> Any:
        return returned

    broker = InProcessBroker()
    running = Consumption(plain(handle=handle)(Context(broker, Config())), broker)
    await running.start()
    await broker.open_run(RunMeta(run_id="r"))
    await broker.publish("r", LogEvent())

    await until(lambda: running.info().failures)

    assert "plain: handle() must return the cursors it has kept" in str(running.info().last_error)
    await running.stop()


@pytest.mark.parametrize("how", ["cancels itself", "exits"])
async def test_one_that_ends_itself_is_tried_again(how: str) -> None:
    tries = []

    async def handle(self: Plain, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        tries.append(how)
        if len(tries) > 1:
            return await Plain.handle(self, batch)
        if how == "exits":
            sys.exit(3)
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task
        raise AssertionError

    broker = InProcessBroker()
    running = Consumption(plain(handle=handle)(Context(broker, Config())), broker, retry_s=(0.001,))
    await running.start()
    await broker.open_run(RunMeta(run_id="r"))
    await broker.publish("r", LogEvent())

    await asyncio.wait_for(broker.settled(["r"], "plain"), 20)

    assert (running.info().state, running.info().failures) == ("ok", 1)
    await running.stop()


async def test_stopped_while_it_starts_it_does_not_come_up_later() -> None:
    may_start = asyncio.Event()

    async def start(self: Plain) -> Any:
        self.said.append("start")
        await may_start.wait()
        return {}

    broker = InProcessBroker()
    running = Consumption(plain(start=start)(Context(broker, Config())), broker)
    starting = asyncio.create_task(running.start())
    await until(lambda: running.consumer.said)

    await running.stop()
    may_start.set()

    with pytest.raises(BrokerError, match="stopped while it started"):
        await starting
    assert running.info().state == "stopped"
    assert (await broker.stats()).consumers == ()


async def test_counters_that_raise_are_its_own_failure() -> None:
    def stats(self: Plain) -> Counters:
        raise KeyError("mine")

    runtime = Runtime(Config(db=None), consumers=[plain(stats=stats)])
    await runtime.open()

    (info,) = runtime.consumers()

    assert (info.state, info.last_error, info.stats) == ("error", "'mine'", Counters())
    await runtime.aclose()


@pytest.mark.parametrize(
    "make",
    ["text", object, None, Plain(None), plain(name=""), plain(name=3), plain(name="persister"),
     plain(name="dashboard"), plain(polled=True)],  # type: ignore[arg-type]
    ids=["text", "object", "None", "instance", "no name", "number", "store", "screen", "polled"],
)  # fmt: skip
def test_what_makes_no_consumer_is_refused(connections: Connections, make: Any) -> None:
    with pytest.raises(ConsumerError) as raised:
        connect(connections, make)

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "../../escape"])
def test_a_folder_is_a_folder_of_the_consumers(name: str) -> None:
    with pytest.raises(ConsumerError, match="cannot be the name of a folder"):
        Context(InProcessBroker(), Config()).folder(name)


def test_a_connection_takes_its_consumers_with_it(connections: Connections) -> None:
    outer = connect(connections)
    for _ in range(2):
        with connect(connections, Plain) as arena, arena.run("game") as run:
            run.log("hello")
    with pytest.raises(UsageError, match="already"):
        connect(connections, Plain, Plain)

    with connect(connections, Plain):
        pass
    outer.close()


async def test_leaving_an_app_waits_for_the_consumers_that_one_brought() -> None:
    runtime, connections, made = Runtime(Config(db=None)), Connections(), []
    await runtime.open()
    connections.offer(runtime)

    def script() -> None:
        def make(context: Context) -> Plain:
            made.append(Plain(context))
            return made[0]

        with connections.connect(None, None, False, [make]) as arena, arena.run("game") as run:
            for number in range(2_000):
                run.log(str(number))

    await asyncio.to_thread(script)

    assert len(made[0].got) == 2_002
    assert (made[0].said, runtime.consumers()) == (["start", "aclose"], ())
    await runtime.aclose()


async def test_an_app_on_a_server_takes_no_consumers_either(redis_url: str) -> None:
    runtime = Runtime(Config(broker=BrokerUrl(redis_url), db=None))
    connections = Connections()
    connections.offer(runtime)

    with pytest.raises(UsageError, match=r"use arena_tui\.consumer\.run"):
        await asyncio.to_thread(connections.connect, None, None, False, [Plain])
    await runtime.aclose()


async def test_a_runtime_lends_to_other_threads_only_and_not_when_it_is_closed() -> None:
    runtime = Runtime(Config(db=None))
    with pytest.raises(RuntimeError, match="from another thread"):
        runtime.lend([Plain])
    await runtime.aclose()

    with pytest.raises(BrokerError, match="closed"):
        await runtime.consume(Plain)


@pytest.mark.parametrize("program", ["run()", "run(3)", "run(lambda context: None)"])
def test_a_process_of_none_ends_with_one_line(redis_url: str, tmp_path: Path, program: str) -> None:
    script = f"from arena_tui.consumer import run\n{program}\n"

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        env={"ARENA_BROKER": redis_url, "HOME": str(tmp_path)},
    )  # fmt: skip

    assert (done.returncode > 0, done.stderr.count("\n")) == (True, 1)
