"""The store of a runtime: opens it, fills it, shares it with other processes, closes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from arena_tui.broker.protocol import STORE, BrokerProtocol
from arena_tui.config import Config
from arena_tui.errors import StoreError
from arena_tui.services.consumption import Consumption
from arena_tui.services.running import Running
from arena_tui.services.waits import to_the_end

if TYPE_CHECKING:
    from arena_tui.store.database import Database
    from arena_tui.store.history import History
    from arena_tui.store.owner import Attached
    from arena_tui.store.reading import Store

_PATIENCE_S: Final = 30.0
"""How long a read waits for an owner of the store."""


class Sharing(Protocol):
    """Lets other processes use a store that is open here, from `start` to `aclose`."""

    async def start(self) -> None: ...

    def attached(self) -> Sequence[Attached]:
        """The other processes that use it."""

    def leave(self) -> None:
        """Take nothing more of what others publish: they keep it for the next."""

    async def aclose(self) -> None: ...

    def forsake(self) -> None:
        """Close, in a forked child, what is the parent's."""


class Storing:
    """See the module.

    Args:
        installed: Whether to run the consumers of installed packages, if it is a file.
        read_from: A store to read only, when the config names none to store in.
        elsewhere: Whether another process has it open, and stores into it.
        delay_s: See `Persister`.

    Attributes:
        database, history: Set while it can be read.
    """

    def __init__(
        self, config: Config, broker: BrokerProtocol, running: Running, *, installed: bool,
        read_from: str | None, elsewhere: bool = False, delay_s: float = 0.0,
    ) -> None:  # fmt: skip
        self.database: Store | None = None
        self.history: History | None = None
        self.only_read = read_from is not None
        self.elsewhere = elsewhere
        self._path = read_from or config.db
        self._delay_s = delay_s
        self._broker = broker
        self._running = running
        self._run_installed = installed and self._path != ":memory:" and not self.only_read
        self._installed: list[Consumption[Any]] = []
        self._sharing: Sharing | None = None

    @property
    def may_be_shared(self) -> bool:
        """Whether it is open here, in a file, to be written, and not shared yet."""
        is_file = self.database is not None and self._path != ":memory:"
        return is_file and not (self.only_read or self.elsewhere or self._sharing)

    async def open(self) -> None:
        """Open it, if there is one and it is not open yet.

        Raises:
            StoreError: It cannot be opened.
        """
        if self._path is None or self.database is not None:
            return
        if self.elsewhere:
            from arena_tui.store.history import History
            from arena_tui.store.remote import RemoteDatabase

            self.database = RemoteDatabase(
                self._path, self._broker.warnings, patience_s=_PATIENCE_S
            )
            self.history = History(self.database)
            return
        from arena_tui.consumers.persister import Persister
        from arena_tui.store.database import Database
        from arena_tui.store.history import History

        opening = asyncio.to_thread(
            Database, self._path, self._broker.warnings, only_read=self.only_read
        )
        database = await _finished(opening)
        try:
            if not self.only_read:
                await self._running.consume(
                    lambda context: Persister(
                        database, broker=context.broker.name, delay_s=self._delay_s
                    )
                )
        except BaseException:  # its threads must not be in DuckDB when the interpreter ends
            await to_the_end(database.aclose())
            raise
        self.database, self.history = database, History(database)
        if self._run_installed:
            from arena_tui.services.installed import start_installed

            self._installed = await start_installed(self._running, self._broker.warnings)

    async def share(self, sharing: Sharing) -> None:
        """Begin to share it."""
        self._sharing = sharing
        await sharing.start()

    def attached(self) -> Sequence[Attached]:
        """See `Sharing.attached`."""
        return () if self._sharing is None else self._sharing.attached()

    def leave(self) -> None:
        """See `Sharing.leave`."""
        if self._sharing is not None:
            self._sharing.leave()

    async def stop_sharing(self) -> None:
        if self._sharing is not None:
            await self._sharing.aclose()
            self._sharing = None

    def forsake(self) -> None:
        """See `Sharing.forsake`."""
        if self._sharing is not None:
            self._sharing.forsake()

    async def abandon(self) -> None:
        """Stop what fills it and close it, since there is nothing to store."""
        if self.database is None:
            return
        await self.stop_sharing()
        while self._installed:
            await self._running.drop(self._installed.pop())
        if not (self.only_read or self.elsewhere):
            await self._running.drop(self._running.get(STORE))
        self.history = None  # what draws meanwhile would read on, and fail
        await self.close([])
        self.database = None

    async def close(self, told: list[str]) -> None:
        """Close the file, and add to what is told what became of one that is not in its place."""
        if self.database is None:
            return
        try:
            await self.database.aclose()
        except StoreError as error:
            told.append(str(error))


async def _finished(opening: Coroutine[None, None, Database]) -> Database:
    """Wait for the store to open; if cancelled, close it, since it holds threads and a lock."""
    task = asyncio.create_task(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            (await to_the_end(task)).close()
        raise
