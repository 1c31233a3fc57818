"""Compares two runs, window by window: their turns side by side, and where they part. Draws
nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from msgspec import Struct

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UnknownRunError, UsageError
from arena_tui.events import Delivery, short_id
from arena_tui.folds.aligning import Alignment, By
from arena_tui.folds.comparing import (
    Beside,
    Measured,
    Parting,
    Step,
    StepFold,
    beside,
    is_worth_a_stop,
    seats_of,
)
from arena_tui.folds.totals import RunTotals
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.playback.turns import Paged, Turns
from arena_tui.store.history import History
from arena_tui.store.latency import read_latency
from arena_tui.store.windows import WINDOW

SPAN: Final = 300
"""Rows that are read at once when differences are looked for."""

_ALIGNED_MAX: Final = 20_000
"""Rows that are set beside each other in one step, some ten milliseconds."""

_HELD_MAX: Final = 2_000
"""Rows kept in memory; of more, those around what was read last."""


class ComparedRun(Struct, frozen=True, kw_only=True):
    """One of the two: what it is, and how it is read."""

    measured: Measured
    tape: Paged
    turns: Turns

    @property
    def run_id(self) -> str:
        return self.measured.totals.run_id

    @property
    def name(self) -> str:
        """`connect_four · 7f3a`."""
        return f"{self.measured.totals.game or 'run'} · {short_id(self.run_id)}"


class Progress(Protocol):
    """Called after each step of a search."""

    def __call__(self) -> None: ...


class Comparison:
    """Two runs beside each other, of which only what is asked for is read.

    First `read_turns`, which finds where turns begin and may go on while rows are shown; again
    whenever a live run has grown. Whatever reads here may be cancelled at any time. Use it on one
    event loop.

    Attributes:
        alignment: Which rows stand beside each other.
        parting: Where the runs part, as far as `find_parting` has looked.
        version: Increases when rows come or move.
    """

    def __init__(self, first: ComparedRun, second: ComparedRun) -> None:
        """Raises UsageError if they are the same run."""
        if first.run_id == second.run_id:
            raise UsageError(
                f"{short_id(first.run_id)} is compared with itself: give the id of another run"
            )
        self.runs = first, second
        self.alignment = Alignment()
        self.parting = Parting()
        self.version = 0
        self._seen = (-1, -1)
        self._fixed = 0
        """Rows before it never change again."""
        self._held: dict[int, Beside] = {}

    @property
    def is_known(self) -> bool:
        """Whether all turns of both are known, and stand beside each other."""
        return self._seen == self._versions and all(run.turns.known for run in self.runs)

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come of either."""
        return self.is_known and not any(run.tape.live for run in self.runs)

    @property
    def _versions(self) -> tuple[int, int]:
        return self.runs[0].turns.version, self.runs[1].turns.version

    async def read_turns(self, progress: Progress) -> None:
        """Find where the turns of both begin, span by span.

        Raises:
            StoreError: The store cannot be read.
        """
        await asyncio.gather(
            *(run.turns.read_on(partial(self._extend, progress)) for run in self.runs)
        )
        while True:
            self._extend(progress)
            if self._seen == self._versions:
                return
            await asyncio.sleep(0)  # keys and frames do not wait for it

    def align(self, by: By) -> None:
        """Set them beside each other by turn, or by time since the start; `read_turns` goes on."""
        self.alignment = Alignment(by)
        self.parting = Parting()
        self._held.clear()
        self._seen = (-1, -1)
        self._extend(lambda: None)

    def grow(self, side: int, news: Sequence[Delivery]) -> None:
        """Take in what is new in a live run."""
        if news:
            self.runs[side].turns.extend(news)
            self._extend(lambda: None)

    def get(self, index: int) -> Beside | None:
        """What is beside each other in a row; None until it is read."""
        return self._held.get(index)

    async def load(self, first: int, last: int, progress: Progress = lambda: None) -> None:
        """Read these rows, both inclusive, unless they are there; then call `progress`."""
        rows = range(max(0, first), min(last + 1, len(self.alignment)))
        lacking = [index for index in rows if index not in self._held]
        if not lacking:
            return
        version, alignment = self.version, self.alignment
        found = await self.read(range(lacking[0], lacking[-1] + 1))
        for index, each in zip(range(lacking[0], lacking[-1] + 1), found, strict=True):
            if alignment is self.alignment and (index < self._fixed or version == self.version):
                self._held[index] = each
        if len(self._held) > _HELD_MAX:
            near = range(rows.start - _HELD_MAX // 2, rows.stop + _HELD_MAX // 2)
            self._held = {index: each for index, each in self._held.items() if index in near}
        progress()

    async def read(self, rows: range) -> list[Beside]:
        """These rows, of which at most some thousand fit into memory.

        Raises:
            StoreError: The store cannot be read.
        """
        wanted = [self.alignment[index] for index in rows]
        firsts, seconds = await asyncio.gather(
            _steps(self.runs[0], [row.first for row in wanted if row.first is not None]),
            _steps(self.runs[1], [row.second for row in wanted if row.second is not None]),
        )
        return [
            beside(
                None if row.first is None else firsts[row.first],
                None if row.second is None else seconds[row.second],
            )
            for row in wanted
        ]

    async def find_parting(self, progress: Progress) -> None:
        """Look on for where they part, from where an earlier call has left off, as far as rows are
        known that cannot change any more; `parting.reach` says how far it has come.

        Raises:
            StoreError: The store cannot be read.
        """
        parting = self.parting
        while parting is self.parting and parting.row is None:
            known = len(self.alignment) if self.is_over else self._fixed
            span = range(parting.reach, min(known, parting.reach + SPAN))
            if not span:
                return
            for row in await self.read(span):
                if parting.add(row):
                    break
            progress()

    async def difference(
        self, index: int, step: int, progress: Callable[[int], None] = lambda _: None
    ) -> int | None:
        """The next (`step` 1) or previous (-1) row from there that `is_worth_a_stop`, or None;
        `progress` is told how far it has looked."""
        rows = range(index + step, len(self.alignment) if step > 0 else -1, step)
        for start in range(0, len(rows), SPAN):
            some = rows[start : start + SPAN]
            low, high = min(some), max(some)
            found = await self.read(range(max(0, low - 1), high + 1))
            for each in some:
                at = each - max(0, low - 1)
                if is_worth_a_stop(found[at - 1] if at else None, found[at]):
                    return each
            progress(some[-1])
        return None

    def row_of_turn(self, number: int) -> int | None:
        """The row of that turn in the first run, else in the second; None: neither has it."""
        for side, run in enumerate(self.runs):
            row = run.turns.starts.of_turn(number)
            if row is not None:
                return self.alignment.index_of(side, row)
        return None

    def turn_of_row(self, index: int) -> int | None:
        """The number of the turn in a row; None if it is of none."""
        if not 0 <= index < len(self.alignment):
            return None
        told = (
            run.turns.starts.number(row)
            for run, row in zip(self.runs, self.alignment[index], strict=True)
            if row is not None
        )
        return next((number for number in told if number is not None), None)

    @property
    def numbered(self) -> tuple[bool, bool]:
        """Whether each of the runs has turns; taken for true until all are known."""
        if not self.is_known:
            return True, True
        return self.runs[0].turns.starts.numbered, self.runs[1].turns.starts.numbered

    def row_of_place(self, side: int, place: int) -> int | None:
        """The row in which an event of one run stands."""
        turns = self.runs[side].turns
        return self.alignment.index_of(side, turns.starts.row_of(place)) if turns.count else None

    def places(self, index: int, side: int) -> range:
        """The places of one run's events in a row; empty where it has none."""
        if not 0 <= index < len(self.alignment):
            return range(0)
        row = self.alignment[index][side]
        return range(0) if row is None else self.runs[side].turns.places(row)

    def _extend(self, progress: Progress) -> None:
        """Set some more of what is known by now beside each other."""
        versions = self._versions
        if versions == self._seen:
            return
        whole = all(run.turns.known for run in self.runs)
        starts = [run.turns.starts for run in self.runs]
        is_through = self.alignment.extend(starts[0], starts[1], whole, _ALIGNED_MAX)
        self._held = {index: each for index, each in self._held.items() if index < self._fixed}
        ends = [
            self.alignment.index_of(side, run.turns.count - 1)
            for side, run in enumerate(self.runs)
            if run.tape.live or not run.turns.known
        ]
        self._fixed = min([self.alignment.settled, *(each for each in ends if each is not None)])
        self.version += 1
        if is_through:
            self._seen = versions
        progress()


async def measure(history: History, run_id: str) -> Measured:
    """A stored run's totals and latency; a part of its id will do.

    Raises:
        UnknownRunError: There is no such run.
    """
    totals = await history.run(run_id)
    latency_s = await history.read(partial(read_latency, run_id=totals.run_id))
    return Measured(totals=totals, latency_s=latency_s)


async def event_at(tape: Paged, place: int) -> Cursor | None:
    """Which event stands at a place; None where a gap does."""
    for each in await tape.window(place, place):
        return Cursor(each.epoch, each.first_seq)
    return None


async def _steps(run: ComparedRun, rows: Sequence[int]) -> dict[int, Step]:
    """These rows of a run, which follow each other; read a window at a time."""
    if not rows:
        return {}
    seats, starts = seats_of(run.measured.totals), run.turns.starts
    folds = {row: StepFold(seats) for row in rows}
    first, last = run.turns.places(rows[0]).start, run.turns.places(rows[-1]).stop - 1
    while first <= last:
        for each in await run.tape.window(first, min(last, first + WINDOW - 1)):
            fold = folds.get(starts.row_of(run.tape.places_of(each).start))
            if fold is not None:
                fold.add(each)
        first += WINDOW
    return {row: fold.step() for row, fold in folds.items()}


async def compared(tape: RunTape, history: History | None) -> ComparedRun:
    """A run, live or stored, to be compared: opens its tape.

    Raises:
        UnknownRunError: Neither the broker nor the store has it.
    """
    await tape.open()
    measured = None
    if history is not None:
        with suppress(UnknownRunError):  # none of it is stored yet
            measured = await measure(history, tape.run_id)
    if measured is None:
        measured = Measured(totals=(await tape.view_at(tape.last)).totals)
    return ComparedRun(measured=measured, tape=tape, turns=Turns(tape))


async def newest_other(history: History, totals: RunTotals) -> str | None:
    """The newest other run of the same game; None: there is none."""
    found = await history.runs("game = ? AND run_id <> ?", [totals.game, totals.run_id], limit=1)
    return found[0].run_id if found else None
