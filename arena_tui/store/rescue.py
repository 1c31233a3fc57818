"""Writes an open store's contents to another file, when its own is gone. Decides nothing."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import duckdb

from arena_tui.errors import StoreError
from arena_tui.store.locking import copy_of
from arena_tui.store.mending import first_line
from arena_tui.store.place import Place, put, unused

_ALIAS: Final = "arena_tui_rescued"


def write_anew(connection: duckdb.DuckDBPyConnection, place: Place) -> None:
    """Put a new file with all that the open one holds at the place, which must be free.

    The connection stays with the old file. Its log, which lies beside the new file, is removed by
    a checkpoint: make one, and close it, before the new file is opened.

    Raises:
        StoreError: The file cannot be written, or another one has come there; nothing is left.
    """
    fresh = unused(Path(place.path), "new")
    _copy(connection, fresh, place)
    try:
        put(fresh, place.path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise StoreError(f"cannot write {place.path}: {error.strerror or error}") from None


def keep_beside(connection: duckdb.DuckDBPyConnection, place: Place) -> Path:
    """Write all that the open file holds to a new one beside the place; returns its name.

    Close the connection without a checkpoint then: that would write its log to, or remove, that of
    the file which is there now.

    Raises:
        StoreError: It cannot be written; nothing is left.
    """
    kept = unused(Path(place.path), "kept")
    _copy(connection, kept, place)
    return kept


def _copy(connection: duckdb.DuckDBPyConnection, to: Path, place: Place) -> None:
    copy = Path(copy_of(place.path))
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        rows = connection.execute("SELECT current_database()").fetchall()
        held = rows[0][0].replace('"', '""')
        for suffix in ("", ".wal"):  # of a process that was killed as it copied
            if (left := Path(f"{copy}{suffix}")).exists():
                os.rename(left, f"{unused(Path(place.path), 'left')}{suffix}")
        quoted = str(copy).replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS {_ALIAS}")
        try:
            os.chmod(copy, place.mode)
            connection.execute(f'COPY FROM DATABASE "{held}" TO {_ALIAS}')
            connection.execute(f"CHECKPOINT {_ALIAS}")
        finally:
            connection.execute(f"DETACH {_ALIAS}")
        os.rename(copy, to)
    except (duckdb.Error, OSError) as error:
        for each in (copy, Path(f"{copy}.wal")):
            with contextlib.suppress(OSError):
                os.unlink(each)
        why = error.strerror if isinstance(error, OSError) else None
        raise StoreError(f"cannot write {to}: {why or first_line(error)}") from None
