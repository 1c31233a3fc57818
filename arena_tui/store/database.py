"""Owns the DuckDB file: writes in one thread, reads in a few others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import duckdb

from arena_tui.broker.warnings import Warnings
from arena_tui.errors import StoreError, StoreReadOnlyError
from arena_tui.folds.totals import RunTotals
from arena_tui.store.changes import Change, apply
from arena_tui.store.locking import lock_down
from arena_tui.store.mending import connect, first_line, open_store, open_to_read
from arena_tui.store.place import MEMORY, Place
from arena_tui.store.rescue import keep_beside, write_anew
from arena_tui.store.threads import DaemonThreads

Connection = duckdb.DuckDBPyConnection
T = TypeVar("T")

_INTERRUPT_S = 0.05
_READERS = 3

_CACHE_MAX: Final = "16MB"
"""Size to which DuckDB's cache is cut down regularly. Its memory limit itself stays high: a
checkpoint that runs out of memory invalidates the whole database, and one vector of the largest
events takes 512 MB."""

_EVICT_EVERY: Final = 16
"""Commits between evictions: one takes 2 ms, and the cache grows by less than 1 MB in between."""

_LONG_READ_S: Final = 0.1
"""A read that took longer may have filled the cache: of a store that is only read, which has no
commits, it is evicted then."""

_MERGE_AT_CLOSE: Final = "SET max_vacuum_tasks = 1"
"""Lets the last checkpoint merge row groups: every session leaves one, of 256 KiB at least. One
task takes up to 200 MB and a second; as many as there are, 600 MB and some seconds."""


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
            StoreLockedError, StoreForeignError: Another process has it open; see `locked`.
            StoreReadOnlyError: It may not be written.
            StoreUnreadableError: It is not a store, or is damaged and only to be read.
            StoreError: It cannot be created here, is not a regular file, or does not exist and is
                only to be read.
        """
        self.path = path if path == MEMORY else os.path.realpath(path)
        self.warnings = warnings or Warnings()
        self._only_read = only_read
        if only_read and path != MEMORY:
            self._connection = open_to_read(self.path)
        else:
            self._connection = open_store(self.path, self.warnings)
        lock_down(self._connection, self.path)
        self._place = None if only_read or path == MEMORY else Place(self.path)
        self.live_totals: Mapping[str, RunTotals] = {}
        self._invalid = False
        self._commits = 0
        self._writer = DaemonThreads(1, "store-writer")
        self._under_way: set[_Reading] = set()
        self._may_begin = threading.Lock()
        self._readers = DaemonThreads(_READERS, "store-reader")

    @property
    def reads(self) -> int:
        """How many reads are under way."""
        return len(self._under_way)

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, write-ahead log included; 0 in memory."""
        files = Path(self.path), Path(self.path + ".wal")
        return sum(file.stat().st_size for file in files if file.exists())

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as one transaction in the writer thread.

        What was written is in the file at the path: one that is gone meanwhile is written anew,
        with all that it held. Cancelling does not stop a transaction that has begun.

        Raises:
            StoreError: The write failed, and the transaction was rolled back; or another file is
                at the path, and what was written may have to be written again.
            duckdb.Error: A value was rejected; the transaction was rolled back.
        """
        return await self._in(self._writer, lambda: self._commit(work))

    async def change(self, change: Change) -> bool:
        """See `changes.apply`; raises as `write` does."""
        return await self.write(partial(apply, change=change))

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
        failed: list[StoreError] = []

        def end() -> None:
            try:
                self._end()
            except StoreError as error:
                failed.append(error)
            with contextlib.suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(ended.set)

        with contextlib.suppress(RuntimeError):
            self._writer.submit(end)
            self._writer.shutdown(wait=False)
            await ended.wait()
            self._writer.shutdown()
        if failed:
            raise failed[0]

    def close(self) -> None:
        """Finish queued work, checkpoint, and release the file. Idempotent.

        Row groups are merged, which also frees the space of deleted runs, only here, some at a
        time.

        Raises:
            StoreError: The file is gone and cannot be written anew, or another one is at its path:
                the message says where its contents are, or that they are lost.
        """
        try:
            with contextlib.suppress(RuntimeError):
                self._writer.submit(self._end).result()
        finally:
            self._writer.shutdown()

    def _end(self) -> None:
        self._end_reads([each for each in self._under_way if each.cancelled])
        self._readers.shutdown()
        failed: StoreError | None = None
        try:
            self._keep_file()
        except StoreError as error:
            failed = self._keep_contents(error)
        if failed is None and not self._only_read:
            with contextlib.suppress(duckdb.Error):
                self._connection.execute(_MERGE_AT_CLOSE)
            with contextlib.suppress(duckdb.Error):  # the disk is full, say: the log has it all
                self._connection.execute("FORCE CHECKPOINT")
        with contextlib.suppress(duckdb.Error):
            self._connection.close()
        if failed is not None:
            raise failed

    def _end_reads(self, readings: Sequence[_Reading]) -> None:
        for reading in readings:
            while reading.connection is not None and not reading.ended.wait(_INTERRUPT_S):
                with contextlib.suppress(duckdb.Error):
                    reading.connection.interrupt()

    def _keep_file(self) -> None:
        """Write the file anew if it is gone; raises StoreError if that cannot be."""
        place = self._place
        if place is None or place.is_kept():
            return
        if place.is_taken():
            raise StoreError(
                f"the store {self.path} was replaced by another file: move that one away"
            )
        if self._invalid:
            raise StoreError(f"the store {self.path} is gone, and cannot be read any more")
        with self._may_begin:  # all cursors of the old file must be closed for it to be closed
            self._end_reads(list(self._under_way))
            write_anew(self._connection, place)
            with contextlib.suppress(duckdb.Error):
                self._connection.execute("FORCE CHECKPOINT")
            with contextlib.suppress(duckdb.Error):
                self._connection.close()
            self._place, self._invalid = Place(self.path), True  # it is opened by the next access
            self._connection = self._valid_connection()
        self.warnings.add("store_rewritten", path=self.path)

    def _keep_contents(self, why: StoreError) -> StoreError:
        """Write what the open file holds beside the other one; returns what to say of it."""
        assert self._place is not None
        try:
            if self._invalid:
                return StoreError(f"{why}: what this process stored is lost")
            kept = keep_beside(self._connection, self._place)
        except StoreError as error:
            return StoreError(f"{why}: what it held is lost: {error}")
        return StoreError(f"{why}; what it held is in {kept}")

    async def _in(self, threads: DaemonThreads, work: Callable[[], T]) -> T:
        try:
            future = threads.submit(work)
        except RuntimeError:
            raise StoreError(f"the store {self.path} is closed") from None
        return await asyncio.wrap_future(future)

    def _query(self, work: Callable[[Connection], T], reading: _Reading) -> T:
        try:
            with self._may_begin:
                connection = reading.connection = self._connection.cursor()
                self._under_way.add(reading)
            began = time.monotonic()
            try:
                if reading.cancelled:
                    raise StoreError("the read was cancelled")
                return work(connection)
            finally:
                connection.close()
                reading.ended.set()
                self._under_way.discard(reading)
                if self._only_read and time.monotonic() - began >= _LONG_READ_S:
                    self._evict_cache()
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
        self._keep_file()
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
        self._keep_file()
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
            lock_down(self._connection, self.path)
            self._invalid = False
        return self._connection
