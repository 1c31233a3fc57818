"""Opens, supervises and closes what a process runs: broker, sink, store, persister."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import BrokerProtocol, Limits, Subscription
from arena_tui.broker.timing import Timing
from arena_tui.config import Config
from arena_tui.producers.sink import MultiRunBrokerSink

if TYPE_CHECKING:
    from arena_tui.consumers.persister import Persister
    from arena_tui.store.database import Database
    from arena_tui.store.history import History

__all__ = ["Runtime"]

_GIVE_UP_S = 10.0
_LOOK_EVERY_S = 0.1


class Runtime:
    """Everything behind the screen. Make and use it on one loop; `aclose` it at the end.

    Args:
        config: The settings in force.
        producer: Whether this process only publishes: to a shared broker it then stores nothing
            and reads nothing.
        limits: How much the broker holds.
        shared: Whether `connect()` within this process is to use this runtime.
        give_up_s: On closing, how long a store is waited for that refuses.
        timing: How often a shared broker does what it does in the background.

    Attributes:
        current: The runtime that `connect()` uses; None: each makes its own.
        broker, sink: There from the start.
        database, history, persister: There once `open` returned.
        notices: What the user should know, oldest first.
    """

    current: Runtime | None = None

    def __init__(
        self,
        config: Config,
        limits: Limits | None = None,
        *,
        producer: bool = False,
        shared: bool = True,
        give_up_s: float = _GIVE_UP_S,
        timing: Timing | None = None,
    ) -> None:
        self.config = config
        self.broker = _broker(config, limits, producer, timing)
        self.sink = MultiRunBrokerSink(self.broker)
        self.database: Database | None = None
        self.history: History | None = None
        self.persister: Persister | None = None
        self.notices: list[str] = []
        self._storing_here = config.db is not None and not (producer and self.broker.shared)
        self._started = False
        self._give_up_s = give_up_s
        self._storing: asyncio.Task[None] | None = None
        if shared:
            Runtime.current = self

    async def open(self) -> None:
        """Start the broker, open the configured store, begin to store.

        Raises:
            BrokerError: The broker cannot be reached.
            StoreError: The store cannot be opened; the broker works on without it.
        """
        subscription: Subscription | None = None
        refused: Exception | None = None
        if self._storing_here and self.database is None:
            # First: of a shared broker, closed runs are let go of that nobody is there to store.
            try:
                subscription = await self._open_store()
            except Exception as error:  # noqa: BLE001 - raised once the broker works
                refused = error
        try:
            await self.broker.start()
            self._started = True
        except BaseException:
            if subscription is not None and self.database is not None:
                subscription.close()
                await self.database.aclose()
                self.database = self.history = self.persister = None
            raise
        if refused is not None:
            raise refused
        if subscription is not None and self.persister is not None:
            self._storing = asyncio.create_task(self.persister.run(), name="persister")

    async def _open_store(self) -> Subscription:
        assert self.config.db is not None
        from arena_tui.consumers.persister import Persister
        from arena_tui.store.database import Database
        from arena_tui.store.history import History

        database = await _finished(asyncio.to_thread(Database, self.config.db))
        persister = Persister(self.broker, database)
        try:
            subscription = await persister.start()
        except BaseException:
            await database.aclose()
            raise
        self.database, self.history, self.persister = database, History(database), persister
        self.notices += database.notices
        return subscription

    async def aclose(self) -> str | None:
        """End this process's runs, store all that was published, close. Returns what was lost.

        While the store or the server refuses, it is waited for no longer than `give_up_s`. What
        other processes have published to a shared broker stays there for the next time.
        """
        if self._started or not self.broker.shared:  # what was never reached is not waited for
            await self._patiently(self._settle())
        stats = await self.broker.stats()
        unsent = stats.unsent + self.sink.stats().queued
        await self.broker.aclose()
        if self._storing is not None:
            self._storing.cancel()
            await asyncio.wait([self._storing])
        if self.database is not None:
            await self.database.aclose()
        if Runtime.current is self:
            Runtime.current = None
        if unsent:
            return f"{unsent:,} events could not be published: {stats.link or 'the broker refused'}"
        return await self._unsaved()

    async def _settle(self) -> None:
        await self.sink.aclose()
        if not self.broker.shared:
            runs = await self.broker.runs()
            await self.broker.settled(info.meta.run_id for info in runs)

    async def _patiently(self, work: Coroutine[None, None, None]) -> None:
        """Wait for `work`; give it up when the store or the server has refused for so long."""
        task = asyncio.create_task(work)
        refused_s = 0.0
        try:
            while not task.done() and refused_s <= self._give_up_s:
                await asyncio.wait([task], timeout=_LOOK_EVERY_S)
                refusing = (await self.broker.stats()).link is not None or (
                    self.persister is not None and self.persister.counters.state == "error"
                )
                refused_s = refused_s + _LOOK_EVERY_S if refusing else 0.0
        finally:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _unsaved(self) -> str | None:
        if self.persister is None or self.broker.shared:
            return None
        counters = self.persister.counters
        count = (await self.broker.stats()).published - counters.stored - counters.lost
        if count <= 0:
            return None
        return f"{count:,} events could not be stored: {counters.last_error}"


async def _finished(opening: Coroutine[None, None, Database]) -> Database:
    """The store; one that is not wanted any more by then is closed: it has threads, and a lock."""
    task = asyncio.create_task(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if task.exception() is None:
            task.result().close()
        raise


def _broker(
    config: Config, limits: Limits | None, producer: bool, timing: Timing | None
) -> BrokerProtocol:
    if config.broker.kind == "memory":
        return InProcessBroker(limits)
    from arena_tui.broker.redis.broker import RedisBroker  # takes 100 ms to import

    return RedisBroker(
        config.broker, limits, store=_store_name(config.db), reading=not producer, timing=timing
    )


def _store_name(db: str | None) -> str | None:
    """What other processes call this store; None for one that does not outlive the process."""
    if db is None or db == ":memory:":
        return None
    return f"{socket.gethostname()}:{os.path.realpath(db)}"
