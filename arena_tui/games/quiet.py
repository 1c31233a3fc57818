"""Keeps what C++ game code prints off the terminal. Knows nothing of games."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def quiet_fds(log_path: str | Path, *, stdout: bool = False) -> Iterator[None]:
    """Redirect file descriptor 2, and optionally 1, to the end of a file; restore them on exit.

    Affects the whole process, including C++ code and child processes. Code that draws on the
    terminal meanwhile needs a duplicate of the descriptor made beforehand. The file's folder must
    exist.
    """
    streams = {1: sys.stdout, 2: sys.stderr} if stdout else {2: sys.stderr}
    _flush(streams)
    saved = {descriptor: os.dup(descriptor) for descriptor in streams}
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for descriptor in streams:
            os.dup2(log, descriptor)
        yield
    finally:
        _flush(streams)
        for descriptor, duplicate in saved.items():
            os.dup2(duplicate, descriptor)
            os.close(duplicate)
        os.close(log)


def _flush(streams: dict[int, object]) -> None:
    for stream in streams.values():
        if hasattr(stream, "flush"):
            stream.flush()
