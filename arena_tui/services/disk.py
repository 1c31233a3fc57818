"""How large a store's file is, how fast it grows, and when its disk is full."""

from __future__ import annotations

import os
import shutil
from collections import deque
from pathlib import Path
from typing import Final

from msgspec import Struct

_SAMPLES: Final = 600
"""Growth is that of as many samples: ten minutes of seconds."""

_KNOWN_AFTER_S: Final = 30.0
_DAY_S: Final = 24 * 3_600.0


class DiskGauge(Struct, frozen=True, kw_only=True):
    """One store on its disk.

    Attributes:
        path: Its file.
        store_bytes, wal_bytes: Sizes of the file and of its write-ahead log.
        growth_bytes_per_day: At the rate of the last ten minutes; None until that is known.
        free_bytes: Room left on the disk; None when nobody can tell.
        full_in_s: Seconds until there is none at this rate; None when it does not grow.
    """

    path: str
    store_bytes: int = 0
    wal_bytes: int = 0
    growth_bytes_per_day: float | None = None
    free_bytes: int | None = None
    full_in_s: float | None = None


class Disk:
    """Samples the disk of one store."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._sizes: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)

    def sample(self, now: float) -> DiskGauge:
        """The gauge now, in monotonic seconds."""
        store, wal = _size(self._path), _size(f"{self._path}.wal")
        self._sizes.append((now, store + wal))
        began, before = self._sizes[0]
        growth = None
        if now - began >= _KNOWN_AFTER_S:
            growth = (store + wal - before) / (now - began) * _DAY_S
        free, full_in_s = _free(self._path), None
        if free is not None and growth is not None and growth > 0:
            full_in_s = free / growth * _DAY_S
        return DiskGauge(
            path=self._path, store_bytes=store, wal_bytes=wal, growth_bytes_per_day=growth,
            free_bytes=free, full_in_s=full_in_s,
        )  # fmt: skip


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # not there yet, or no longer
        return 0


def _free(path: str) -> int | None:
    try:
        return shutil.disk_usage(Path(path).parent).free
    except OSError:
        return None
