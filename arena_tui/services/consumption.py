"""Runs one consumer: its subscription, batches, acks, retries and health.

Knows nothing of what the consumer does, nor of other consumers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar

from msgspec.structs import asdict

from arena_tui.broker.protocol import BrokerProtocol, Subscription
from arena_tui.broker.stats import ConsumerStats
from arena_tui.consumers.checked import checked_acks, checked_start
from arena_tui.consumers.protocol import Consumer, ConsumerInfo, Counters
from arena_tui.errors import ArenaError, BrokerError, ConsumerError
from arena_tui.events import Delivery, Gap
from arena_tui.services.health import Health

RETRY_S: Final = (0.5, 1.0, 2.0, 5.0)
"""Delays between retries, in seconds; the last one repeats."""

_CATCH_UP_MAX: Final = 50_000
"""Most deliveries handled by one `catch_up`; the rest stays in the broker."""

C = TypeVar("C", bound=Consumer)
T = TypeVar("T")


class Consumption(Generic[C]):
    """One consumer running on a broker, from `start` to `stop`.

    Args:
        retry_s: Delays between retries, in seconds; the last one repeats.

    Attributes:
        consumer: What it runs.
        health: Its state and failures.
    """

    def __init__(
        self,
        consumer: C,
        broker: BrokerProtocol,
        *,
        retry_s: Sequence[float] = RETRY_S,
    ) -> None:
        self.consumer = consumer
        self._broker = broker
        self.health = Health(consumer.name, broker.warnings, retry_s)
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        self._catching_up = asyncio.Lock()
        self._in_hand: list[Delivery] = []
        self._reading = ConsumerStats(name=consumer.name, durable=consumer.durable)
        self._unacked = 0
        self._counters = Counters()
        self._kept_before = 0  # by the consumer, before it subscribed
        self._stopping = False

    @property
    def closed(self) -> bool:
        """Whether it was closed by itself, while the others go on."""
        return self.consumer.polled and self.health.state == "stopped"

    def lags(self) -> dict[str, int]:
        """Events that it has yet to ack, or to be delivered if it is not durable, by run."""
        if self.consumer.durable:
            return self._broker.lags(self.consumer.name)
        return {} if self._subscription is None else self._subscription.unread()

    @property
    def unacked(self) -> int:
        """Events published but not acked; once it is stopped, those at that time. 0 of a consumer
        that is not durable."""
        if self._subscription is None or not self.consumer.durable:
            return self._unacked
        return sum(self._broker.lags(self.consumer.name).values())

    def info(self) -> ConsumerInfo:
        """A snapshot; once it is stopped, with the figures of that time."""
        self._note_figures()
        self._note_counters()
        return ConsumerInfo(
            **asdict(self._reading), state=self.health.state, failures=self.health.failures,
            last_error=self.health.last_error, unacked=self._unacked, stats=self._counters,
            group=self.consumer.group, kept=self._kept(),
            in_hand=_event_count(self._in_hand),
        )  # fmt: skip

    async def start(self) -> None:
        """Start the consumer and subscribe: from then on the broker holds events for it.

        Nothing is left open when it fails.

        Raises:
            ArenaError: The consumer cannot start.
            UnknownRunError: The broker does not hold one of the runs.
            UsageError: A durable consumer of that name already exists.
        """
        try:
            await self._begin()
        except Exception as error:
            if isinstance(error, ArenaError):
                raise
            why = str(error) or type(error).__name__
            raise ConsumerError(f"{self.consumer.name} cannot start: {why}") from error
        if not self.consumer.polled:
            self._task = asyncio.create_task(self._run(), name=self.consumer.name)

    def start_soon(self) -> None:
        """Start it in the background, again and again until it starts; not for a polled one."""
        self._task = asyncio.create_task(self._run(begun=False), name=self.consumer.name)

    async def catch_up(self, limit: int = _CATCH_UP_MAX) -> int:
        """Hand a polled consumer its pending deliveries; returns how many it handled.

        Raises:
            Exception: Whatever `handle` raised; the next call retries that batch first.
        """
        async with self._catching_up:
            taken = 0
            while self._subscription is not None and taken < limit:
                self._in_hand = self._in_hand or self._subscription.read_nowait()
                if not self._in_hand:
                    break
                taken += len(self._in_hand)
                try:
                    await self._hand_over(self._in_hand)
                except Exception as error:
                    self.health.fail(error)
                    raise
            return taken

    async def ended(self) -> None:
        """Return when nothing more is delivered: its runs are over, or the broker is closed."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def close(self) -> None:
        """Close the subscription; enough for a polled consumer without `aclose`. Idempotent."""
        self._stopping = True
        self._note_figures()
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
        self.health.state = "stopped"

    async def stop(self) -> None:
        """Stop and close the consumer; a batch in progress counts as not handled. Idempotent.

        A later `start` resumes at the consumer's cursors.
        """
        if self._task is not None:
            self._task.cancel()
            try:
                await asyncio.wait([self._task])
            finally:  # also when its caller waits no longer
                self.close()
            self._task = None
        self.close()
        self._in_hand = []
        await self._close_consumer()

    async def _begin(self) -> None:
        """Start the consumer and subscribe, or leave nothing open."""
        self._stopping = False
        try:
            self._subscription = await self._subscribe()
        except BaseException:
            await self._close_consumer()
            raise
        self.health.recover()

    async def _run(self, begun: bool = True) -> None:
        """Feed the consumer until the subscription ends, retrying whatever fails."""
        if not begun:
            await self._insist(self._begin)
        while True:
            try:
                batch = await self._next_batch()
            except Exception as error:  # noqa: BLE001 - a bug there must not stop it for good
                await self._back_off(error)
                await self._insist(self._restart)
                continue
            if not batch:
                self.health.state = "stopped"
                return
            await self._insist(partial(self._hand_over, batch))

    async def _next_batch(self) -> list[Delivery]:
        """The next batch, by the consumer's size and interval; empty once the subscription ends."""
        subscription, wanted = self._subscription, self.consumer.batch_events
        assert subscription is not None
        self._in_hand = batch = []
        try:
            batch += await anext(subscription)
            async with asyncio.timeout(self.consumer.batch_interval_s):
                while len(batch) < wanted:
                    batch += await anext(subscription)
        except (TimeoutError, StopAsyncIteration):
            pass
        # Without waiting, one that is not durable is given gaps that the broker could fill.
        if len(batch) >= wanted and self.consumer.durable:
            batch += subscription.read_nowait(self.consumer.batch_max - len(batch))
        return batch

    async def _hand_over(self, batch: list[Delivery]) -> None:
        kept = await _uninterrupted(self.consumer.handle(batch))
        if self.consumer.durable and self._subscription is not None:
            self._subscription.ack(checked_acks(self.consumer.name, kept))
        self._in_hand = []
        self.health.handled()

    async def _subscribe(self) -> Subscription:
        """Start the consumer and subscribe, in place of an old subscription after a failure."""
        given = await _uninterrupted(self.consumer.start())
        start = checked_start(self.consumer.name, given)
        if self._stopping:
            raise BrokerError(f"{self.consumer.name} was stopped while it started")
        consumer, replaced = self.consumer, self._subscription
        if replaced is not None and not consumer.durable:
            replaced.close()
        subscription = self._broker.subscribe(
            consumer.name, consumer.runs, start, consumer.durable, consumer.unfinished,
            consumer.identity, replace=replaced is not None,
        )  # fmt: skip
        subscription.batch_max = min(subscription.batch_max, consumer.batch_max)
        self._note_counters()
        self._kept_before = self._counters.kept or 0
        self._in_hand = []
        return subscription

    def _kept(self) -> int | None:
        kept = self._counters.kept
        return None if kept is None else kept - self._kept_before

    def _note_figures(self) -> None:
        if self._subscription is not None:
            self._reading, self._unacked = self._subscription.stats(), self.unacked

    def _note_counters(self) -> None:
        try:
            self._counters = self.consumer.stats()
        except Exception as error:  # noqa: BLE001 - its own counters are no reason to stop
            if self.health.state == "ok":
                self.health.fail(error)

    async def _restart(self) -> None:
        await self._close_consumer()
        self._subscription = await self._subscribe()
        self.health.recover()

    async def _insist(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        while True:
            try:
                return await work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the broker holds the rest
                await self._back_off(error)

    async def _back_off(self, error: Exception) -> None:
        self.health.fail(error, reading=self._subscription is not None)
        await self.health.back_off()

    async def _close_consumer(self) -> None:
        try:
            await _uninterrupted(self.consumer.aclose())
        except Exception as error:  # noqa: BLE001 - the others must be closed, too
            self.health.not_closed(error)


def _event_count(batch: Sequence[Delivery]) -> int:
    """Events of the batch, those in gaps included."""
    return len(batch) + sum([each.count - 1 for each in batch if type(each) is Gap])


async def _uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await the consumer's own code; that it exits or cancels itself is a failure like any."""
    try:
        return await work
    except SystemExit as error:
        raise ConsumerError(f"it exits: {error}") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConsumerError("what it awaits was cancelled") from error
