"""Reads exported files, and lines as producers write them, into a store. Replaces nothing there.

An event that is stored already is only compared; one that comes after what is stored of its run is
added. Both happen some thousand lines at a time, each in a transaction, so that an import that was
cut off is completed by repeating it. A run of fewer events is added as a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from arena_tui.broker.protocol import Cursor
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import decode_event, encode_event
from arena_tui.config import Config
from arena_tui.errors import UsageError
from arena_tui.events import Envelope, Gap
from arena_tui.producers.lines import Line
from arena_tui.producers.reading import own_time
from arena_tui.services.appended import append_to
from arena_tui.services.import_lines import Taken, Unplaced, batches
from arena_tui.services.sharing import is_owned, open_runtime
from arena_tui.services.stored import live_runs, reached
from arena_tui.services.waits import to_the_end
from arena_tui.store.appending import encode_batch, read_covered, read_payloads
from arena_tui.store.archive_lines import Archived, same_event
from arena_tui.store.changes import Bookmark
from arena_tui.store.reading import Store
from arena_tui.store.remote import RemoteDatabase
from arena_tui.store.rows import load_totals
from arena_tui.store.windows import read_lengths

Append: TypeAlias = Callable[[Sequence[Archived]], Awaitable[None]]

Refuse: TypeAlias = Callable[[int, str], None]
"""Called with the number of a line that is refused, and the reason."""

_SEVERAL: Final = (
    "is stored in several epochs, and its lines do not say which they are of: give an export of it"
)
_NOWHERE: Final = Cursor(0, 0)


class Imported(Struct, kw_only=True):
    """What became of the lines so far.

    Attributes:
        runs: Runs to which something was added.
        events: Events added.
        repeated: Events that were stored already.
        missing: Events that the files lack between others, stored as gaps.
        in_gaps: Events that the store counts as lost, and that are left out.
        refused: Lines refused, those of refused runs included.
    """

    runs: int = 0
    events: int = 0
    repeated: int = 0
    missing: int = 0
    in_gaps: int = 0
    refused: int = 0


class _Known:
    """What is known of a run: how far it is stored, or was read.

    Attributes:
        refused: Why nothing more is taken of it.
        epoch, lines: Where the lines without a place belong, and how many there were.
    """

    def __init__(self, at: Cursor, refused: bool) -> None:
        self.at = at
        self.refused = refused
        self.epoch: int | None = None
        self.lines = 0


_Repeat: TypeAlias = tuple[Line, Envelope, bool]
"""A line whose event may be stored, and whether it has a time of its own."""


class Import:
    """Takes files into one store; see the module.

    Args:
        append: Stores events and bookmarks in one transaction.
        live: The runs that are being played: nothing is added to them.
    """

    def __init__(
        self, store: Store, append: Append, live: Callable[[], Awaitable[Collection[str]]]
    ) -> None:
        self.figures = Imported()
        self._store = store
        self._append = append
        self._live = live
        self._runs: dict[str, _Known] = {}
        self._added: set[str] = set()

    async def take(
        self, lines: Iterator[Line], refuse: Refuse, progress: Callable[[], None]
    ) -> None:
        """Import the lines of one file; `progress` is called after each batch.

        Cancelling waits until a batch that is being added is, so that the figures stay true.

        Raises:
            StoreError: The store cannot be read or written; what was added before stays.
            UsageError: A run has begun to be played meanwhile, or the file is damaged.
        """
        self._refuse = refuse
        taken = batches(lines)
        while batch := await asyncio.to_thread(next, taken, None):
            await self._take(batch)
            progress()

    async def _take(self, batch: Sequence[Taken]) -> None:
        await self._look_up({what.run_id for _, what in batch if not isinstance(what, str)})
        fresh: list[Archived] = []
        repeats: list[_Repeat] = []
        for line, what in batch:
            if isinstance(what, str):
                self._refuse_line(line, what)
                continue
            known = self._runs[what.run_id]
            if isinstance(what, Unplaced):
                await self._place(line, what, known, fresh, repeats)
            elif known.refused:
                self.figures.refused += 1
            elif isinstance(what, Bookmark):
                if known.at == _NOWHERE:
                    self._refuse_line(line, f"a bookmark in run {what.run_id}, which is not stored")
                else:
                    fresh.append(what)
            elif isinstance(what, Gap):
                self._take_gap(what, known, fresh)
            else:
                self._take_event(line, what, known, fresh, repeats)
        await self._compare(repeats, fresh)
        refused = [each for each in fresh if self._runs[each.run_id].refused]
        self.figures.refused += sum(isinstance(each, Envelope) for each in refused)
        fresh = [each for each in fresh if not self._runs[each.run_id].refused]
        if fresh:
            adding = asyncio.ensure_future(self._add(fresh))
            try:
                await asyncio.shield(adding)
            except asyncio.CancelledError:
                await to_the_end(adding)
                raise

    async def _look_up(self, run_ids: Collection[str]) -> None:
        """Find out how far runs are stored that were not met before."""
        unknown = [run_id for run_id in run_ids if run_id not in self._runs]
        if not unknown:
            return
        totals = await self._store.read(partial(load_totals, run_ids=unknown))
        live = await self._live()
        for run_id in unknown:
            found = totals.get(run_id)
            at = _NOWHERE if found is None else Cursor(found.epoch, found.seq)
            self._runs[run_id] = _Known(at, False)
            if run_id in live:
                self._refuse_run(0, run_id, "is being played: import it when it has ended")

    async def _place(
        self, line: Line, what: Unplaced, known: _Known, fresh: list[Archived],
        repeats: list[_Repeat],
    ) -> None:  # fmt: skip
        """Number a line as a broker would have: on its own, all lines of a run are one epoch."""
        if known.epoch is None and not known.refused:
            lengths = {}
            if known.at != _NOWHERE:
                lengths = await self._store.read(partial(read_lengths, run_id=what.run_id))
            if len(lengths) > 1:
                self._refuse_run(line.number, what.run_id, _SEVERAL)
            known.epoch = next(iter(lengths), line.epoch())
        if known.refused or known.epoch is None:
            self.figures.refused += 1
            return
        known.lines += 1
        event = Envelope(what.run_id, known.epoch, known.lines, what.event, what.raw)
        is_timed = own_time(line.raw or b"") is not None
        self._take_event(line, event, known, fresh, repeats, is_timed)

    def _take_event(
        self, line: Line, event: Envelope, known: _Known, fresh: list[Archived],
        repeats: list[_Repeat], is_timed: bool = True,
    ) -> None:  # fmt: skip
        if Cursor(event.epoch, event.seq) <= known.at:
            repeats.append((line, event, is_timed))
            return
        self._fill(known, event.run_id, event.epoch, event.seq, fresh)
        known.at = Cursor(event.epoch, event.seq)
        fresh.append(event)

    def _take_gap(self, gap: Gap, known: _Known, fresh: list[Archived]) -> None:
        end = Cursor(gap.epoch, gap.to_seq)
        if end < known.at or (gap.count and end == known.at):
            return
        self._fill(known, gap.run_id, gap.epoch, gap.from_seq, fresh)
        known.at = end
        fresh.append(gap)

    def _fill(
        self, known: _Known, run_id: str, epoch: int, seq: int, fresh: list[Archived]
    ) -> None:
        """Note what is missing before this seq as a gap."""
        first = known.at.seq + 1 if known.at.epoch == epoch else 1
        if first < seq:
            fresh.append(Gap(run_id, epoch, first, seq - 1, "trimmed"))
            self.figures.missing += seq - first

    async def _compare(self, repeats: Sequence[_Repeat], fresh: Sequence[Archived]) -> None:
        """Refuse the runs of which other events are stored than those that were read."""
        if not repeats:
            return
        known = {_place(each): each.raw for each in fresh if isinstance(each, Envelope)}
        asked = [
            place for place in (_place(event) for _, event, _ in repeats) if place not in known
        ]
        if asked:
            known |= await self._store.read(partial(read_payloads, places=asked))
        lacking = {event.run_id for _, event, _ in repeats if _place(event) not in known}
        gaps = []
        if lacking:
            gaps = await self._store.read(partial(read_covered, run_ids=sorted(lacking)))
        for line, event, is_timed in repeats:
            stored = known.get(_place(event))
            if self._runs[event.run_id].refused:
                self.figures.refused += 1
            elif stored is None and any(_covers(gap, event) for gap in gaps):
                self.figures.in_gaps += 1
            elif stored is not None and _is_same(stored, event, is_timed):
                self.figures.repeated += 1
            else:
                self.figures.refused += 1
                which = "is not stored" if stored is None else "is another one in the store"
                self._refuse_run(
                    line.number, event.run_id, f"does not fit: its event {event.epoch}-{event.seq} "
                    f"{which}: delete the stored run to import this one"
                )  # fmt: skip

    def _refuse_line(self, line: Line, why: str) -> None:
        self.figures.refused += 1
        self._refuse(line.number, why)

    def _refuse_run(self, number: int, run_id: str, why: str) -> None:
        self._runs[run_id].refused = True
        self._refuse(number, f"run {run_id} {why}")

    async def _add(self, fresh: Sequence[Archived]) -> None:
        await self._append(fresh)
        self._added.update(each.run_id for each in fresh if isinstance(each, Envelope))
        self.figures.runs = len(self._added)
        self.figures.events += sum(isinstance(each, Envelope) for each in fresh)


@asynccontextmanager
async def opened_import(config: Config) -> AsyncIterator[Import]:
    """An import into the configured store: in this process, or through the one that has it open.

    Raises:
        StoreError: It cannot be opened, or its owner does not share it.
        UsageError: The settings name no file to import into.
    """
    if config.db is None or config.db == ":memory:":
        raise UsageError("nothing can be imported into :memory:: give a file with --db")
    path, config = config.db, replace(config, broker=BrokerUrl("memory:"))
    if is_owned(config):
        store = reached(path)
        try:
            yield _through(store)
        finally:
            store.close()
        return
    runtime = await open_runtime(config)
    try:
        database = runtime.database
        assert database is not None
        if isinstance(database, RemoteDatabase):
            yield _through(database)
        else:

            async def live() -> Collection[str]:
                return {info.meta.run_id for info in await runtime.broker.runs()}

            yield Import(database, partial(append_to, runtime), live)
    finally:
        await runtime.aclose()


def _through(store: RemoteDatabase) -> Import:
    async def append(archived: Sequence[Archived]) -> None:
        await store.append(encode_batch(archived))

    return Import(store, append, partial(asyncio.to_thread, live_runs, store))


def _place(event: Envelope) -> tuple[str, int, int]:
    return event.run_id, event.epoch, event.seq


def _covers(gap: Gap, event: Envelope) -> bool:
    is_there = gap.from_seq <= event.seq <= gap.to_seq
    return (gap.run_id, gap.epoch) == (event.run_id, event.epoch) and is_there


def _is_same(stored: bytes, event: Envelope, is_timed: bool) -> bool:
    """Whether they are the same event; one without a time of its own has that of the other."""
    if is_timed:
        return same_event(stored, event.raw)
    at = decode_event(stored).ts
    return same_event(stored, encode_event(replace(event.event, ts=at)))
