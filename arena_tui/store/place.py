"""Where a store's file lies: what is there, and whether that is the open file. Opens nothing."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from arena_tui.errors import StoreError, UsageError

MEMORY: Final = ":memory:"

LOG_SUFFIXES: Final = ("", ".wal", ".wal.checkpoint", ".wal.recovery")
"""What the names of a store's own files end with, after that of the store."""

_ALONE_S: Final = 5.0
_LOOK_S: Final = 0.01

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


def locked_by(path: str) -> int | None:
    """The process that has a lock on the file, as far as the system tells; opens nothing: closing a
    descriptor of the file would drop this process's own lock (fcntl(2))."""
    try:
        status = os.stat(path)
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for each in locks:  # 1: POSIX  ADVISORY  WRITE 4711 fd:01:1234 0 EOF
        words = each.split()
        if words[1:2] == ["POSIX"] and words[5:6] == [device]:
            return int(words[4])
    return None


def check_apart(path: str | Path, store: str | None) -> None:
    """Refuse to write to the store's file, or to what DuckDB keeps beside it: runs would be lost.

    Raises:
        UsageError: The path leads to one of these, whether it is there yet or not.
    """
    if store in (None, MEMORY):
        return
    own = [os.path.realpath(store) + suffix for suffix in LOG_SUFFIXES]
    real = os.path.realpath(path)
    if real in own:
        what = "the store itself" if real == own[0] else "where the store keeps its log"
        raise UsageError(f"{path} is {what}: give another name")


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Open a store while nobody else opens one in this folder; after a while, all the same."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        until = time.monotonic() + _ALONE_S
        while time.monotonic() < until:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOOK_S)
            except OSError:  # a file system without such locks
                break
        yield
    finally:
        os.close(descriptor)


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
