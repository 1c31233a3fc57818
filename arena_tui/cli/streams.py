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


def _text(output: Output, before: TextIO | None, errors: str) -> io.TextIOWrapper:
    """Print to the output as to the stream before, but for characters that it cannot encode."""
    at_once = before is None or before.line_buffering or getattr(before, "write_through", False)
    return io.TextIOWrapper(
        output, getattr(before, "encoding", "utf-8"), errors,
        line_buffering=bool(at_once),
    )  # fmt: skip


class Output(io.BufferedWriter):
    """Raises the first time that it cannot be written, and takes anything from then on.

    It is the buffer and not the file below it: a signal handler that raises after the file was
    written, but before the buffer knows, would have that written again.

    Attributes:
        error: Why it could not be written.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(io.FileIO(descriptor, "w", closefd=False))
        self.error: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        if self.error is None:
            try:
                return super().write(data)
            except OSError as error:
                self._fail(error)
        return memoryview(data).nbytes

    def flush(self) -> None:
        if self.error is None:
            try:
                super().flush()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.error = error
        raise error


class _Unfailing(Output):
    """Drops what cannot be written."""

    def _fail(self, error: OSError) -> None:
        self.error = error
