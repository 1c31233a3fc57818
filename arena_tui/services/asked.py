"""What was asked of stores in SQL, kept in a file of the user's. Knows no store."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

KEPT_MAX: Final = 200
_QUERY_MAX: Final = 4_000
"""Characters: what is longer is not kept."""
_FILE_MAX_BYTES: Final = 4 * 1024 * 1024


class Asked:
    """The newest queries, oldest first, each once: one JSON string a line. Its methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[str]:
        """What is kept; nothing of a file, or a line, that cannot be read."""
        try:
            if self._path.stat().st_size > _FILE_MAX_BYTES:
                return []
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return []
        found: dict[str, None] = {}
        for line in lines:
            with suppress(msgspec.MsgspecError):
                query = msgspec.json.decode(line, type=str)
                found.pop(query, None)
                found[query] = None
        return list(found)[-KEPT_MAX:]

    def add(self, query: str) -> list[str]:
        """Keep a query as the newest; returns what is kept, beside what others have added.

        Raises:
            OSError: The file cannot be written; it is as it was.
        """
        kept = [each for each in self.read() if each != query]
        if len(query) <= _QUERY_MAX:
            kept = [*kept, query][-KEPT_MAX:]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
            file.write(b"".join(msgspec.json.encode(each) + b"\n" for each in kept))
        os.replace(fresh, self._path)
        return kept
