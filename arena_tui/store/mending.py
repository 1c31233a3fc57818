"""Opens a store's file, and repairs what a crash or a bad disk left.

A damaged file is moved aside or copied first, never deleted.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from pathlib import Path

import duckdb

from arena_tui.broker.warnings import Warnings
from arena_tui.errors import (
    StoreDamagedError,
    StoreError,
    StoreReadOnlyError,
    StoreUnreadableError,
)
from arena_tui.locked import locked
from arena_tui.store.place import MEMORY, alone_in, file_size, locked_by, unused
from arena_tui.store.schema import CURSORS_VIEW, migrate, must_be_viewed, view

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,  # else opening an SQLite file downloads an extension
    "autoload_known_extensions": False,
    "max_vacuum_tasks": 0,  # merging row groups takes 200 MB and more: see `Database.close`
}
_ENVIRONMENT = re.compile("space left|ermission|ead-only|oo many open|ut of memory", re.IGNORECASE)
_DAMAGE = re.compile("corrupt|replaying|read enough bytes", re.IGNORECASE)
_WAL_DAMAGE = "eplaying WAL"
_COMMIT_IN_WAL = bytes.fromhex("0500000000000000 e7fe7d722fed3d5e 640064ffff")
"""The last entry of each transaction in DuckDB 2.0's log: length, checksum, content."""
_CHECKPOINT_IN_WAL = bytes.fromhex("640063")
"""Start of the entry, after length and checksum, that a checkpoint writes first. A failed one
leaves it, and DuckDB cuts it off: it is no transaction of ours."""
_OWNER = re.compile(r"PID (\d+)")
_OPEN_HERE = "different configuration than existing"
"""It is open in this process, or was in the one that this was forked from, to be written."""


def open_store(path: str, warnings: Warnings) -> duckdb.DuckDBPyConnection:
    """Open the store; create, migrate or repair it as needed, and warn of what was repaired.

    The path is one without symbolic links: DuckDB keeps the log beside the file they lead to.

    Raises:
        StoreLockedError, StoreForeignError: Another process has it open; see `locked`.
        StoreReadOnlyError: It may not be written.
        StoreUnreadableError: It is not a store, or its format is newer; it is left unchanged.
        StoreError: It cannot be created here, or is not a regular file.
    """
    if path == MEMORY:
        return connect(path)
    try:
        file_size(path)
        _check_place(Path(path))
        with alone_in(Path(path).parent):
            if (owner := locked_by(path)) is not None:  # whatever lies there may change yet
                raise locked(path, owner)
            return _open_alone(path, warnings)
    except OSError as error:
        raise _unusable(path, error) from None


def _open_alone(path: str, warnings: Warnings) -> duckdb.DuckDBPyConnection:
    size = file_size(path)
    if not size:
        _set_log_aside(path, warnings)
    if size == 0:
        _fill_empty(Path(path))
    try:
        return _connect_noting_losses(path, warnings)
    except duckdb.Error as error:
        if _is_damage(error):
            return _mend(path, error, warnings)
        raise _refusal(path, error) from None


def open_to_read(path: str) -> duckdb.DuckDBPyConnection:
    """Open the store only to read it: nothing is created, moved, repaired or migrated. An empty
    file is a store without runs.

    Raises:
        StoreLockedError, StoreForeignError: Another process has it open; see `locked`.
        StoreDamagedError: It is damaged.
        StoreUnreadableError: It is not a store, or its format is newer.
        StoreError: It does not exist, or is not a regular file.
    """
    try:
        size = file_size(path)
    except OSError as error:
        raise _unusable(path, error) from None
    if size is None:
        raise StoreError(f"no store at {path}: play something first, or", elsewhere=True)
    if size == 0:
        return connect(MEMORY)
    try:
        connection = duckdb.connect(path, read_only=True, config=_CONFIG)
        try:
            if must_be_viewed(connection):
                connection.close()
                connection = duckdb.connect(MEMORY, config=_CONFIG)
                view(connection, path)
            _read_all_runs(connection)
        except BaseException:
            connection.close()
            raise
    except duckdb.Error as error:
        if _is_damage(error):
            raise StoreDamagedError(
                f"the store {path} is damaged ({first_line(error)[:120]}): start arena-tui, which "
                "keeps what can be read, and the damaged file beside it"
            ) from None
        raise _refusal(path, error) from None
    return connection


