"""Fixtures shared by all tests: broker backends, a clock that moves only when told."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import settings

from arena_tui.broker.attached.broker import AttachedBroker
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.mirror.broker import MirrorBroker
from arena_tui.broker.protocol import BrokerProtocol, Limits
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.services.http.owner import OwnerServer
from arena_tui.services.runtime import Runtime
from tests.faults.accounts import FULL
from tests.servers import server_binaries

pytest_plugins = [
    "tests.other_user",
    "tests.packages_fixture",
    "tests.redis_fixture",
    "tests.running",
    "tests.store_fixture",
    "tests.tui.terminal",
]

# Neither asserts a time; only the full form draws new examples each time, and more of them.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("full", deadline=None)
settings.load_profile("full" if FULL else "repeatable")

# An app makes so many objects that the usual 700 make a sixth of its test the collector's. Fewer
# than the 10,000 of an app that draws frames, which a test compares with this.
gc.set_threshold(5_000, 10, 10)

MakeBroker: TypeAlias = Callable[..., Awaitable[BrokerProtocol]]
SERVERS = server_binaries() or ["redis"]
BACKENDS = ["memory", "owner", *SERVERS]
"""In process, in the process that has a store open, and on every kind of server of this machine."""


class FakeClock:
    """Seconds since 1970, moving only when told."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def accounts_add_up(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Whatever a test does: no self-check of this process has raised an alarm."""
    yield
    if request.node.get_closest_marker("account_off") is None:
        told = [record.getMessage() for record in caplog.get_records("call")]
        assert [each for each in told if "does not add up" in each] == []


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def arrived(broker: BrokerProtocol) -> None:
    """Return when all that was published can be read."""
    if isinstance(broker, MirrorBroker):
        await asyncio.wait_for(broker.flush(), 20)


@pytest.fixture(params=BACKENDS)
async def make_broker(
    request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[MakeBroker]:
    """Makes brokers of one backend, on one server; another backend is one more parameter."""
    async with making(request.param, request, clock, tmp_path) as make:
        yield make


@asynccontextmanager
async def making(
    backend: str, request: pytest.FixtureRequest, clock: Callable[[], float], folder: Path
) -> AsyncIterator[MakeBroker]:
    """See `make_broker`; closes what was made."""
    brokers: list[BrokerProtocol] = []
    owners: list[tuple[Runtime, OwnerServer]] = []
    store = str(folder / "arena.duckdb")
    url = request.getfixturevalue("redis_url_of")(backend) if backend in SERVERS else ""

    async def make(limits: Limits | None = None, started: bool = True) -> BrokerProtocol:
        broker: BrokerProtocol
        if backend == "memory":
            broker = InProcessBroker(limits, clock)
        elif backend == "owner":
            if not owners:
                runtime = Runtime(Config(db=None), limits)
                await runtime.open()
                owners.append((runtime, OwnerServer(runtime, store)))
                await owners[0][1].start()
            broker = AttachedBroker(store, limits, held=limits, clock=clock)
        else:
            broker = RedisBroker(BrokerUrl(url), limits, held=limits, clock=clock)
        if started:
            await broker.start()
        brokers.append(broker)
        return broker

    yield make
    for broker in brokers:
        await broker.aclose()
    for runtime, server in owners:
        await server.aclose()
        await runtime.aclose()
