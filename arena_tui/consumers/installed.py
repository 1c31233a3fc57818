"""Runs a consumer that an installed package declares, as any other one. Finds none.

What can go wrong before it runs (its import, its factory, its start) goes wrong in `start`, so that
it is told and tried again like every failure of a consumer. To one that keeps cursors, the store
gives what the broker has let go: it is handed every event after them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from arena_tui.broker.protocol import Cursor, Start
from arena_tui.consumers.checked import checked_acks, checked_start, made
from arena_tui.consumers.entry_points import Declared
from arena_tui.consumers.place import FolderLock, folder_of, place_of
from arena_tui.consumers.protocol import Consumer, ConsumerFactory, Context, Counters
from arena_tui.errors import ConsumerError, UnknownRunError
from arena_tui.events import Delivery, Gap
from arena_tui.store.history import History
from arena_tui.store.replay import BEGINNING, RunReplay
from arena_tui.store.threads import DaemonThreads


class InstalledConsumer(Consumer):
    """Stands for the consumer of a package, and becomes it on `start`.

    Args:
        declared: What the package declares.
        context: Of the runtime; the consumer's has folders of its own for each place.
    """

    durable = True

    def __init__(self, declared: Declared, context: Context) -> None:
        self.name = declared.name
        self._declared = declared
        self._place = place_of(context.broker, context.config)
        self._context = context.at(folder_of(self._place))
        self._lock = FolderLock()
        self._consumer: Consumer | None = None
        self._taken: dict[str, Cursor] = {}

    async def start(self) -> Start:
        """Import and make it if that is still to be done; start it, and hand it what is stored
        after its cursors.

        Raises:
            ConsumerBusyError: Another process runs it.
            ConsumerError: It cannot be imported, made or used.
            Exception: It cannot start.
        """
        try:
            self._lock.take(self._context.folder(self.name), self._place)
        except OSError as error:
            raise ConsumerError(f"cannot use its folder: {error}") from error
        if self._consumer is None:
            consumer = made(await self._load(), self._context)
            self._declared.check_name(consumer.name)
            self._consumer = consumer
        start = checked_start(self.name, await self._consumer.start())
        self._take_after(self._consumer)
        self._taken = {}
        self.resumes = self.durable and not isinstance(start, str)
        history = self._context.history
        if isinstance(start, str) or not self.resumes or history is None:
            return start
        return await self._catch_up(self._consumer, dict(start), history)

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        assert self._consumer is not None
        history = self._context.history
        if not self.resumes or history is None or not any(map(_may_be_stored, batch)):
            return await self._consumer.handle(batch)
        acks: dict[str, Cursor] = {}
        by_run: dict[str, list[Delivery]] = {}
        for each in batch:
            by_run.setdefault(each.run_id, []).append(each)
        for run_id, deliveries in by_run.items():
            first = Cursor(deliveries[0].epoch, deliveries[0].first_seq - 1)
            replay = RunReplay(history, run_id, self._taken.get(run_id, first))
            async for news in replay.news(deliveries):
                acks |= checked_acks(self.name, await self._consumer.handle(news))
                self._taken[run_id] = replay.cursor  # not again, should a later one be refused
        self._taken = {}
        return acks

    def stats(self) -> Counters:
        return Counters() if self._consumer is None else self._consumer.stats()

    async def aclose(self) -> None:
        try:
            if self._consumer is not None:
                await self._consumer.aclose()
        finally:
            self._lock.release()

    async def _load(self) -> ConsumerFactory:
        """Import it in a thread that nobody waits for on leaving, should it never return."""
        thread = DaemonThreads(1, "import")
        try:
            return await asyncio.wrap_future(thread.submit(self._declared.load))
        finally:
            thread.shutdown(wait=False)

    def _take_after(self, consumer: Consumer) -> None:
        """Be subscribed as it asks to be."""
        self.durable = consumer.durable
        self.runs = consumer.runs
        self.batch_events = consumer.batch_events
        self.batch_max = consumer.batch_max
        self.batch_interval_s = consumer.batch_interval_s
        self.unfinished = consumer.unfinished
        self.identity = consumer.identity

    async def _catch_up(
        self, consumer: Consumer, kept: dict[str, Cursor], history: History
    ) -> Mapping[str, Cursor]:
        """Hand it what the store has past its cursors; returns how far it is then."""
        for run_id, newest in (await history.cursors(self._context.broker.name)).items():
            at = kept.get(run_id, BEGINNING)
            if newest <= at or (self.runs is not None and run_id not in self.runs):
                continue
            replay = RunReplay(history, run_id, at)
            try:
                await replay.open(None)
            except UnknownRunError:  # deleted since
                continue
            async for window in replay.stored():
                checked_acks(self.name, await consumer.handle(window))
            kept[run_id] = replay.cursor
        return kept


def _may_be_stored(delivery: Delivery) -> bool:
    return isinstance(delivery, Gap) and (delivery.count > 0 or delivery.unknown)