def connect(path: str) -> duckdb.DuckDBPyConnection:
    """Connect, migrate, and read all runs once, so that damage shows before the first write."""
    connection = duckdb.connect(path, config=_CONFIG)
    try:
        migrate(connection)
        _read_all_runs(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _read_all_runs(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SELECT max(COLUMNS(*)) FROM runs").fetchall()


def _set_log_aside(path: str, warnings: Warnings) -> None:
    """Keep a log whose store is elsewhere: DuckDB deletes it when it creates a file there."""
    wal = Path(path + ".wal")
    if wal.exists():
        kept = f"{unused(Path(path), 'left')}.wal"
        os.rename(wal, kept)
        warnings.add("store_log_left", path=path, kept=kept)


def _fill_empty(path: Path) -> None:
    """Replace an empty file, which DuckDB does not open, by a new store of the same owner and
    permissions."""
    status = path.stat()
    fresh = unused(path, "new")
    connect(str(fresh)).close()
    os.chmod(fresh, stat.S_IMODE(status.st_mode))
    with contextlib.suppress(PermissionError):
        os.chown(fresh, status.st_uid, status.st_gid)
    os.replace(fresh, path)


def _connect_noting_losses(path: str, warnings: Warnings) -> duckdb.DuckDBPyConnection:
    """Connect, and warn of transactions in the write-ahead log that DuckDB did not replay.

    DuckDB takes a log that ends inside an entry for one cut short by a crash, also when a bad disk
    made the entry's length too large. Its first write truncates the log there.
    """
    wal = Path(path + ".wal")
    whole = wal.read_bytes() if wal.exists() else b""
    connection = connect(path)
    if not whole:
        return connection
    with contextlib.suppress(duckdb.OperationalError):  # disk full: reading still works
        connection.execute(CURSORS_VIEW)
    cut_off = whole[wal.stat().st_size :] if wal.exists() else b""
    commits = cut_off.count(_COMMIT_IN_WAL)
    if cut_off[16:19] == _CHECKPOINT_IN_WAL:
        commits -= 1
    if commits <= 0:
        return connection
    kept = Path(f"{unused(Path(path), 'damaged')}.wal")
    kept.write_bytes(whole)
    warnings.add("store_log_cut", bytes=len(cut_off), kept=str(kept))
    return connection


def first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _check_place(path: Path) -> None:
    """Raise if the place is not writable, before anything is created or repaired in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for place in (path, path.parent):
        # `access`, not `open`: closing any descriptor of the file drops DuckDB's lock (fcntl(2)).
        if place.exists() and not os.access(place, os.R_OK | os.W_OK):
            raise StoreReadOnlyError(f"cannot write {place}:", elsewhere=True)


def _is_damage(error: duckdb.Error) -> bool:
    text = str(error)
    if _ENVIRONMENT.search(text) or isinstance(error, duckdb.OutOfMemoryException):
        return False
    internal = (duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException)
    return isinstance(error, internal) or _DAMAGE.search(text) is not None


def _unusable(path: str, error: OSError) -> StoreError:
    why = error.strerror or error
    return StoreError(f"cannot use {path}: {why}:", elsewhere=True)


def _refusal(path: str, error: duckdb.Error) -> StoreError:
    text = str(error)
    if "onflicting lock" in text:
        found = _OWNER.search(text)
        return locked(path, int(found[1]) if found else None)
    if _OPEN_HERE in text:
        return locked(path, os.getpid())
    if "not a valid DuckDB" in text or "xtension" in text:
        return StoreUnreadableError(f"{path} is not a store:", elsewhere=True)
    return StoreError(f"cannot open {path}: {first_line(error)}:", elsewhere=True)


def _mend(path: str, error: duckdb.Error, warnings: Warnings) -> duckdb.DuckDBPyConnection:
    """Open what is readable of a damaged store; the damaged files are kept beside it."""
    main, wal = Path(path), Path(path + ".wal")
    aside, mode = unused(main, "damaged"), stat.S_IMODE(main.stat().st_mode)
    if _WAL_DAMAGE in str(error) and wal.exists():
        kept = Path(f"{aside}.wal")
        shutil.copy2(wal, kept)
        length = _cut_to_readable(path, wal)
        with contextlib.suppress(duckdb.Error):
            connection = connect(path)
            size = kept.stat().st_size
            warnings.add("store_log_mended", whole=length, bytes=size, kept=str(kept))
            return connection
        shutil.copy2(kept, wal)
    for each in (main, wal, Path(path + ".wal.checkpoint"), Path(path + ".wal.recovery")):
        if each.exists():
            shutil.move(each, f"{aside}{each.name.removeprefix(main.name)}")
    connection = connect(path)
    os.chmod(path, mode)
    warnings.add("store_moved", kept=str(aside), why=first_line(error)[:120])
    return connection


def _cut_to_readable(path: str, wal: Path) -> int:
    """Truncate the log to its longest readable prefix; returns its length in bytes, maybe 0.

    A truncated log opens at its last whole transaction, so a binary search finds it.
    """
    whole = wal.read_bytes()
    good, bad = 0, len(whole)
    while bad - good > 1:
        length = (good + bad) // 2
        wal.write_bytes(whole[:length])
        try:  # read-only, so that the log is not checkpointed
            duckdb.connect(path, read_only=True, config=_CONFIG).close()
        except duckdb.Error:
            bad = length
        else:
            good = length
    wal.write_bytes(whole[:good])
    return good
