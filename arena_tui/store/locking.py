"""Takes from an open store what no query needs: files, extensions, other settings. Opens nothing.

What a person or another process asks runs in the process that writes the store, with its rights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

from arena_tui.store.place import LOG_SUFFIXES, MEMORY

_OWN_SETTINGS: Final = ("memory_limit", "max_vacuum_tasks")
"""Those that the store's own work changes while it is open."""


def copy_of(path: str) -> str:
    """The one file, beside its own, that a locked store can write: a copy of itself."""
    return f"{path}.copy"


def lock_down(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """Deny all connections to this database, for as long as it is open, every file but its own and
    `copy_of` it, extensions, variables of Python, and changes of settings.

    Do first what needs one of these. A checkpoint is made on closing no longer, as whether to do so
    is a setting, too: whoever closes a store that was written makes one.
    """
    if path != MEMORY:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        copies = [copy_of(path) + suffix for suffix in LOG_SUFFIXES]
        connection.execute(f"SET allowed_paths = {_texts(copies)}")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_external_access = false")
    connection.execute(f"SET allowed_configs = {_texts(_OWN_SETTINGS)}")
    connection.execute("SET lock_configuration = true")


def _texts(texts: Sequence[str]) -> str:
    """A list of texts as SQL."""
    quoted = ", ".join("'" + text.replace("'", "''") + "'" for text in texts)
    return f"[{quoted}]"
