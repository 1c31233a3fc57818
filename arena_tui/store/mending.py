"""Opens a store's file: says why it cannot, or mends what a crash or a bad disk left.

What is damaged is moved aside or copied beside, never deleted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import time
from pathlib import Path

import duckdb

from arena_tui.errors import StoreError, StoreLockedError, StoreUnreadableError
from arena_tui.store.schema import CURSORS_VIEW, migrate

_MEMORY = ":memory:"
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,  # a SQLite file would be taken for a wish to download
    "autoload_known_extensions": False,
}
_ENVIRONMENT = re.compile("space left|ermission|ead-only|oo many open|ut of memory", re.IGNORECASE)
_DAMAGE = re.compile("corrupt|replaying|read enough bytes", re.IGNORECASE)
_WAL_DAMAGE = "eplaying WAL"
_COMMIT_IN_WAL = bytes.fromhex("0500000000000000 e7fe7d722fed3d5e 640064ffff")
"""How DuckDB 2.0 ends each transaction in its log: length, checksum, entry."""
_CHECKPOINT_IN_WAL = bytes.fromhex("640063")
"""How the entry begins, after its length and checksum, that a checkpoint adds before its work. One
that failed leaves it behind, and DuckDB cuts it off: no transaction of ours."""
_OWNER = re.compile(r"PID (\d+)")

_log = logging.getLogger(__name__)


def open_store(path: str) -> tuple[duckdb.DuckDBPyConnection, list[str]]:
    """A connection to the store, made, brought up to date or mended as needed; and what was mended.

    Raises:
        StoreLockedError: Another process has it open.
        StoreUnreadableError: It is not a store, or of a newer format. It is left as it is.
        StoreError: It cannot be created or written here.
    """
    if path == _MEMORY:
        return connect(path), []
    try:
        _check_place(Path(path))
        try:
            return _connect_noting_losses(path)
        except duckdb.Error as error:
            if _is_damage(error):
                return _mend(path, error)
            if not _is_empty(Path(path)):
                raise _refusal(path, error) from None
            Path(path).unlink()  # DuckDB makes a file, but does not take an empty one
            return open_store(path)
    except OSError as error:
        raise StoreError(
            f"cannot use {path}: {error.strerror or error}: give another --db, or --no-store"
        ) from None


def connect(path: str) -> duckdb.DuckDBPyConnection:
    """A connection to a store that is whole as far as writing needs: the runs are read once."""
    connection = duckdb.connect(path, config=_CONFIG)
    try:
        migrate(connection)
        connection.execute("SELECT max(COLUMNS(*)) FROM runs").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_noting_losses(path: str) -> tuple[duckdb.DuckDBPyConnection, list[str]]:
    """`connect`, and whether the write-ahead log had transactions behind what DuckDB read of it.

    A log that ends within an entry is what a crash leaves, and DuckDB takes it for that also when
    a bad disk made an entry's length too great. Its first write cuts the log off there.
    """
    wal = Path(path + ".wal")
    whole = wal.read_bytes() if wal.exists() else b""
    connection = connect(path)
    if not whole:
        return connection, []
    with contextlib.suppress(duckdb.OperationalError):  # the disk is full: reading still works
        connection.execute(CURSORS_VIEW)
    cut_off = whole[wal.stat().st_size :] if wal.exists() else b""
    commits = cut_off.count(_COMMIT_IN_WAL)
    if cut_off[16:19] == _CHECKPOINT_IN_WAL:
        commits -= 1
    if commits <= 0:
        return connection, []
    kept = Path(f"{_unused(Path(path))}.wal")
    kept.write_bytes(whole)
    return connection, [_told(
        f"the store's write-ahead log was damaged: its last {len(cut_off):,} bytes could not be "
        f"read; the damaged one is {kept}"
    )]  # fmt: skip


def first_line(error: Exception) -> str:
    """The error in one line."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _check_place(path: Path) -> None:
    """Raise for a place that cannot be written, before anything is made or mended in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise StoreError(f"{path} is a folder: give a file with --db")
    for place in (path, path.parent):
        # Asking, not trying: to close a file of one's own drops DuckDB's lock on it (fcntl(2)).
        if place.exists() and not os.access(place, os.R_OK | os.W_OK):
            raise StoreError(f"cannot write {place}: give another --db, or --no-store")


def _is_empty(path: Path) -> bool:
    return path.exists() and path.stat().st_size == 0


def _is_damage(error: duckdb.Error) -> bool:
    text = str(error)
    if _ENVIRONMENT.search(text) or isinstance(error, duckdb.OutOfMemoryException):
        return False
    internal = (duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException)
    return isinstance(error, internal) or _DAMAGE.search(text) is not None


def _refusal(path: str, error: duckdb.Error) -> StoreError:
    text = str(error)
    if "onflicting lock" in text:
        found = _OWNER.search(text)
        pid = int(found[1]) if found else None
        owner = f"process {pid}" if pid else "another process"
        return StoreLockedError(
            f"the store {path} is open in {owner}: quit that one, give another --db, "
            "or watch live only with --no-store",
            pid,
        )
    if "not a valid DuckDB" in text or "xtension" in text:
        return StoreUnreadableError(f"{path} is not a store: give another --db")
    return StoreError(f"cannot open {path}: {first_line(error)}: give another --db, or --no-store")


def _mend(path: str, error: duckdb.Error) -> tuple[duckdb.DuckDBPyConnection, list[str]]:
    """Open what can be read of a damaged store; what cannot is kept beside it."""
    main, wal = Path(path), Path(path + ".wal")
    aside = _unused(main)
    if _WAL_DAMAGE in str(error) and wal.exists():
        kept = Path(f"{aside}.wal")
        shutil.copy2(wal, kept)
        length = _cut_to_readable(path, wal)
        with contextlib.suppress(duckdb.Error):
            return connect(path), [_told(
                f"the store's write-ahead log was damaged: kept what was whole ({length:,} of "
                f"{kept.stat().st_size:,} bytes); the damaged one is {kept}"
            )]  # fmt: skip
        shutil.copy2(kept, wal)
    for each in (main, wal, Path(path + ".wal.checkpoint"), Path(path + ".wal.recovery")):
        if each.exists():
            shutil.move(each, f"{aside}{each.name.removeprefix(main.name)}")
    return connect(path), [_told(
        f"the store could not be read and was moved to {aside}; a new one was begun "
        f"({first_line(error)[:120]})"
    )]  # fmt: skip


def _cut_to_readable(path: str, wal: Path) -> int:
    """Cut the log down to its longest readable beginning; returns the bytes left, maybe none.

    A log cut short opens at its last whole transaction, so readable lengths are a prefix.
    """
    whole = wal.read_bytes()
    good, bad = 0, len(whole)
    while bad - good > 1:
        length = (good + bad) // 2
        wal.write_bytes(whole[:length])
        if _opens(path):
            good = length
        else:
            bad = length
    wal.write_bytes(whole[:good])
    return good


def _opens(path: str) -> bool:
    """Whether DuckDB can replay the file and its log; reads only, so that nothing is folded in."""
    try:
        duckdb.connect(path, read_only=True, config=_CONFIG).close()
    except duckdb.Error:
        return False
    return True


def _unused(path: Path) -> Path:
    """A name beside `path` that tells when it was found damaged."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    number = 0
    while True:
        name = path.with_name(f"{path.name}.damaged-{stamp}" + (f"-{number}" if number else ""))
        if not (name.exists() or Path(f"{name}.wal").exists()):
            return name
        number += 1


def _told(text: str) -> str:
    _log.error(text)
    return text
