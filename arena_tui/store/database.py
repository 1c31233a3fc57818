"""Owns the DuckDB file: writes in one thread, reads in a few others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import duckdb

from arena_tui.broker.warnings import Warnings
from arena_tui.errors import StoreError, StoreReadOnlyError
from arena_tui.folds.totals import RunTotals
from arena_tui.store.mending import connect, first_line, open_store, open_to_read
from arena_tui.store.place import MEMORY
from arena_tui.store.threads import DaemonThreads

Connection = duckdb.DuckDBPyConnection
T = TypeVar("T")

_INTERRUPT_S = 0.05
_READERS = 3

_CACHE_MAX: Final = "32MB"
"""Size to which DuckDB's cache is cut down regularly. Its memory limit itself stays high: a
checkpoint that runs out of memory invalidates the whole database, and one vector of the largest
events takes 512 MB."""

_EVICT_EVERY: Final = 16
"""Commits between evictions: one takes 2 ms, and the cache grows by less than 1 MB in between."""


class _Reading:
    """A running read, shared by the loop and its reader thread."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.cancelled = False
        self.ended = threading.Event()


class Database:
    """An open store. `write` runs in the one writer thread, `read` in a few others.

    Attributes:
        path: The file, without symbolic links, or `:memory:`.
        warnings: Takes what was repaired on opening.
        live_totals: Totals of the runs being stored, as stored.
    """

    def __init__(
        self, path: str, warnings: Warnings | None = None, *, only_read: bool = False
    ) -> None:
        """Open or create the file, and repair what a crash left; blocks for some tens of ms.

        A damaged file is moved aside, never deleted. With `only_read` nothing is created or
        repaired, and `write` fails.

        Raises:
            StoreLockedError: Another process has it open.
            StoreReadOnlyError: It may not be written.
            StoreUnreadableError: It is not a store, or is damaged and only to be read.
            StoreError: It cannot be created here, is not a regular file, or does not exist and is
                only to be read.
        """
        self.path = path if path == MEMORY else os.path.realpath(path)
        self.warnings = warnings or Warnings()
        self._only_read = only_read
        opened = open_to_read if only_read and path != MEMORY else open_store
        self._connection = opened(self.path, self.warnings)
        self.live_totals: Mapping[str, RunTotals] = {}
        self._invalid = False
        self._commits = 0
        self._writer = DaemonThreads(1, "store-writer")
        self._under_way: set[_Reading] = set()
        self._may_begin = threading.Lock()
        self._readers = DaemonThreads(_READERS, "store-reader")

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, write-ahead log included; 0 in memory."""
        files = Path(self.path), Path(self.path + ".wal")
        return sum(file.stat().st_size for file in files if file.exists())

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as one transaction in the writer thread.

        Cancelling does not stop a transaction that has begun.

        Raises:
            StoreError: The write failed; the transaction was rolled back.
            duckdb.Error: A value was rejected; the transaction was rolled back.
        """
        return await self._in(self._writer, lambda: self._commit(work))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on its own connection in a reader thread; cancelling interrupts it.

        Raises:
            StoreError: The store is closed, or the read failed.
        """
        reading = _Reading()
        try:
            return await self._in(self._readers, lambda: self._query(work, reading))
        except asyncio.CancelledError:
            self._interrupt(reading, asyncio.get_running_loop())
            raise

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """`read` in the calling thread, for commands without a loop."""
        return self._query(work, _Reading())

    async def aclose(self) -> None:
        """`close` without blocking the loop; if cancelled, the writer thread still closes it."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            self._end()
            with contextlib.suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(ended.set)

        with contextlib.suppress(RuntimeError):
            self._writer.submit(end)
            self._writer.shutdown(wait=False)
            await ended.wait()
            self._writer.shutdown()

    def close(self) -> None:
        """Finish queued work, checkpoint, and release the file. Idempotent."""
        with contextlib.suppress(RuntimeError):
            self._writer.submit(self._end).result()
        self._writer.shutdown()

    def _end(self) -> None:
        for reading in [each for each in self._under_way if each.cancelled]:
            while reading.connection is not None and not reading.ended.wait(_INTERRUPT_S):
                with contextlib.suppress(duckdb.Error):
                    reading.connection.interrupt()
        self._readers.shutdown()
        with contextlib.suppress(duckdb.Error):
            self._connection.close()

    async def _in(self, threads: DaemonThreads, work: Callable[[], T]) -> T:
        try:
            future = threads.submit(work)
        except RuntimeError:
            raise StoreError(f"the store {self.path} is closed") from None
        return await asyncio.wrap_future(future)

    def _query(self, work: Callable[[Connection], T], reading: _Reading) -> T:
        try:
            with self._connection.cursor() as connection:
                reading.connection = connection
                with self._may_begin:
                    self._under_way.add(reading)
                try:
                    if reading.cancelled:
                        raise StoreError("the read was cancelled")
                    return work(connection)
                finally:
                    reading.ended.set()
                    self._under_way.discard(reading)
        except duckdb.Error as error:
            raise StoreError(f"cannot read the store: {first_line(error)}") from error

    def _interrupt(self, reading: _Reading, loop: asyncio.AbstractEventLoop) -> None:
        """Interrupt repeatedly until the read ends: DuckDB ignores it before the query begins."""
        reading.cancelled = True
        if reading.connection is not None and not reading.ended.is_set():
            with contextlib.suppress(duckdb.Error):  # it may just have finished
                reading.connection.interrupt()
            loop.call_later(_INTERRUPT_S, self._interrupt, reading, loop)

    def _commit(self, work: Callable[[Connection], T]) -> T:
        if self._only_read:
            raise StoreReadOnlyError(f"cannot write the store {self.path}: it is open to be read")
        try:
            connection = self._valid_connection()
            connection.begin()
            try:
                result = work(connection)
                connection.commit()
            except BaseException:
                with contextlib.suppress(duckdb.Error):  # a failed commit has rolled back already
                    connection.rollback()
                raise
        except (duckdb.DataError, duckdb.IntegrityError, duckdb.ProgrammingError):
            raise
        except duckdb.Error as error:
            if isinstance(error, duckdb.FatalException | duckdb.ConnectionException):
                self._invalid = True
            raise StoreError(f"cannot write the store: {first_line(error)}") from error
        self._commits += 1
        if self._commits % _EVICT_EVERY == 0:
            self._evict_cache()
        return result

    def _evict_cache(self) -> None:
        """Evict DuckDB's cached blocks, which only lowering its memory limit does.

        Skipped during reads, which might run out of memory under the lowered limit.
        """
        with self._may_begin:
            if self._under_way or self.path == MEMORY:
                return
            with contextlib.suppress(duckdb.OutOfMemoryException):  # the rest is in use
                self._connection.execute(f"SET memory_limit = '{_CACHE_MAX}'")
            self._connection.execute("RESET memory_limit")

    def _valid_connection(self) -> Connection:
        """The connection, reopened after a fatal error: DuckDB refuses all work until then."""
        if self._invalid:
            with contextlib.suppress(duckdb.Error):
                self._connection.close()
            self._connection = connect(self.path)
            self._invalid = False
        return self._connection
