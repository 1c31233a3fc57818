"""Finds places in one run, in the store or at hand. Moves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Final

from arena_tui.broker.protocol import Cursor
from arena_tui.events import Envelope, Gap, LlmPrompt
from arena_tui.folds.event_filter import Clauses
from arena_tui.folds.places import Places
from arena_tui.folds.visible import visible
from arena_tui.services.playback.hot import Hot
from arena_tui.store.event_filters import matching, read_events, read_matching, read_words
from arena_tui.store.history import History
from arena_tui.store.rows import as_in_payload
from arena_tui.store.windows import read_gaps, read_nearest, read_previous_prompt, read_silences

SPAN: Final = 50_000
"""Places of which those that match are read at once."""
MATCHED_AT_ONCE: Final = 1_000

_AT_ONCE: Final = 200
_BYTES_AT_ONCE: Final = 128 * 1024
"""Events searched, and their JSON, before anything else has its turn: some 10 ms of large ones. One
larger than that is searched alone."""


class Seeker:
    """Finds the events of a run that are looked for, by place.

    Args:
        places, hot: The run's; history: the store that has it, or what it had before.
    """

    def __init__(self, run_id: str, places: Places, hot: Hot, history: History | None) -> None:
        self._run_id = run_id
        self._places = places
        self._hot = hot
        self._history = history

    @property
    def stored(self) -> History | None:
        """The store, if anything of the run is not at hand."""
        return None if self._hot.is_whole else self._history

    @property
    def missed(self) -> Sequence[Gap]:
        """What the broker did not hand on, and a store may have, in order."""
        return self._hot.gaps

    def at_hand(self) -> list[tuple[int, Envelope]]:
        """The events at hand now, each with its place, in order."""
        return [*self._hot.events(0)]

    @property
    def first(self) -> int:
        """First place that can be read: where nothing is stored, that of the oldest event that the
        broker held."""
        if self._history is not None:
            return 1
        return next((place for place, _ in self._hot.events(0)), self._places.last + 1)

    def within(self, at: Cursor) -> Cursor:
        """This position, or the last of its epoch if that does not reach so far; an epoch of 0
        stands for the newest one."""
        lengths = self._places.lengths
        return Cursor(at.epoch, min(at.seq, lengths.get(at.epoch or max(lengths, default=0), 0)))

    async def next_of_kind(self, kind: str, at: int, step: int) -> int | None:
        """Place of the next (`step` 1) or previous (-1) event of that kind from `at`, or None."""
        if (stored := self.stored) is not None:
            here = self._places.cursor(at)
            return _place(self._places, await stored.next_of_kind(self._run_id, kind, here, step))
        return self._hot.nearest(lambda each: each.event.kind == kind, at, backwards=step < 0)

    async def next_gap(self, at: int, step: int) -> int | None:
        """Place of the next (`step` 1) or previous (-1) gap from `at`, or None."""
        gaps = [each for each in self._hot if isinstance(each, Gap)]
        if (stored := self.stored) is not None:
            gaps += await stored.read(partial(read_gaps, run_id=self._run_id))
        places = {self._places.first_of(each) for each in gaps}
        ahead = [each for each in places if (each > at if step > 0 else each < at)]
        return (min if step > 0 else max)(ahead, default=None)

    async def silences(self, least_s: float, most: int) -> list[int]:
        """Places of the events that end the longest silences of at least so many seconds, at most
        so many, in order."""
        if (stored := self.stored) is not None:
            query = partial(read_silences, run_id=self._run_id, least_s=least_s, most=most)
            return [self._places.of(each) for each in await stored.read(query)]
        events = [each for each in self._hot if isinstance(each, Envelope)]
        silent_s = [
            ((after.event.ts - before.event.ts).total_seconds(), self._places.first_of(after))
            for before, after in pairwise(events)
        ]
        longest = sorted((each for each in silent_s if each[0] >= least_s), reverse=True)[:most]
        return sorted(place for _, place in longest)

    async def turn(self, turn: int) -> int | None:
        """Place of the first event of that turn, or None."""
        if (stored := self.stored) is not None:
            return _place(self._places, await stored.turn(self._run_id, turn))
        return self._hot.nearest(lambda each: each.event.turn == turn, 0)

    async def at_time(self, at: datetime) -> int | None:
        """Place of the first event at that time or later, or None."""
        if (stored := self.stored) is not None:
            query = partial(read_nearest, run_id=self._run_id, condition="ts >= $wanted",
                            wanted=at.replace(tzinfo=None), at=Cursor(0, 0))  # fmt: skip
            return _place(self._places, await stored.read(query))
        return self._hot.nearest(lambda each: each.event.ts >= at, 0)

    async def first_after(self, at: datetime) -> int | None:
        """Place of the first event later than that, stored yet or not, or None."""
        here = self._hot.nearest(lambda each: each.event.ts > at, 0)
        oldest = next((event for _, event in self._hot.events(0)), None)
        stored = self.stored
        if stored is None or (oldest is not None and oldest.event.ts <= at):
            return here
        query = partial(read_nearest, run_id=self._run_id, condition="ts > $wanted",
                        wanted=at.replace(tzinfo=None), at=Cursor(0, 0))  # fmt: skip
        found = _place(self._places, await stored.read(query))
        return here if found is None else found

    async def search(self, text: str, after: int, backwards: bool = False) -> int | None:
        """Place of the next event, or previous if `backwards`, in which a person can see `text`
        (see `visible`), or None."""
        if (stored := self.stored) is not None:
            here = self._places.cursor(after)
            found = await stored.search(self._run_id, text, here, backwards)
            return _place(self._places, found)
        needle = as_in_payload(text).lower()
        events = self._hot.events(after, backwards)
        while some := batch_of(events):
            for place, event in some:
                payload = event.raw.decode()
                if needle in payload.lower() and needle in visible(payload):
                    return place
            await asyncio.sleep(0)  # keys and frames do not wait for a search
        return None

    async def matching(self, clauses: Clauses, first: int, last: int) -> tuple[list[int], int]:
        """The places from `first` on of events that match, in order, and up to which place these
        are all: not further than `last`, and only so far as is read at once."""
        stored = self.stored
        stored_last = self._hot.first - 1 if len(self._hot) else last
        if stored is not None and first <= min(last, stored_last):
            for span in self._places.spans(first, min(last, stored_last), SPAN):
                before = self._places.before(span.epoch)
                query = partial(read_matching, run_id=self._run_id, clauses=clauses,
                                epoch=span.epoch, first=span.first, last=span.last)  # fmt: skip
                return [before + seq for seq in await stored.read(query)], before + span.last
        held = self._hot.between(first, last, MATCHED_AT_ONCE)
        events = [each for each in held if isinstance(each, Envelope)]
        flags = await asyncio.to_thread(matching, clauses, events)
        found = [
            self._places.first_of(each)
            for each, flag in zip(events, flags, strict=True)
            if flag and self._places.first_of(each) >= first
        ]
        is_rest = len(held) < MATCHED_AT_ONCE
        return found, last if is_rest else min(last, self._places.last_of(held[-1]))

    async def events(self, places: Sequence[int]) -> list[tuple[int, Envelope]]:
        """The events at these places, each with its place."""
        held = [each for place in places for each in self._hot.between(place, place)]
        found = [(self._places.first_of(each), each) for each in held if isinstance(each, Envelope)]
        missing = [*set(places).difference(place for place, _ in found)]
        if missing and (stored := self.stored) is not None:
            at = [self._places.cursor(place) for place in missing]
            rows = await stored.read(partial(read_events, run_id=self._run_id, at=at))
            found += [(self._places.first_of(each), each) for each in rows]
        return found

    async def words(self) -> tuple[list[str], list[str]]:
        """The kinds and the agents that occur."""
        held = [each.event for _, each in self.at_hand()]
        kinds, agents = [each.kind for each in held], [each.agent_id or "" for each in held]
        if (stored := self.stored) is not None:
            more = await stored.read(partial(read_words, run_id=self._run_id))
            kinds, agents = more[0] + kinds, more[1] + agents
        return [*dict.fromkeys(kinds)], [*filter(None, dict.fromkeys(agents))]

    async def previous_prompt(self, agent_id: str | None, before: int) -> int | None:
        """Place of the agent's newest prompt before a place, or None."""
        if (stored := self.stored) is not None:
            here = self._places.cursor(before)
            query = partial(read_previous_prompt, run_id=self._run_id, agent_id=agent_id, at=here)
            return _place(self._places, await stored.read(query))
        return self._hot.nearest(
            lambda each: isinstance(each.event, LlmPrompt) and each.event.agent_id == agent_id,
            before, backwards=True,
        )  # fmt: skip


def batch_of(events: Iterator[tuple[int, Envelope]]) -> list[tuple[int, Envelope]]:
    """The next events to be searched at once."""
    some: list[tuple[int, Envelope]] = []
    size = 0
    while len(some) < _AT_ONCE and size < _BYTES_AT_ONCE and (each := next(events, None)):
        some.append(each)
        size += len(each[1].raw)
    return some


def _place(places: Places, cursor: Cursor | None) -> int | None:
    return None if cursor is None else places.of(cursor)
