"""The figures of one consumer as it runs; they stay when it is stopped."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from arena_tui.broker.protocol import Subscription
from arena_tui.broker.stats import ConsumerStats
from arena_tui.consumers.protocol import Consumer, ConsumerInfo, Counters
from arena_tui.services.health import Health


class ConsumerFigures:
    """Belongs to one `Consumption`.

    Attributes:
        unacked: See `ConsumerInfo`.
    """

    def __init__(self, consumer: Consumer, health: Health) -> None:
        self.unacked = 0
        self._consumer = consumer
        self._health = health
        self._reading = ConsumerStats(name=consumer.name, durable=consumer.durable)
        self._counters = Counters()
        self._kept_before = 0

    def begin(self) -> None:
        """Note what it has kept before it reads from a new subscription."""
        self._count()
        self._kept_before = self._counters.kept or 0

    def note(self, subscription: Subscription | None, unacked: int) -> None:
        """Note what its subscription counts, while it has one."""
        if subscription is not None:
            self._reading, self.unacked = subscription.stats(), unacked

    def info(self, in_hand: int) -> ConsumerInfo:
        """A snapshot, while it has so many events in hand."""
        self._count()
        own, health, kept = self._counters, self._health, self._counters.kept
        read: dict[str, Any] = asdict(self._reading)
        return ConsumerInfo(
            **read, state=health.state, failures=health.failures, last_error=health.last_error,
            unacked=self.unacked, stats=own, group=self._consumer.group, in_hand=in_hand,
            identity=self._consumer.identity or self._consumer.name,
            kept=None if kept is None else kept - self._kept_before,
        )  # fmt: skip

    def _count(self) -> None:
        try:
            self._counters = self._consumer.stats()
        except Exception as error:  # noqa: BLE001 - its own counters are no reason to stop
            if self._health.state == "ok":
                self._health.fail(error)
