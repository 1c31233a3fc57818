"""Fixtures shared by all tests: broker backends, a clock that moves only when told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest
from hypothesis import settings

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import BrokerProtocol, Limits
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from tests.servers import server_binaries

pytest_plugins = [
    "tests.other_user",
    "tests.packages_fixture",
    "tests.redis_fixture",
    "tests.running",
    "tests.store_fixture",
    "tests.tui.terminal",
]

# Neither asserts a time; only the full form draws new examples each time.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("full", deadline=None)
settings.load_profile("full" if os.environ.get("ARENA_FULL") else "repeatable")

MakeBroker: TypeAlias = Callable[..., Awaitable[BrokerProtocol]]
BACKENDS = ["memory", *(server_binaries() or ["redis"])]
"""In process, and on every kind of server of this machine."""


class FakeClock:
    """Seconds since 1970, moving only when told."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def arrived(broker: BrokerProtocol) -> None:
    """Return when all that was published can be read."""
    if isinstance(broker, RedisBroker):
        await asyncio.wait_for(broker.flush(), 20)


@pytest.fixture(params=BACKENDS)
async def make_broker(
    request: pytest.FixtureRequest, clock: FakeClock
) -> AsyncIterator[MakeBroker]:
    """Makes brokers of one backend, on one server; another backend is one more parameter."""
    brokers: list[BrokerProtocol] = []
    url = ""
    if request.param != "memory":
        url = request.getfixturevalue("redis_url_of")(request.param)

    async def make(limits: Limits | None = None, started: bool = True) -> BrokerProtocol:
        broker: BrokerProtocol = InProcessBroker(limits, clock)
        if url:
            broker = RedisBroker(BrokerUrl(url), limits, held=limits, clock=clock)
        if started:
            await broker.start()
        brokers.append(broker)
        return broker

    yield make
    for broker in brokers:
        await broker.aclose()
