"""The one owner of the DuckDB file: opens, mends, writes in one thread, reads in others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import duckdb

from arena_tui.errors import StoreError, StoreLockedError, StoreUnreadableError
from arena_tui.store.schema import migrate

__all__ = ["Connection", "Database"]

Connection = duckdb.DuckDBPyConnection
T = TypeVar("T")

_READERS = 3
_MAGIC = b"DUCK"
_MAGIC_OFFSET = 8  # https://duckdb.org/docs/stable/internals/storage

_log = logging.getLogger(__name__)


class Database:
    """An open store. `write` runs in the one writer thread, `read` in a few others.

    Attributes:
        path: The file, or `:memory:`.
        notices: What had to be mended on opening, in words for the user.
    """

    def __init__(self, path: str) -> None:
        """Open or create the file, and mend what a crash left.

        Blocking: a few tens of ms. A damaged file is moved aside, never deleted.

        Raises:
            StoreLockedError: Another process has it open.
            StoreUnreadableError: It is not a store.
            StoreError: It cannot be created or written here.
        """
        self.path = path
        self.notices: list[str] = []
        self._connection = self._open()
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._readers = ThreadPoolExecutor(_READERS, "store-reader")

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, write-ahead log included; 0 in memory."""
        return sum(
            file.stat().st_size
            for file in (Path(self.path), Path(self.path + ".wal"))
            if self.path != ":memory:" and file.exists()
        )

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as one transaction in the writer thread: all of it is on disk, or nothing.

        Raises:
            StoreError: The disk or the file refused; the transaction is undone.
        """
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._commit, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a connection of its own in a reader thread; cancelling interrupts it."""
        connection = self._connection.cursor()

        def run() -> T:
            with connection:
                return work(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, run)
        except asyncio.CancelledError:
            connection.interrupt()
            raise
        except duckdb.Error as error:
            raise StoreError(f"cannot read the store: {_first_line(error)}") from error

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """`read` for commands without a loop."""
        with self._connection.cursor() as connection:
            return work(connection)

    def close(self) -> None:
        """Finish what is queued, fold the write-ahead log in, release the file. Idempotent."""
        self._writer.shutdown(wait=True)
        self._readers.shutdown(wait=True, cancel_futures=True)
        with contextlib.suppress(duckdb.Error):
            self._connection.close()

    def _commit(self, work: Callable[[Connection], T]) -> T:
        connection = self._connection
        try:
            connection.begin()
            result = work(connection)
            connection.commit()
        except duckdb.Error as error:
            with contextlib.suppress(duckdb.Error):
                connection.rollback()
            if isinstance(error, duckdb.FatalException):
                self._reopen()
            if isinstance(error, duckdb.DataError):
                raise
            raise StoreError(f"cannot write the store: {_first_line(error)}") from error
        except BaseException:
            connection.rollback()
            raise
        return result

    def _reopen(self) -> None:
        """After a fatal error DuckDB answers nothing more until the file is opened again."""
        with contextlib.suppress(duckdb.Error):
            self._connection.close()
        self._connection = duckdb.connect(self.path)

    def _open(self) -> Connection:
        if self.path != ":memory:":
            self._check_place()
        try:
            connection = duckdb.connect(self.path)
        except duckdb.Error as error:
            connection = self._open_despite(error)
        try:
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_place(self) -> None:
        path = Path(self.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot create {path.parent}: {error.strerror}: give another --db") from None
        if path.is_dir():
            raise StoreError(f"{path} is a folder: give a file with --db")
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            raise StoreError(f"cannot write {path}: give another --db, or --no-store")
        if not path.exists() and not os.access(path.parent, os.W_OK):
            raise StoreError(f"cannot write in {path.parent}: give another --db, or --no-store")

    def _open_despite(self, error: duckdb.Error) -> Connection:
        text = str(error)
        if "lock" in text and "onflicting" in text:
            found = re.search(r"PID (\d+)", text)
            pid = int(found[1]) if found else None
            owner = f"process {pid}" if pid else "another process"
            raise StoreLockedError(
                f"the store {self.path} is open in {owner}: quit that one, give another --db, "
                "or watch live only with --no-store", pid,
            ) from None  # fmt: skip
        path = Path(self.path)
        if not path.exists():
            raise StoreError(f"cannot create {path}: {_first_line(error)}: give another --db") from None
        if path.stat().st_size and not _is_duckdb(path):
            raise StoreUnreadableError(f"{path} is not a store: give another --db") from None
        if "disk" in text.lower() and "space" in text.lower():
            raise StoreError(f"no space left for {path}: make room, or give another --db") from None
        return self._mend(path, text)

    def _mend(self, path: Path, text: str) -> Connection:
        """Open what can be read of a damaged store; what cannot is kept beside it."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        wal = Path(self.path + ".wal")
        if wal.exists():
            kept = wal.with_name(f"{wal.name}.damaged-{stamp}")
            shutil.copy2(wal, kept)
            if self._truncate_wal(wal):
                self._notice(
                    f"the store's write-ahead log was damaged: kept what was whole "
                    f"({wal.stat().st_size:,} of {kept.stat().st_size:,} bytes); "
                    f"the damaged one is {kept}"
                )
                return duckdb.connect(self.path)
            kept.unlink()
        aside = path.with_name(f"{path.name}.damaged-{stamp}")
        path.rename(aside)
        if wal.exists():
            wal.rename(aside.with_name(aside.name + ".wal"))
        self._notice(
            f"the store could not be read and was moved to {aside}; a new one was begun ({text[:120]})"
        )
        return duckdb.connect(self.path)

    def _truncate_wal(self, wal: Path) -> bool:
        """Cut the log down to its longest readable beginning; False when not even none helps.

        A log cut short opens at its last whole transaction, so readable lengths are a prefix.
        """
        good, bad = 0, wal.stat().st_size
        whole = wal.read_bytes()
        while bad - good > 1:
            length = (good + bad) // 2
            wal.write_bytes(whole[:length])
            if _opens(self.path):
                good = length
            else:
                bad = length
        wal.write_bytes(whole[:good])
        if good == 0:
            wal.unlink()
        return _opens(self.path)

    def _notice(self, text: str) -> None:
        _log.error(text)
        self.notices.append(text)


def _opens(path: str) -> bool:
    """Whether DuckDB can replay the file and its log; reads only, so that nothing is folded in."""
    try:
        duckdb.connect(path, read_only=True).close()
    except duckdb.Error:
        return False
    return True


def _is_duckdb(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_MAGIC_OFFSET + len(_MAGIC))[_MAGIC_OFFSET:] == _MAGIC


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
