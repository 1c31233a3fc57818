"""Filters of runs that the user has saved under names, in a file. Knows no run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from arena_tui.errors import UsageError

SAVED_MAX: Final = 200
_NAME_MAX: Final = 60
_FILE_MAX_BYTES: Final = 1024 * 1024


class SavedFilters:
    """One JSON object: filters by their names, in the order in which they were saved first. Its
    methods block; the file is read anew each time, as other processes write it, too."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, str]:
        """What is saved; nothing without a file.

        Raises:
            UsageError: The file is damaged; it is left alone.
        """
        try:
            if self._path.stat().st_size > _FILE_MAX_BYTES:
                raise UsageError(f"{self._path} is too large for saved filters: move it away")
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError:
            raise UsageError(
                f"{self._path} is damaged: mend it, or remove it to save filters anew"
            ) from None
        except OSError as error:
            raise UsageError(
                f"cannot read {self._path}: {error.strerror}: make it readable"
            ) from None

    def save(self, name: str, text: str) -> None:
        """Save a filter, in place of one of that name.

        Raises:
            UsageError: The name is none, there are too many, or the file cannot be read or written.
        """
        name = " ".join(name.split())
        if not name or len(name) > _NAME_MAX:
            raise UsageError(f"give it a name of at most {_NAME_MAX} characters")
        saved = {**self.read(), name: text}
        if len(saved) > SAVED_MAX:
            raise UsageError(f"{SAVED_MAX} filters are saved: delete one first")
        self._write(saved)

    def delete(self, name: str) -> None:
        """Delete the filter of that name, if it is still there; raises as `save` does."""
        saved = self.read()
        if saved.pop(name, None) is not None:
            self._write(saved)

    def _write(self, saved: dict[str, str]) -> None:
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(saved)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, self._path)
        except OSError as error:
            raise UsageError(
                f"cannot write {self._path}: {error.strerror}: make its folder writable"
            ) from None
