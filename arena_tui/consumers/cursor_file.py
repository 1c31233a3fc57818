"""Cursors of one consumer in an SQLite file: kept when `write` returns, whatever crashes then.

Each method is called in one and the same thread. Decides nothing of what is read or handled.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from arena_tui.broker.protocol import Cursor

CURSOR_FILE: Final = "cursors.sqlite"

_VERSION: Final = 1
_CREATE: Final = (
    "CREATE TABLE cursors (run_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, "
    "seq INTEGER NOT NULL, is_over INTEGER NOT NULL) WITHOUT ROWID"
)
_UPSERT: Final = (
    "INSERT INTO cursors AS kept VALUES (?, ?, ?, ?) ON CONFLICT (run_id) DO UPDATE "
    "SET epoch = excluded.epoch, seq = excluded.seq, is_over = excluded.is_over "
    "WHERE (excluded.epoch, excluded.seq) >= (kept.epoch, kept.seq)"
)


class CursorFile:
    """One open file; `close` it.

    Attributes:
        is_new: Whether nothing was ever kept in it.

    Raises:
        OSError: It cannot be opened, or is something else.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._connection = sqlite3.connect(path)
            try:
                (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.Error as error:
            raise _refused(path, error) from error
        self._path = path
        self.is_new = not version

    def begin(self, cursors: Mapping[str, Cursor]) -> None:
        """Keep the first cursors, of runs that are taken for over; there may be none."""
        with self._transaction():
            self._connection.execute(_CREATE)
            self._connection.execute(f"PRAGMA user_version = {_VERSION}")
            self._upsert(cursors, cursors)
        self.is_new = False

    def read(self) -> dict[str, Cursor]:
        rows = self._connection.execute("SELECT run_id, epoch, seq FROM cursors")
        return {run_id: Cursor(epoch, seq) for run_id, epoch, seq in rows}

    def unfinished(self) -> list[str]:
        """The runs that have yet to end."""
        rows = self._connection.execute("SELECT run_id FROM cursors WHERE NOT is_over")
        return [run_id for (run_id,) in rows]

    def write(self, cursors: Mapping[str, Cursor], over: Collection[str]) -> None:
        """Keep these cursors, none of which goes back; `over` are those of them that have ended."""
        with self._transaction():
            self._upsert(cursors, over)

    def close(self) -> None:
        self._connection.close()

    def _upsert(self, cursors: Mapping[str, Cursor], over: Collection[str]) -> None:
        self._connection.executemany(
            _UPSERT, [(run_id, *at, run_id in over) for run_id, at in cursors.items()]
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            raise _refused(self._path, error) from error


class CursorsSeen(NamedTuple):
    """How far the cursors of a file are.

    Attributes:
        runs: How many have a cursor.
        unfinished: How many of these have yet to end.
        kept_at: When one was kept last.
    """

    runs: int
    unfinished: int
    kept_at: datetime


def look_at(path: Path) -> CursorsSeen | None:
    """See `CursorsSeen`; None when there is no file of cursors. Changes nothing."""
    try:
        kept_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as found:
            counts = found.execute(
                "SELECT count(*), count(*) FILTER (WHERE NOT is_over) FROM cursors"
            )
            runs, unfinished = counts.fetchone()
    except (OSError, sqlite3.Error):
        return None
    return CursorsSeen(runs, unfinished, kept_at)


def _refused(path: Path, error: sqlite3.Error) -> OSError:
    return OSError(f"cannot keep cursors in {path}: {error}")
