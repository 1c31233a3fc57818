"""An installed consumer has every event, and whatever is wrong with it stops nothing else."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from arena_tui.broker.protocol import Limits
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.consumers.protocol import ConsumerInfo
from arena_tui.events import LogEvent
from arena_tui.services.runtime import Runtime
from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from tests.packages_fixture import WITNESS, Declare
from tests.waiting import until

EVENTS = 40

FAULTS = {
    "it cannot be imported": "import no_such_module",
    "its module exits": "raise SystemExit('bye')",
    "its factory raises": "def Factory(context): raise KeyError('mine')",
    "it makes no consumer": "def Factory(context): return 3",
    "it has another name": WITNESS.replace('"witness"', '"another"'),
    "its start raises": WITNESS + "    async def start(self): raise OSError('no')\n",
    "its start exits": WITNESS + "    async def start(self): raise SystemExit(3)\n",
    "its start gives nothing": WITNESS + "    async def start(self): pass\n",
    "its cursors cannot be kept": WITNESS
    + "    def __init__(self, context):\n"
    + "        super().__init__(context)\n"
    + "        (context.folder(self.name) / 'cursors.sqlite').mkdir(exist_ok=True)\n",
}
"""A module for each."""

HANGING_START = (
    "import asyncio\n" + WITNESS + "    async def start(self): await asyncio.Event().wait()\n"
)
HANGING_IMPORT = "import threading\nthreading.Event().wait()\n"

FAILING = """
from arena_tui.consumer import SimpleConsumer

GOT = []
LEFT = [3]

class Factory(SimpleConsumer):
    name = "failing"

    async def process(self, batch):
        if LEFT[0]:
            LEFT[0] -= 1
            raise OSError("not now")
        GOT.extend((each.run_id, each.first_seq, each.last_seq) for each in batch)
"""
"""Refuses as many batches as `LEFT` says."""

HELD = """
import asyncio
from arena_tui.consumer import SimpleConsumer

GOT = []
OPEN = asyncio.Event()

class Factory(SimpleConsumer):
    name = "held"
    batch_events = 10

    async def process(self, batch):
        await OPEN.wait()
        GOT.extend((each.run_id, each.first_seq, each.last_seq) for each in batch)
"""
"""Hangs in its work until `OPEN` is set."""

EXACT = """
import json
from arena_tui.consumer import Consumer, Cursor

GOT = []

class Factory(Consumer):
    name = "exact"
    durable = True

    def __init__(self, context):
        self.path = context.folder(self.name) / "kept.json"

    async def start(self):
        kept = json.loads(self.path.read_text()) if self.path.exists() else {}
        return {run_id: Cursor(*at) for run_id, at in kept.items()}

    async def handle(self, batch):
        GOT.extend((each.run_id, each.first_seq, each.last_seq) for each in batch)
        return {each.run_id: Cursor(each.epoch, each.last_seq) for each in batch}
