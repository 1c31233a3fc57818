"""The state of a stored run at any position, folded from near it. Draws nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final

from arena_tui.broker.protocol import Cursor
from arena_tui.events import Delivery, Envelope, Gap, Observation
from arena_tui.folds.own_time import own_time
from arena_tui.folds.places import Places, Span
from arena_tui.folds.totals import AgentTally, RunTotals, Usage
from arena_tui.folds.view import RunView
from arena_tui.settings import TroubleLimits
from arena_tui.store.history import History
from arena_tui.store.stretches import SPACING, Newest, Rows, Stretch, read_stretches
from arena_tui.store.windows import read_event, read_gaps, read_other_board, read_short_errors

_HELD_MAX: Final = 256
"""Events kept in memory, which may be large, and"""
_ERRORS_MAX: Final = 1_000
"""short errors besides."""


class Keyframes:
    """Views of one run as it was at the beginning of each of its stretches.

    What the stretches are is read once, and grows with a live run; so a view costs the same
    wherever in the run it is.

    Args:
        places: The run's.
    """

    def __init__(
        self, run_id: str, places: Places, history: History, limits: TroubleLimits
    ) -> None:
        self._run_id = run_id
        self._places = places
        self._history = history
        self._limits = limits
        self._stretches: list[Stretch] = []
        self._starts: list[tuple[int, int]] = []
        self._gaps: list[Gap] = []
        self._held: dict[Cursor, Envelope] = {}
        self._errors: dict[Cursor, Envelope] = {}

    def rows(self, span: Span) -> Rows | None:
        """Where these events are in the file; None if that is not known."""
        epoch, first, last = span
        low, high = self._index(Cursor(epoch, first)), self._index(Cursor(epoch, last))
        if low < 0 or self._stretches[low].epoch != epoch or self._stretches[low].first > first:
            return None
        return Rows(self._stretches[low].rows.first, self._stretches[high].rows.last)

    async def stretch(self, at: Cursor) -> Stretch:
        """The stretch that a position lies in, as far as what is stored tells."""
        beginning = Stretch(at.epoch, 0, Rows(0, None), Newest(), {})
        if at.seq < SPACING and not self._places.before(at.epoch):
            return beginning
        await self._reach(at)
        index = self._index(at)
        return beginning if index < 0 else self._stretches[index]

    async def view(self, stretch: Stretch, ahead: Sequence[Delivery]) -> RunView:
        """The run as it was before a stretch; `ahead`, the first deliveries in it, will be folded
        into it: what these replace is not read. For `now` the view has the events' own times."""
        now = own_time(ahead[0]) if ahead else 0.0
        view = RunView(self._run_id, now=now, limits=self._limits)
        for envelope in await self._told(stretch, ahead):
            view.add(envelope)
        newest = stretch.newest
        view.totals.turns = max(view.totals.turns, newest.turns)
        view.tallies = {agent: tally.copy() for agent, tally in stretch.tallies.items()}
        _add_up(view.totals, newest, view.tallies)
        for gap in self._gaps:
            if (gap.epoch, gap.from_seq) < (stretch.epoch, stretch.first):
                view.totals.add_gap(gap)
        view.stand_at(Cursor(stretch.epoch, max(0, stretch.first - 1)))
        return view

    async def _reach(self, at: Cursor) -> None:
        """Read what the stretches are up to there, as far as it is stored."""
        newest = self._starts[-1] if self._starts else (-1, 0)
        if at < Cursor(newest[0], newest[1] + SPACING):
            return
        if not self._stretches:  # the newest error is wanted nearly everywhere
            query = partial(read_short_errors, run_id=self._run_id, most=_ERRORS_MAX)
            errors = await self._history.read(query)
            self._errors = {Cursor(each.epoch, each.seq): each for each in errors}
        known = partial(read_stretches, run_id=self._run_id, known=tuple(self._stretches))
        found = await self._history.read(known)
        # After them: else one could be known without a gap before it, stored in between.
        self._gaps = await self._history.read(partial(read_gaps, run_id=self._run_id))
        self._stretches, self._starts = found, [(each.epoch, each.first) for each in found]

    async def _told(self, stretch: Stretch, ahead: Sequence[Delivery]) -> list[Envelope]:
        """The events that tell the run's state before a stretch, in order, but for those that
        what comes replaces."""
        coming = [each.event for each in ahead if isinstance(each, Envelope)]
        kinds = {each.kind for each in coming}
        wanted = [at for kind, at in stretch.newest.states(stretch.epoch) if kind not in kinds]
        texts = {each.text for each in coming if isinstance(each, Observation) and each.text}
        told = [found for each in wanted if (found := await self._event(each)) is not None]
        boards: list[Envelope] = []
        earlier = list(stretch.newest.observed)
        while len(texts) < 2 and (earlier or boards):
            at = earlier.pop() if earlier else await self._other_board(boards[-1], texts)
            found = None if at is None else await self._event(at)
            if found is None:
                break
            boards.append(found)
            texts |= _texts(found)
        return sorted([*told, *boards], key=lambda each: (each.epoch, each.seq))

    async def _other_board(self, before: Envelope, texts: Collection[str]) -> Cursor | None:
        """The newest observation before that one which shows none of these boards."""
        at = Cursor(before.epoch, before.seq)
        query = partial(read_other_board, run_id=self._run_id, at=at, texts=["", *texts])
        return await self._history.read(query)

    async def _event(self, at: Cursor) -> Envelope | None:
        held = self._errors.get(at) or self._held.get(at)
        if held is None:
            rows = self.rows(Span(at.epoch, at.seq, at.seq))
            query = partial(read_event, run_id=self._run_id, at=at, rows=rows)
            held = await self._history.read(query)
            if held is not None:
                if len(self._held) >= _HELD_MAX:
                    self._held.clear()
                self._held[at] = held
        return held

    def _index(self, at: Cursor) -> int:
        return bisect_right(self._starts, (at.epoch, at.seq)) - 1


def _add_up(totals: RunTotals, newest: Newest, tallies: Mapping[str, AgentTally]) -> None:
    """Make the totals those of all that came before; what no agent used is not known there."""
    used = Usage()
    for tally in tallies.values():
        used.add_usage(tally.usage())
    totals.events, totals.errors = newest.events, newest.errors
    totals.input_tokens, totals.output_tokens = used.input_tokens, used.output_tokens
    totals.cost_usd = used.cost_usd


def _texts(board: Envelope) -> set[str]:
    text = board.event.text if isinstance(board.event, Observation) else None
    return {text} if text else set()
