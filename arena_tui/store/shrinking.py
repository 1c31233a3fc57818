"""Gives the space of deleted runs back, by writing a closed store anew. Deletes nothing.

DuckDB uses the space of what was deleted again, but its file hardly gets smaller: it would have to
move what lies behind. What is left is copied instead, which takes as long as reading it, and as
much disk meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

import duckdb

from arena_tui.errors import ArenaError, StoreError
from arena_tui.store.mending import first_line
from arena_tui.store.partial_file import appearing

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": False, "autoload_known_extensions": False, "threads": 1,
}  # fmt: skip


def shrink(path: str) -> None:
    """Put a copy of the store in its place, whole, or leave it as it is.

    It is open to be read meanwhile, which keeps every other process from writing it, also until the
    copy has its name. Who had it open to be read goes on reading what was.

    Raises:
        StoreError: It could not be copied, or a process has come that writes it.
    """
    path = os.path.realpath(path)
    connection = duckdb.connect(config=_CONFIG)
    try:
        connection.execute(f"ATTACH '{_quoted(path)}' AS held (READ_ONLY)")
        if os.path.exists(f"{path}.wal"):
            raise StoreError("its log is not merged into it")
        with appearing(path) as fresh:
            os.unlink(fresh)  # DuckDB opens no empty file
            connection.execute(f"ATTACH '{_quoted(str(fresh))}' AS anew")
            try:
                _make_alike(fresh, os.stat(path))
                connection.execute("COPY FROM DATABASE held TO anew")
            finally:
                try:
                    connection.execute("DETACH anew")
                except duckdb.Error:  # what could not be merged would take space still
                    Path(f"{fresh}.wal").unlink(missing_ok=True)
                    raise
    except (duckdb.Error, ArenaError) as error:
        why = first_line(error)
        raise StoreError(f"the space in {path} is not given back: {why}") from None
    finally:
        connection.close()


def _make_alike(fresh: Path, status: os.stat_result) -> None:
    os.chmod(fresh, stat.S_IMODE(status.st_mode))
    with contextlib.suppress(PermissionError):
        os.chown(fresh, status.st_uid, status.st_gid)


def _quoted(path: str) -> str:
    return path.replace("'", "''")
