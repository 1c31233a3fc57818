"""All consumers of a ledger: waking them, their acks, and their losses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from arena_tui.broker.let_go import LetGo
from arena_tui.broker.protocol import Limits
from arena_tui.broker.snapshots import Snapshots
from arena_tui.broker.stats import ConsumerStats
from arena_tui.broker.stream import RunStream
from arena_tui.broker.subscription import LedgerSubscription
from arena_tui.broker.warnings import Warnings
from arena_tui.broker.window import Window
from arena_tui.events import Gap


class Readers:
    """The subscriptions of one ledger.

    Attributes:
        sleeping: Subscriptions waiting for something to read.
        overflow: Events that any durable consumer lost, each counted once.
        let_go: Runs held no longer, and who has yet to ack them.
    """

    def __init__(
        self, limits: Limits, warnings: Warnings, streams: Mapping[str, RunStream],
        snapshots: Snapshots,
    ) -> None:  # fmt: skip
        self.sleeping: set[LedgerSubscription] = set()
        self.overflow = 0
        self.let_go = LetGo()
        self._limits = limits
        self._warnings = warnings
        self._streams = streams
        self._snapshots = snapshots
        self._closed = False
        self._all: list[LedgerSubscription] = []
        self.acked = asyncio.Event()

    def add(self, subscription: LedgerSubscription) -> None:
        self._all.append(subscription)

    def remove(self, subscription: LedgerSubscription) -> None:
        """Unregister a subscription; what it alone had not acked becomes trimmable, unless another
        one of its name has taken its place."""
        if subscription not in self._all:
            return
        self._all.remove(subscription)
        if subscription.durable and subscription.name not in [each.name for each in self.durable()]:
            self.drop_consumer(subscription.name)
        for stream in self._streams.values():
            if subscription in stream.followers:
                stream.followers.remove(subscription)
            if subscription.durable:
                self.trim_acked(stream)
        self.acked.set()

    def drop_consumer(self, name: str) -> None:
        """Forget what a durable consumer has acked, and trim nothing yet."""
        for run_id, stream in self._streams.items():
            stream.drop_consumer(name)
            self._snapshots.moved[run_id] = None
        self._snapshots.drop_consumer(name)
        self.let_go.drop_consumer(name)

    def following_all_runs(self) -> list[LedgerSubscription]:
        """Subscriptions to all present and future runs."""
        return [each for each in self._all if each.position is not None]

    def durable(self) -> list[LedgerSubscription]:
        return [each for each in self._all if each.durable]

    def stats(self) -> tuple[ConsumerStats, ...]:
        return tuple(each.stats() for each in self._all)

    def wake(self) -> None:
        """Wake every sleeping subscription; each wakes once, however many events were appended."""
        for subscription in self.sleeping:
            subscription.wake()
        self.sleeping.clear()

    def end(self) -> None:
        """Release every waiter: the ledger is closed."""
        self._closed = True
        for subscription in self._all:
            subscription.end()
        self.on_reaped()

    def slide(self, window: Window) -> None:
        """Evict the window's oldest entries; readers that have yet to read them get a backlog."""
        positions = (each.position for each in self._all if each.position is not None)
        start = window.slide(min(positions, default=window.end))
        self._leave_window_before(start)
        window.drop_before(start)

    def on_ack(self, stream: RunStream, subscription: LedgerSubscription) -> None:
        """Trim the stream and wake `settled` after an ack.

        An overflow of the run is over once no more than half of its log is not acked.
        """
        self.trim_acked(stream)
        self.let_go.on_ack(stream)
        self.acked.set()
        name, run_id = subscription.name, stream.log.run_id
        if 2 * stream.lag(name) <= self._limits.capacity and (
            lost := subscription.losses.end(run_id)
        ):
            self._warnings.add("overflow_over", run_id, name, lost=lost)

    def trim_acked(self, stream: RunStream) -> None:
        """Trim what every durable consumer has acked, and recompute the high-water alarms.

        To be called after an ack, and when a durable consumer is added or removed.
        """
        self._snapshots.moved[stream.log.run_id] = None
        stream.set_alarms(self._limits.capacity)
        if stream.progress:
            acked_by_all = min(each.acked for each in stream.progress.values())
            stream.log.trim_to(min(acked_by_all, stream.log.last - self._limits.retain))

    def on_reaped(self) -> None:
        """Release those who wait for a run that was reaped."""
        self.acked.set()
        self.wake()

    async def settled(self, run_ids: Iterable[str], consumer: str | None = None) -> None:
        wanted = list(run_ids)
        while not self._closed and any(self.has_unacked(run_id, consumer) for run_id in wanted):
            self.acked.clear()
            await self.acked.wait()

    def has_unacked(self, run_id: str, consumer: str | None = None) -> bool:
        """Whether any durable consumer, or this one, has yet to ack events of this run."""
        stream = self._streams.get(run_id)
        return stream is not None and any(
            stream.lag(name) for name in stream.progress if consumer in (None, name)
        )

    def warn_high_water(self, stream: RunStream) -> None:
        """Warn of each durable consumer whose lag has crossed a high-water mark."""
        capacity = self._limits.capacity
        for name, lag in stream.alarms():
            percent = 100 * lag // capacity
            self._warnings.add("high_water", stream.log.run_id, name, lag=lag, percent=percent)
        stream.set_alarms(capacity)

    def record_evictions(self, stream: RunStream, first: int, last: int, window: Window) -> None:
        """Record an overflow for every durable consumer that had yet to read `first..last`, which
        the only log of them has evicted."""
        self._leave_window_before(window.end - len(stream.log))  # nobody reads what was evicted
        for subscription in self._all:
            if subscription.durable and (count := subscription.unread_in(stream, first, last)):
                gap = Gap(stream.log.run_id, stream.log.epoch, last - count + 1, last, "trimmed")
                self._count_overflow(subscription, stream, gap)

    def record_overflow(
        self, subscription: LedgerSubscription, stream: RunStream, gap: Gap
    ) -> None:
        """Count a gap that upstream could not fill as a durable consumer's loss, unless the events
        were gone before it subscribed."""
        came_before = subscription.starting.of(gap.run_id) is not None
        had_it = came_before or gap.from_seq >= stream.log.born_at
        if had_it and gap.count and gap.reason != "quarantined":
            self._count_overflow(subscription, stream, gap)

    def _leave_window_before(self, position: int) -> None:
        """Move what readers have yet to read before this position to their backlogs."""
        for each in self._all:
            if each.position is not None and each.position < position:
                each.fall_behind()

    def _count_overflow(
        self, subscription: LedgerSubscription, stream: RunStream, gap: Gap
    ) -> None:
        if subscription.losses.add(gap):
            self._warnings.add("overflow", gap.run_id, subscription.name)
        self._snapshots.moved[gap.run_id] = None
        self.overflow += stream.count_overflow(subscription.name, gap)
