"""The lines of files that are imported, decoded, in batches. Asks no store.

A line has its place in its run, or is one as a producer writes it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from typing import Final, NamedTuple, TypeAlias

from arena_tui.codec import sealed
from arena_tui.errors import EventError, UsageError
from arena_tui.events import EVENT_CEILING_BYTES, Event
from arena_tui.producers.lines import Line
from arena_tui.producers.source import LineSource
from arena_tui.store.archive_files import PARQUET_MAGIC, ZSTD_MAGIC, parquet_lines, zstd_lines
from arena_tui.store.archive_lines import Archived, decode_archived

_LINES: Final = 1_000
"""After so many lines a batch ends with the run that it is in;"""
_LINES_MAX: Final = 10_000
_BYTES_MAX: Final = 6 * 1024 * 1024
"""after as many, or as long ones, within it: a process that has the store open takes no more."""


class Unplaced(NamedTuple):
    """A line as a producer writes it."""

    run_id: str
    event: Event
    raw: bytes
    line: Line


Taken: TypeAlias = tuple[Line, Archived | Unplaced | str]
"""A line, and what it says or why it is refused."""


@contextmanager
def lines_of(name: str) -> Iterator[Iterator[Line]]:
    """The lines of a file, whose content tells what it is: JSON lines, also in gzip or zstd, or
    Parquet; `-` is standard input, which is not in zstd or Parquet. Whoever waits for a line when
    the context ends gets none.

    Raises:
        UsageError: It cannot be read, or, while it is read, is damaged.
    """
    left = threading.Event()
    try:
        with FileIO(0, closefd=False) if name == "-" else FileIO(name) as file:
            magic = b"" if name == "-" or not file.seekable() else os.pread(file.fileno(), 4, 0)
            if magic == PARQUET_MAGIC:
                yield _numbered(parquet_lines(name))
            elif magic == ZSTD_MAGIC:
                yield _numbered(zstd_lines(name))
            else:
                yield _lines(file, name, left)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}: give a file of JSON lines") from (
            None
        )
    finally:
        left.set()


def batches(lines: Iterable[Line]) -> Iterator[list[Taken]]:
    """The lines, as many at a time as are stored in one transaction.

    Where the lines end in an error, those before it come first, and then the error.
    """
    batch: list[Taken] = []
    size, run_id = 0, ""
    try:
        for line in lines:
            what = _read(line)
            other = run_id if isinstance(what, str) else what.run_id
            length = len(line.raw or b"")
            if batch and (
                len(batch) >= _LINES_MAX or size + length > _BYTES_MAX
                or (len(batch) >= _LINES and other != run_id)
            ):  # fmt: skip
                yield batch
                batch, size = [], 0
            batch.append((line, what))
            size, run_id = size + length, other
    except (UsageError, OSError):
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _read(line: Line) -> Archived | Unplaced | str:
    try:
        if line.raw is not None and (archived := decode_archived(line.raw)) is not None:
            return archived
    except EventError as error:
        if line.raw is not None and (b'"epoch"' in line.raw or b'"seq"' in line.raw):
            return str(error)
    try:
        run_id, event, _ = line.decode()
        return Unplaced(run_id, *sealed(event, EVENT_CEILING_BYTES), line)
    except EventError as error:
        return str(error)


def _numbered(lines: Iterable[bytes]) -> Iterator[Line]:
    for number, raw in enumerate(lines, 1):
        if raw.strip():
            yield Line(number, raw)


def _lines(file: FileIO, name: str, left: threading.Event) -> Iterator[Line]:
    source = LineSource(file)
    yield from source.until_end(left)
    if source.damage is not None:
        raise UsageError(f"{name}: {source.damage}: what was read until there is kept")
