"""Opens, supervises and closes what a process runs: broker, sink, store, persister."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import Limits
from arena_tui.broker.sink import MultiRunBrokerSink
from arena_tui.config import Config

if TYPE_CHECKING:
    from arena_tui.store.database import Database
    from arena_tui.store.history import History
    from arena_tui.store.persister import Persister

__all__ = ["Runtime"]

_GIVE_UP_S = 10.0
_LOOK_EVERY_S = 0.1


class Runtime:
    """Everything behind the screen. Make and use it on one loop; `aclose` it at the end.

    Args:
        config: The settings in force.
        limits: How much the broker holds.
        shared: Whether `connect()` within this process is to use this runtime.
        give_up_s: On closing, how long a store is waited for that refuses.

    Attributes:
        current: The runtime that `connect()` uses; None: each makes its own.
        broker, sink: There from the start.
        database, history, persister: There once `open_store` returned.
        notices: What the user should know, oldest first.
    """

    current: Runtime | None = None

    def __init__(
        self,
        config: Config,
        limits: Limits | None = None,
        *,
        shared: bool = True,
        give_up_s: float = _GIVE_UP_S,
    ) -> None:
        self.config = config
        self.broker = InProcessBroker(limits)
        self.sink = MultiRunBrokerSink(self.broker)
        self.database: Database | None = None
        self.history: History | None = None
        self.persister: Persister | None = None
        self.notices: list[str] = []
        self._give_up_s = give_up_s
        self._storing: asyncio.Task[None] | None = None
        if shared:
            Runtime.current = self

    async def open_store(self) -> None:
        """Open the configured store and begin to store; nothing to do without one.

        Raises:
            StoreError: It cannot be opened; the broker works on without it.
        """
        if self.config.db is None or self.database is not None:
            return
        from arena_tui.store.database import Database
        from arena_tui.store.history import History
        from arena_tui.store.persister import Persister

        database = await asyncio.to_thread(Database, self.config.db)
        persister = Persister(self.broker, database)
        try:
            await persister.start()
        except BaseException:
            await database.aclose()
            raise
        self.database, self.history, self.persister = database, History(database), persister
        self.notices += database.notices
        self._storing = asyncio.create_task(persister.run(), name="persister")

    async def aclose(self) -> str | None:
        """End all runs, store all that was published, close. Returns what could not be stored.

        While the store refuses, it is waited for no longer than `give_up_s`.
        """
        await self._patiently(self._settle())
        await self.broker.aclose()
        if self._storing is not None:
            self._storing.cancel()
            await asyncio.wait([self._storing])
        if self.database is not None:
            await self.database.aclose()
        if Runtime.current is self:
            Runtime.current = None
        return await self._unsaved()

    async def _settle(self) -> None:
        await self.sink.aclose()
        runs = await self.broker.runs()
        await self.broker.settled(info.meta.run_id for info in runs)

    async def _patiently(self, work: Coroutine[None, None, None]) -> None:
        """Wait for `work`; give it up when the store has been refusing for so long."""
        task = asyncio.create_task(work)
        refused_s = 0.0
        try:
            while not task.done() and refused_s <= self._give_up_s:
                await asyncio.wait([task], timeout=_LOOK_EVERY_S)
                refusing = self.persister is not None and self.persister.counters.state == "error"
                refused_s = refused_s + _LOOK_EVERY_S if refusing else 0.0
        finally:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _unsaved(self) -> str | None:
        if self.persister is None:
            return None
        counters = self.persister.counters
        count = (await self.broker.stats()).published - counters.stored - counters.lost
        if count <= 0:
            return None
        return f"{count:,} events could not be stored: {counters.last_error}"
