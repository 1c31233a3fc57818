"""Fixtures shared by all tests: broker backends, a clock that moves only when told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import BrokerProtocol, Limits

pytest_plugins = ["tests.redis_fixture"]

MakeBroker: TypeAlias = Callable[..., Awaitable[BrokerProtocol]]
BACKENDS = ["memory"]


class FakeClock:
    """Seconds since 1970, moving only when told."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=BACKENDS)
async def make_broker(
    request: pytest.FixtureRequest, clock: FakeClock
) -> AsyncIterator[MakeBroker]:
    """Makes brokers of one backend; another backend is one more parameter."""
    brokers: list[BrokerProtocol] = []

    async def make(limits: Limits | None = None) -> BrokerProtocol:
        assert request.param == "memory"
        broker = InProcessBroker(limits, clock)
        brokers.append(broker)
        return broker

    yield make
    for broker in brokers:
        await broker.aclose()
