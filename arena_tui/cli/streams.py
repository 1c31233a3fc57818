"""Makes the standard streams safe to use: closed, full, or of a small character set."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def make_safe() -> Output:
    """Take the place of the standard streams; returns what is behind standard output.

    Those that are closed are opened to nowhere: else the first file opened would get the number of
    one, and what is printed there would be written into it, into the store say. Standard error
    never fails: there is nobody left to tell.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # standard output then fails as if it were closed
            os.open(os.devnull, os.O_WRONLY if descriptor == 2 else os.O_RDONLY)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, closefd=False)
    output = Output(1)
    sys.stdout = _text(output, sys.stdout, "replace")
    sys.stderr = _text(_Unfailing(2), sys.stderr, "backslashreplace")
    return output


def _text(raw: Output, before: TextIO | None, errors: str) -> io.TextIOWrapper:
    """Print to the raw stream as to the one before, but for characters that it cannot encode."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw), getattr(before, "encoding", "utf-8"), errors,
        line_buffering=getattr(before, "line_buffering", True),
        write_through=getattr(before, "write_through", False),
    )  # fmt: skip


class Output(io.FileIO):
    """Raises the first time that it cannot be written, and takes anything from then on.

    Attributes:
        error: Why it could not be written.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.error: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        if self.error is None:
            try:
                return super().write(data)
            except OSError as error:
                self.error = error
                raise
        return memoryview(data).nbytes


class _Unfailing(Output):
    """Drops what cannot be written."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes
