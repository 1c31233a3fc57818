"""All consumers of a ledger: who waits, who has acked what, who lost what."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from arena_tui.broker.protocol import ConsumerStats, Limits
from arena_tui.broker.stream import RunStream
from arena_tui.broker.subscription import LedgerSubscription
from arena_tui.broker.warnings import Warnings
from arena_tui.broker.window import Window
from arena_tui.events import Gap

__all__ = ["Readers"]


class Readers:
    """The subscriptions of one ledger.

    Attributes:
        sleeping: Those waiting for something to read.
        overflow: Events that any durable consumer lost, each counted once.
    """

    def __init__(
        self, limits: Limits, warnings: Warnings, streams: Mapping[str, RunStream]
    ) -> None:
        self.sleeping: set[LedgerSubscription] = set()
        self.overflow = 0
        self._limits = limits
        self._warnings = warnings
        self._streams = streams
        self._closed = False
        self._all: list[LedgerSubscription] = []
        self._acked = asyncio.Event()

    def add(self, subscription: LedgerSubscription) -> None:
        """One more."""
        self._all.append(subscription)

    def remove(self, subscription: LedgerSubscription) -> None:
        """Count no longer with it; what only it had not acked may be trimmed."""
        if subscription not in self._all:
            return
        self._all.remove(subscription)
        for stream in self._streams.values():
            if subscription in stream.followers:
                stream.followers.remove(subscription)
            if subscription.durable:
                stream.drop_consumer(subscription.name)
                self.settle(stream)
        self._acked.set()

    def of_all_runs(self) -> list[LedgerSubscription]:
        """Those that follow every run, also those to come."""
        return [each for each in self._all if each.position is not None]

    def durable(self) -> list[LedgerSubscription]:
        """Those that ack."""
        return [each for each in self._all if each.durable]

    def stats(self) -> tuple[ConsumerStats, ...]:
        """The counters of each, now."""
        return tuple(each.stats() for each in self._all)

    def wake(self) -> None:
        """Let every sleeping one look again; once a batch, however many events it has."""
        for subscription in self.sleeping:
            subscription.wake()
        self.sleeping.clear()

    def end(self) -> None:
        """The ledger is closed: let go of everybody who waits."""
        self._closed = True
        for subscription in self._all:
            subscription.end()
        self.note_reaped()

    def slide(self, window: Window) -> None:
        """Drop the window's oldest; who has not read them gets a backlog instead."""
        count = window.surplus()
        for subscription in self._all:
            position = subscription.position
            if position is not None and position < window.start + count:
                subscription.fall_behind()
        window.drop(count)

    def on_ack(self, stream: RunStream) -> None:
        """A durable consumer has acked more of the stream."""
        self.settle(stream)
        self._acked.set()

    def settle(self, stream: RunStream) -> None:
        """After an ack, or a durable consumer's coming or going: trim what all have acked."""
        stream.set_alarms(self._limits.capacity)
        if stream.progress:
            log = stream.log
            log.trim_to(min(stream.acked_by_all(), log.last - self._limits.retain))

    def note_reaped(self) -> None:
        """A run is gone: who waits for it need not."""
        self._acked.set()
        self.wake()

    async def settled(self, run_ids: Iterable[str], consumer: str | None = None) -> None:
        """See `BrokerProtocol.settled`."""
        wanted = list(run_ids)
        while not self._closed and any(self.is_owed(run_id, consumer) for run_id in wanted):
            self._acked.clear()
            await self._acked.wait()

    def is_owed(self, run_id: str, consumer: str | None = None) -> bool:
        """Whether some durable consumer, or this one, has yet to ack events of this run."""
        stream = self._streams.get(run_id)
        return stream is not None and any(
            stream.lag(name) for name in stream.progress if consumer in (None, name)
        )

    def lags(self, consumer: str) -> dict[str, int]:
        """See `BrokerProtocol.lags`."""
        return {
            run_id: lag
            for run_id, stream in self._streams.items()
            if consumer in stream.progress and (lag := stream.lag(consumer))
        }

    def warn_high_water(self, stream: RunStream) -> None:
        """Some durable consumer's lag has crossed a mark."""
        capacity = self._limits.capacity
        for name, lag in stream.alarms():
            self._warnings.add(
                f"run {stream.log.run_id}: {lag:,} events not yet acked by {name}, "
                f"{100 * lag // capacity} % of capacity"
            )
        stream.set_alarms(capacity)

    def note_losses(self, stream: RunStream, first: int, last: int) -> None:
        """The only log of these events has let them go: which durable consumer had yet to read
        them?"""
        for subscription in self.durable():
            if count := subscription.unread_in(stream, first, last):
                gap = Gap(stream.log.run_id, stream.log.epoch, last - count + 1, last, "trimmed")
                self._count_overflow(subscription, stream, gap)

    def record_overflow(
        self, subscription: LedgerSubscription, stream: RunStream, gap: Gap
    ) -> None:
        """A durable consumer is handed a gap that nobody could fill: a loss, unless it was gone
        before the consumer came."""
        start = subscription.start
        came_before = not isinstance(start, str) and gap.run_id in start
        had_it = came_before or gap.from_seq >= stream.log.born_at
        if had_it and gap.count and gap.reason != "quarantined":
            self._count_overflow(subscription, stream, gap)

    def _count_overflow(
        self, subscription: LedgerSubscription, stream: RunStream, gap: Gap
    ) -> None:
        if gap.run_id not in subscription.overflowing:
            subscription.overflowing.add(gap.run_id)
            self._warnings.add(f"run {gap.run_id}: overflow, {subscription.name} is losing events")
        subscription.overflow += gap.count
        self.overflow += stream.count_overflow(subscription.name, gap)
