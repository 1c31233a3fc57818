"""Writes stored runs to a file or a stream, a few thousand events at a time. Can be cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TypeAlias, TypeVar

from msgspec import Struct

from arena_tui.errors import UsageError
from arena_tui.services.waits import to_the_end
from arena_tui.store.archive_files import Format, Rows, Texts, texts_of, write_file
from arena_tui.store.archive_lines import read_archive
from arena_tui.store.extract import EventRow
from arena_tui.store.history import History, read_runs
from arena_tui.store.partial_file import appearing
from arena_tui.store.place import check_apart
from arena_tui.store.reading import Reader

T = TypeVar("T")

Form: TypeAlias = Format | Literal["html", "asciicast"]

OF_ONE_RUN: Final[tuple[Form, ...]] = ("html", "asciicast")
FORMS: Final[tuple[Form, ...]] = ("jsonl", "csv", "parquet", *OF_ONE_RUN)
_SUFFIXES: Final[dict[str, Form]] = {
    ".csv": "csv", ".parquet": "parquet", ".html": "html", ".htm": "html", ".cast": "asciicast",
}  # fmt: skip


class Exported(Struct, kw_only=True):
    """How much was exported so far."""

    runs: int = 0
    events: int = 0


Progress = Callable[[Exported], None]


class _CancelledError(Exception):
    """Nobody waits for the export any more."""


def format_of(name: str) -> Form:
    """The format that the name of a file asks for; JSON lines unless it says another one."""
    return _SUFFIXES.get(Path(name.removesuffix(".gz").removesuffix(".zst")).suffix, "jsonl")


def suffix_of(form: Form) -> str:
    """How the name of a file ends that asks for the format."""
    return next((suffix for suffix, each in _SUFFIXES.items() if each == form), ".jsonl")


def check_one(form: Form, count: int) -> None:
    """Raise UsageError if the format is for one run, and so many are to be exported."""
    if form in OF_ONE_RUN and count != 1:
        many = "none is chosen" if not count else f"{count:,} are chosen"
        raise UsageError(f"{form} is made of one run, and {many}: choose one by its id")


async def export_runs(
    history: History, run_ids: Sequence[str], form: Format | Texts, path: str,
    progress: Progress = lambda _: None,
) -> Exported:  # fmt: skip
    """Write the runs to a file, which appears when it is whole, also in place of another one.

    Cancelling leaves no file, unless all had been read. `progress` is called from another thread.

    Args:
        run_ids: The runs, in the order in which they are written.
        form: A format of all runs; or what makes a text of one run.
        path: One that ends with `.gz` or `.zst` is compressed so.

    Raises:
        UsageError: The path is the store's, or no file's; or Parquet is to be compressed.
        OutputError: It cannot be written.
        StoreError: The store cannot be read, or a run was deleted meanwhile.
    """
    if form == "parquet" and path.endswith((".gz", ".zst")):
        raise UsageError("Parquet is compressed already: give a name without .gz or .zst")

    def write(rows: Rows, check: Callable[[], None]) -> None:
        check_apart(path, history.path)
        with appearing(path) as partial_path:
            write_file(partial_path, path, _checking(form, check), rows)

    return await _export(history, run_ids, write, progress)


async def print_runs(
    history: History, run_ids: Sequence[str], form: Format | Texts, out: BinaryIO,
    progress: Progress = lambda _: None,
) -> Exported:  # fmt: skip
    """Write the runs as text to an open stream; see `export_runs`."""

    def write(rows: Rows, check: Callable[[], None]) -> None:
        for piece in texts_of(_checking(form, check), rows):
            out.write(piece)

    return await _export(history, run_ids, write, progress)


async def _export(
    history: History, run_ids: Sequence[str],
    write: Callable[[Rows, Callable[[], None]], None], progress: Progress,
) -> Exported:  # fmt: skip
    loop = asyncio.get_running_loop()
    cancelled = threading.Event()
    done = Exported()

    def check() -> None:
        if cancelled.is_set():
            raise _CancelledError

    def read(query: Callable[[Reader], T]) -> T:
        check()
        return asyncio.run_coroutine_threadsafe(history.read(query), loop).result()

    def work() -> None:
        where = "run_id IN (SELECT unnest(?))"
        found = read(
            partial(read_runs, where=where, parameters=[list(run_ids)], limit=len(run_ids))
        )
        totals = {each.run_id: each for each in found}
        runs = [totals[run_id] for run_id in run_ids if run_id in totals]
        write(_counted(read_archive(read, runs), done, progress, check), check)

    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        cancelled.set()
        with contextlib.suppress(Exception):  # the cancellation is what is to be told
            await to_the_end(working)
        raise
    return done


def _checking(form: Format | Texts, check: Callable[[], None]) -> Format | Texts:
    """What makes a text, so that it ends soon once that is wanted: pictures take their time."""
    if not callable(form):
        return form
    make = form

    def pieces(rows: Rows) -> Iterator[bytes]:
        for piece in make(rows):
            check()
            yield piece

    return pieces


def _counted(
    batches: Iterator[list[EventRow]], done: Exported, progress: Progress, check: Callable[[], None]
) -> Iterator[list[EventRow]]:
    run_id: Any = None
    for rows in batches:
        for row in rows:
            done.runs += row.run_id != run_id
            done.events += row.ts is not None
            run_id = row.run_id
        yield rows
        del rows, row
        progress(done)
        check()
