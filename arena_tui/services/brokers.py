"""Makes the broker that a runtime's settings ask for. Opens nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import STORE, BrokerProtocol, Limits
from arena_tui.broker.stats import ServerStats
from arena_tui.broker.timing import Timing
from arena_tui.config import Config
from arena_tui.consumers.protocol import ConsumerInfo, Counters


class StandIn(Protocol):
    """Opens the store in this process when no other has it open."""

    async def take_over(self) -> bool:
        """Open and share it, unless that is done; returns whether it is open here."""

    async def aclose(self, within_s: float | None) -> str | None:
        """See `Runtime.aclose`."""

    def place(self) -> str:
        """See `place_of`; empty if the store is not open here."""

    def forsake(self) -> None:
        """See `Runtime.forsake`."""


def make_broker(
    config: Config, limits: Limits | None, reads: bool, timing: Timing | None,
    stand_in: StandIn | None,
) -> BrokerProtocol:  # fmt: skip
    """The broker, yet to be started.

    Args:
        reads: Whether this process reads a shared one, too.
        stand_in: See `Runtime`.
    """
    if stand_in is not None:
        from arena_tui.broker.attached.broker import AttachedBroker

        assert config.db is not None
        return AttachedBroker(
            config.db, limits, reading=reads, timing=timing, take_over=stand_in.take_over
        )
    if config.broker.kind == "memory":
        return InProcessBroker(limits)
    from arena_tui.broker.redis.broker import RedisBroker  # takes 100 ms to import

    return RedisBroker(config.broker, limits, reading=reads, timing=timing)


def server_of(broker: BrokerProtocol) -> Callable[[], Awaitable[ServerStats | None]] | None:
    """Asks the broker's server how it does; None if it has none."""
    return getattr(broker, "server", None)


def stored_elsewhere(broker: BrokerProtocol) -> Callable[[], ConsumerInfo] | None:
    """Gives a snapshot of the store that another process fills from this broker; None if no other
    does."""
    store = getattr(broker, "store", None)
    if store is None:
        return None

    def info() -> ConsumerInfo:
        """What is unstored counts as far as this process holds the runs."""
        told = store()
        lags = {} if told is None else told.unstored
        unacked = sum(lags.values())
        return ConsumerInfo(
            name=STORE, durable=True, published=unacked, unacked=unacked, lag=unacked,
            lag_s=0.0 if told is None else told.lag_s,
            state="starting" if told is None else told.state, failures=0,
            last_error=None if told is None else told.last_error, stats=Counters(),
        )  # fmt: skip

    return info
