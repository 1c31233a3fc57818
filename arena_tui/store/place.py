"""Where a store's file lies: what is there, and whether that is the open file. Opens nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from pathlib import Path
from typing import Final

from arena_tui.errors import StoreError

MEMORY: Final = ":memory:"

_GONE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
_KINDS: Final = {
    stat.S_IFDIR: "a folder", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
}  # fmt: skip


class Place:
    """The path of an open file, and which file that is.

    Attributes:
        path: Without symbolic links.
        mode: The file's permissions.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        status = os.stat(path)
        self.mode = stat.S_IMODE(status.st_mode)
        self._file = status.st_dev, status.st_ino

    def is_kept(self) -> bool:
        """Whether the path still leads to the file, as far as can be told; opens nothing, since
        closing a descriptor of the file would drop DuckDB's lock (fcntl(2))."""
        try:
            status = os.stat(self.path)
        except OSError as error:
            return error.errno not in _GONE
        return (status.st_dev, status.st_ino) == self._file

    def is_taken(self) -> bool:
        """Whether another file is there."""
        return os.path.lexists(self.path) and not self.is_kept()


def file_size(path: str) -> int | None:
    """Bytes in a store's file; None if nothing is there.

    Raises:
        StoreError: It, or what lies where its write-ahead log would, is not a regular file.
        OSError: It cannot be looked at.
    """
    size = None
    for each in (path + ".wal", path):
        try:
            status = os.stat(each)
        except FileNotFoundError:
            size = None
            continue
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "not a file")
            raise StoreError(f"{each} is {kind}:", elsewhere=True)
        size = status.st_size
    return size


def may_only_be_read(path: str) -> bool:
    """Whether there is a store's file that this user can read, but not write."""
    real = os.path.realpath(path)
    if path == MEMORY or not (os.path.isfile(real) and os.access(real, os.R_OK)):
        return False
    return not all(os.access(each, os.W_OK) for each in (real, os.path.dirname(real)))


def unused(path: Path, why: str) -> Path:
    """An unused name beside `path` with the time and the reason."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    number = 0
    while True:
        name = path.with_name(f"{path.name}.{why}-{stamp}" + (f"-{number}" if number else ""))
        if not (os.path.lexists(name) or os.path.lexists(f"{name}.wal")):
            return name
        number += 1


def put(fresh: Path, path: str) -> None:
    """Rename a file to a name that must be free.

    Raises:
        FileExistsError: It is not.
        OSError: The folder cannot be written.
    """
    try:
        os.link(fresh, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
        os.rename(fresh, path)
    else:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