"""
"""Keeps its cursors itself; here it has none yet."""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(db=str(tmp_path / "arena.duckdb"))


def told(runtime: Runtime, consumer: str) -> list[tuple[str, str]]:
    """Code and words of what was warned of this consumer."""
    newest = runtime.broker.warnings.newest()
    return [(each.code, str(each)) for each in newest if each.consumer == consumer]


def info(runtime: Runtime, name: str) -> ConsumerInfo:
    return next(each for each in runtime.consumers() if each.name == name)


def got(module: str) -> list[Any]:
    return sys.modules[module].GOT  # type: ignore[no-any-return]


def seqs(module: str, run_id: str) -> list[int]:
    """The events of this run in the order in which it was handed them, gaps spread out."""
    return [
        seq for run, first, last in got(module) for seq in range(first, last + 1) if run == run_id
    ]


def play(runtime: Runtime, run_id: str, events: int = EVENTS) -> None:
    """A run of so many events, its start and its end included."""
    with runtime.sink.run("game", run_id=run_id) as run:
        for number in range(events - 2):
            run.log(str(number))


def stored(config: Config) -> dict[str, int]:
    database = Database(str(config.db))
    found = {each.run_id: each.events for each in database.read_now(read_runs)}
    database.close()
    return found


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_one_that_cannot_start_is_told_once_and_stops_nobody(
    declare: Declare, config: Config, fault: str
) -> None:
    failing = "witness"
    declare(failing, fault, package="bad")
    module = declare("exact", EXACT)
    runtime = Runtime(config, installed=True)
    await runtime.open()

    play(runtime, "run")
    await until(lambda: info(runtime, failing).failures > 1)

    assert (info(runtime, failing).state, info(runtime, "exact").state) == ("error", "ok")
    ((code, words),) = told(runtime, failing)
    assert code == "consumer_not_started"
    assert words.startswith("witness cannot start: ")
    assert words.endswith("; it is tried again")
    assert "\n" not in words
    assert runtime.broker.warnings.counts() == {"consumer_not_started": 1}
    assert await runtime.aclose() is None
    assert seqs(module, "run") == [*range(1, EVENTS + 1)]
    assert stored(config) == {"run": EVENTS}


@pytest.mark.parametrize("source", [HANGING_START, HANGING_IMPORT], ids=["start", "import"])
async def test_one_that_never_starts_keeps_nobody_from_starting_or_leaving(
    declare: Declare, config: Config, source: str
) -> None:
    declare("witness", source)
    module = declare("exact", EXACT)
    runtime = Runtime(config, installed=True)
    await runtime.open()
    play(runtime, "run")

    assert await runtime.aclose() is None

    assert seqs(module, "run") == [*range(1, EVENTS + 1)]
    assert stored(config) == {"run": EVENTS}


async def test_those_whose_name_cannot_be_are_left_out_and_told_once(
    declare: Declare, config: Config
) -> None:
    declare("persister", WITNESS, package="shadow")
    declare("witness", WITNESS, package="one")
    declare("witness", WITNESS, package="two")
    runtime = Runtime(config, installed=True)
    await runtime.open()

    assert runtime.broker.warnings.counts() == {"consumer_left_out": 2}
    assert [each.name for each in runtime.consumers()] == ["persister", "witness"]
    assert told(runtime, "witness")[0][1].startswith("the installed consumer witness is left out")
    assert await runtime.aclose() is None


async def test_one_that_fails_for_a_while_is_told_once_and_has_everything(
    declare: Declare, config: Config
) -> None:
    module = declare("failing", FAILING)
    runtime = Runtime(config, installed=True)
    await runtime.open()

    play(runtime, "run")
    await until(lambda: len(seqs(module, "run")) == EVENTS)
    await until(lambda: info(runtime, "failing").unacked == 0)

    assert [code for code, _ in told(runtime, "failing")] == [
        "consumer_failed",
        "consumer_restored",
    ]
    assert (info(runtime, "failing").state, info(runtime, "failing").failures) == ("ok", 3)
    assert await runtime.aclose() is None
    assert seqs(module, "run") == [*range(1, EVENTS + 1)]


async def test_what_it_could_not_take_before_leaving_comes_from_the_store(
    declare: Declare, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    module = declare("failing", FAILING.replace("[3]", "[1_000]"))
    for run_id, told_as in (("one", "consumer_failed"), ("two", "consumer_not_started")):
        runtime = Runtime(config, installed=True)
        await runtime.open()
        play(runtime, run_id)
        await until(lambda: info(runtime, "failing").failures)  # noqa: B023
        assert await runtime.aclose() is None
        assert runtime.broker.warnings.counts() == {told_as: 1}
    assert "given up" not in caplog.text  # nobody waited for it
    sys.modules[module].LEFT[0] = 0
    runtime = Runtime(config, installed=True)
    await runtime.open()

    play(runtime, "three")
    assert await runtime.aclose() is None

    assert {run: seqs(module, run) for run in ("one", "two", "three")} == {
        run: [*range(1, EVENTS + 1)] for run in ("one", "two", "three")
    }


async def test_one_that_hangs_in_its_work_delays_leaving_no_longer_than_that_may_take(
    declare: Declare, config: Config
) -> None:
    module = declare("held", HELD)
    runtime = Runtime(config, installed=True, give_up_s=0.3)
    await runtime.open()
    play(runtime, "run")
    await runtime.sink.flush()
    await asyncio.wait_for(runtime.broker.settled(["run"], "persister"), 20)

    assert await runtime.aclose() is None

    assert stored(config) == {"run": EVENTS}
    runtime = Runtime(config, installed=True)
    sys.modules[module].OPEN.set()
    await runtime.open()
    await until(lambda: len(seqs(module, "run")) == EVENTS)
    assert await runtime.aclose() is None
    assert seqs(module, "run") == [*range(1, EVENTS + 1)]


async def test_what_the_broker_has_let_go_meanwhile_comes_from_the_store(
    declare: Declare, config: Config
) -> None:
    module = declare("held", HELD)
    runtime = Runtime(config, Limits(capacity=100, retain=10), installed=True)
    await runtime.open()
    for _ in range(6):
        for _ in range(80):
            runtime.sink.emit("run", LogEvent())
        await runtime.sink.flush()
        await asyncio.wait_for(runtime.broker.settled(["run"], "persister"), 20)
    overflow = info(runtime, "held").overflow

    sys.modules[module].OPEN.set()
    await until(lambda: len(seqs(module, "run")) == 480)

    assert overflow > 300
    assert await runtime.aclose() is None
    assert seqs(module, "run") == [*range(1, 482)]  # and run_end
    assert all(first == last for _, first, last in got(module))  # events, and no gap


async def test_a_simple_one_begins_after_what_is_stored_and_one_with_cursors_at_them(
    declare: Declare, config: Config
) -> None:
    runtime = Runtime(config)
    await runtime.open()
    play(runtime, "before")
    await runtime.aclose()
    simple, exact = declare("witness", WITNESS), declare("exact", EXACT)

    runtime = Runtime(config, installed=True)
    await runtime.open()
    play(runtime, "after")
    assert await runtime.aclose() is None

    all_of_it = [*range(1, EVENTS + 1)]
    assert (seqs(simple, "before"), seqs(simple, "after")) == ([], all_of_it)
    assert (seqs(exact, "before"), seqs(exact, "after")) == (all_of_it, all_of_it)


async def test_of_two_processes_on_a_server_one_runs_it_and_the_other_takes_over(
    declare: Declare, tmp_path: Path, redis_url: str
) -> None:
    module = declare("witness", WITNESS)
    first, second = [
        Runtime(Config(broker=BrokerUrl(redis_url), db=str(tmp_path / name)), installed=True)
        for name in ("first.duckdb", "second.duckdb")
    ]
    producer = Runtime(Config(broker=BrokerUrl(redis_url), db=None), producer=True)
    for each in (first, second, producer):
        await each.open()
    play(producer, "one")
    await until(lambda: info(first, "witness").delivered == EVENTS)
    await until(lambda: info(first, "witness").unacked == 0)
    waiting = told(second, "witness")

    await first.aclose()
    play(producer, "two")
    await until(lambda: len(seqs(module, "two")) == EVENTS)

    ((code, words),) = waiting
    assert code == "consumer_elsewhere"
    assert words.startswith("witness runs in process ")
    assert seqs(module, "one") == seqs(module, "two") == [*range(1, EVENTS + 1)]
    await second.aclose()
    await producer.aclose()


@pytest.mark.parametrize(
    ("db", "installed"), [(None, True), (":memory:", True), ("arena.duckdb", False)]
)
async def test_it_runs_only_where_a_store_is_kept(
    declare: Declare, tmp_path: Path, db: str | None, installed: bool
) -> None:
    declare("witness", WITNESS)
    path = str(tmp_path / db) if db == "arena.duckdb" else db
    runtime = Runtime(Config(db=path), installed=installed)

    await runtime.open()

    assert "witness" not in [each.name for each in runtime.consumers()]
    assert not (tmp_path / "data").exists()
    await runtime.aclose()
