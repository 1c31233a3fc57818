"""A file that appears under its name only when it is whole. Knows nothing of what is in it."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from arena_tui.errors import OutputError, UsageError

_SUFFIX: Final = ".partial"


@contextlib.contextmanager
def appearing(path: str) -> Iterator[Path]:
    """A file beside the path that replaces what is there once the block ends well; else it is
    removed.

    It is called `.NAME.xxxxxxxx.partial`, and locked as long as its process lives: what a killed
    one left is removed by the next that writes to the same path.

    Raises:
        UsageError: The path is that of a folder, or of something else that is no file.
        OutputError: It cannot be written.
    """
    final = Path(os.path.realpath(path))
    if os.path.exists(path) and not os.path.isfile(path):  # what a link leads to may have no name
        raise UsageError(f"{path} is not a regular file: give another name, or - for a pipe")
    try:
        _sweep(final)
        partial, descriptor = _created(final)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(descriptor, stat.S_IMODE(final.stat().st_mode))
            yield partial
            os.fsync(descriptor)
            os.replace(partial, final)
            _keep_name(final.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
        finally:
            os.close(descriptor)
    except OSError as error:
        why = error.strerror or error
        raise OutputError(f"cannot write {path}: {why}: give another name") from None


def _created(final: Path) -> tuple[Path, int]:
    while True:
        partial = final.with_name(f".{final.name}.{secrets.token_hex(4)}{_SUFFIX}")
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(OSError):  # a file system without such locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if partial.exists():  # nobody took it for a leftover before it was locked
            return partial, descriptor
        os.close(descriptor)


def _sweep(final: Path) -> None:
    """Remove what killed processes left of this file; of a store also its log."""
    for left in final.parent.glob(f".{glob.escape(final.name)}.????????{_SUFFIX}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(left, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(left)
            finally:
                os.close(descriptor)


def _keep_name(folder: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
