"""`history()`: what is stored, as rows and as Arrow, for notebooks and scripts. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar, overload

import msgspec

from arena_tui.config import load_config
from arena_tui.errors import StoreError, UsageError
from arena_tui.folds.totals import RunTotals, summary
from arena_tui.services.stored import live_runs, reached, status_of
from arena_tui.store.arrow_stream import stream_of_events, stream_of_runs
from arena_tui.store.extract import EventRow, Wanted, event_fields, read_events
from arena_tui.store.filters import parse_filter
from arena_tui.store.history import read_run, read_runs
from arena_tui.store.reading import Reader

T = TypeVar("T")
Row = dict[str, Any]

_ALL: Final = 2**31
"""More runs than any store has."""


class Runs(Sequence[Row]):
    """Some runs, oldest first: a sequence of dicts with the fields of `arena-tui runs --json`,
    times as datetimes; and by `__arrow_c_stream__` a table, lists and objects in it as JSON text.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Runs: ...

    def __getitem__(self, index: int | slice) -> Row | Runs:
        return Runs(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def __repr__(self) -> str:
        return f"<{len(self)} runs>"

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return stream_of_runs(self._rows)


class Events:
    """The events of some runs, in order, read each time anew, some thousand at a time.

    Iterating gives dicts with the fields of `arena-tui events --json`, times as datetimes;
    `__arrow_c_stream__` batches with the columns `run_id`, `epoch`, `seq`, `turn`, `kind`,
    `agent_id`, `ts` and `payload`, which is the whole event as JSON text. Where events were lost
    there is a row of the kind `gap`, whatever kinds are asked for.
    """

    def __init__(self, batches: Callable[[], Iterator[list[EventRow]]]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Row]:
        for batch in self._batches():
            yield from map(event_fields, batch)

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return stream_of_events(self._batches())


class History:
    """A store to be read; also a context manager.

    Whoever has it open answers; where nobody has, its file is open only while something is read,
    so that it keeps nobody from writing. Thread-safe, also in a forked child and beside a running
    event loop, which waits meanwhile.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._store = reached(path)
        self._closed = False

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def runs(self, filter: str = "", limit: int | None = None) -> Runs:
        """The runs that match, or the newest `limit` of them; the newest comes last.

        Args:
            filter: As for `arena-tui runs`: `game:chess err>0 cost>0.1 "rate limit"`.

        Raises:
            UsageError: The filter cannot be read.
            StoreError: There is no store, or it cannot be read.
        """
        return Runs(self._rows(self._totals(filter, limit)))

    def run(self, run_id: str) -> Row:
        """One run, by its id or an unambiguous beginning or end of it.

        Raises:
            UnknownRunError: There is none, or more than one.
            StoreError: See `runs`.
        """
        (row,) = self._rows([self._read(partial(read_run, run_id=run_id))])
        return row

    def events(
        self, run: str | None = None, kinds: Sequence[str] = (), first: int = 1,
        last: int | None = None, *, filter: str = "",
    ) -> Events:  # fmt: skip
        """The events of a run, or of all that match the filter, oldest run first.

        Args:
            kinds: Only these, and gaps.
            first, last: Only these seqs; of a run whose stream was made anew, in each epoch.

        Raises:
            UnknownRunError: There is no such run, or more than one.
            UsageError, StoreError: See `runs`.
        """
        if run is not None:
            found = [self._read(partial(read_run, run_id=run))]
        else:
            found = self._totals(filter, None)
        kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
        return Events(partial(read_events, self._read, found, Wanted(kinds, first, last)))

    def close(self) -> None:
        """Read nothing more. Idempotent."""
        self._closed = True
        self._store.close()

    def _totals(self, text: str, limit: int | None) -> list[RunTotals]:
        parse_filter(text)  # what is wrong with it is said first
        self._check_open()
        with _in_words():
            live = live_runs(self._store)
        where, parameters = parse_filter(text, dict.fromkeys(live, "running"))
        query = partial(
            read_runs, where=where, parameters=parameters, limit=_ALL if limit is None else limit
        )
        return self._read(query)[::-1]

    def _rows(self, found: Sequence[RunTotals]) -> list[Row]:
        unfinished = any(each.status == "running" for each in found)
        with _in_words():
            live = live_runs(self._store) if unfinished else ()
        return [
            msgspec.to_builtins(summary(each, status_of(each, live)), builtin_types=[datetime])
            for each in found
        ]

    def _read(self, work: Callable[[Reader], T]) -> T:
        self._check_open()
        with _in_words():
            return self._store.read_now(work)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("this history is closed: call arena_tui.history() again")


def history(db: str | None = None) -> History:
    """What is stored, be the store open in another process, in this one, or closed.

    Args:
        db: The store's file; default as for the command (`ARENA_DB`, or the user's data folder).

    Raises:
        UsageError: The store is `:memory:`, or the settings cannot be read.
    """
    path = load_config(db=db).db
    if path is None or path == ":memory:":
        raise UsageError("a store in memory has no history to read: give a file with db=")
    return History(path)


@contextmanager
def _in_words() -> Iterator[None]:
    """Have a store that cannot be read say how another one is given."""
    try:
        yield
    except StoreError as error:
        error.name_options("db=")
        raise
