"""Opens, supervises and closes what a process runs: broker, sink, store, persister."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import Limits
from arena_tui.broker.sink import MultiRunBrokerSink
from arena_tui.config import Config
from arena_tui.errors import StoreError

if TYPE_CHECKING:
    from arena_tui.store.database import Database
    from arena_tui.store.history import History
    from arena_tui.store.persister import Persister

__all__ = ["Runtime"]

_RESTART_S = 2.0
_GIVE_UP_S = 10.0

_log = logging.getLogger(__name__)


class Runtime:
    """Everything behind the screen. Make and use it on one loop; `aclose` it at the end.

    Attributes:
        current: The runtime of this process, which `memory:` means; None when there is none.
        broker, sink: There from the start.
        database, history, persister: There once `open_store` returned.
        notices: What the user should know, oldest first.
    """

    current: Runtime | None = None

    def __init__(self, config: Config, limits: Limits | None = None) -> None:
        self.config = config
        self.broker = InProcessBroker(limits)
        self.sink = MultiRunBrokerSink(self.broker)
        self.database: Database | None = None
        self.history: History | None = None
        self.persister: Persister | None = None
        self.notices: list[str] = []
        self._storing: asyncio.Task[None] | None = None
        Runtime.current = self

    async def open_store(self) -> None:
        """Open the configured store and begin to store; nothing to do without one.

        Raises:
            StoreError: It cannot be opened; the broker works on without it.
        """
        if self.config.db is None or self.database is not None:
            return
        from arena_tui.store.database import Database  # noqa: PLC0415 - duckdb takes 100 ms
        from arena_tui.store.history import History  # noqa: PLC0415
        from arena_tui.store.persister import Persister  # noqa: PLC0415

        self.database = await asyncio.to_thread(Database, self.config.db)
        self.notices += self.database.notices
        self.history = History(self.database)
        self.persister = Persister(self.broker, self.database)
        self._storing = asyncio.create_task(self._supervise(self.persister), name="persister")
        await self.persister.started.wait()

    async def aclose(self) -> str | None:
        """End all runs, store all that was published, close. Returns what could not be stored.

        While the store refuses, it is waited for no longer than ten seconds.
        """
        unsaved = None
        try:
            await self._close_sink()
        except TimeoutError:
            unsaved = await self._unsaved()
        await self.broker.aclose()
        if self._storing is not None:
            self._storing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._storing
        if self.database is not None:
            await asyncio.to_thread(self.database.close)
        if Runtime.current is self:
            Runtime.current = None
        return unsaved

    async def _close_sink(self) -> None:
        """Close the sink; time counts only while the store is refusing."""
        closing = asyncio.ensure_future(self.sink.aclose())
        refused_s = 0.0
        while not closing.done():
            await asyncio.wait([closing], timeout=0.1)
            refusing = self.persister is not None and self.persister.counters.state == "error"
            refused_s = refused_s + 0.1 if refusing else 0.0
            if refused_s >= _GIVE_UP_S:
                closing.cancel()
                raise TimeoutError
        await closing

    async def _unsaved(self) -> str:
        stats = await self.broker.stats()
        assert self.persister is not None
        counters = self.persister.counters
        count = stats.published - counters.stored - counters.lost
        return f"{count:,} events could not be stored: {counters.last_error}"

    async def _supervise(self, persister: Persister) -> None:
        while True:
            try:
                await persister.run()
            except StoreError as error:
                persister.fail(error)
            except Exception as error:
                _log.exception("the persister failed and is started again")
                persister.fail(error)
            else:
                return
            await asyncio.sleep(_RESTART_S)
