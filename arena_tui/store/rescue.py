"""Writes an open store's contents to another file, when its own is gone. Decides nothing."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import duckdb

from arena_tui.errors import StoreError
from arena_tui.store.mending import first_line
from arena_tui.store.place import Place, put, unused

_ALIAS: Final = "arena_tui_rescued"


def write_anew(connection: duckdb.DuckDBPyConnection, place: Place) -> None:
    """Put a new file with all that the open one holds at the place, which must be free.

    The connection stays with the old file. Its log, which lies beside the new file, is removed by
    closing it: close it before the new file is opened.

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

    Raises:
        StoreError: It cannot be written; nothing is left.
    """
    kept = unused(Path(place.path), "kept")
    _copy(connection, kept, place)
    # Else closing it would write its log to, or remove, that of the file which is there now.
    connection.execute("PRAGMA disable_checkpoint_on_shutdown")
    return kept


def _copy(connection: duckdb.DuckDBPyConnection, to: Path, place: Place) -> None:
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        rows = connection.execute("SELECT current_database()").fetchall()
        held = rows[0][0].replace('"', '""')
        quoted = str(to).replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS {_ALIAS}")
        try:
            os.chmod(to, place.mode)
            connection.execute(f'COPY FROM DATABASE "{held}" TO {_ALIAS}')
        finally:
            connection.execute(f"DETACH {_ALIAS}")
    except (duckdb.Error, OSError) as error:
        for each in (to, Path(f"{to}.wal")):
            with contextlib.suppress(OSError):
                os.unlink(each)
        why = error.strerror if isinstance(error, OSError) else None
        raise StoreError(f"cannot write {to}: {why or first_line(error)}") from None
