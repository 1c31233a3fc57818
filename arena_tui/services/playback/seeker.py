"""Finds places in one run, in the store or at hand. Moves nothing."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import Final

from arena_tui.broker.protocol import Cursor
from arena_tui.events import Gap, LlmPrompt
from arena_tui.folds.places import Places
from arena_tui.folds.visible import visible
from arena_tui.services.playback.hot import Hot
from arena_tui.store.history import History
from arena_tui.store.rows import as_in_payload
from arena_tui.store.windows import read_gaps, read_nearest, read_previous_prompt

_AT_ONCE: Final = 200
"""Events searched before anything else has its turn."""


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
    def _stored(self) -> History | None:
        """The store, if anything of the run is not at hand."""
        return None if self._hot.is_whole else self._history

    @property
    def first(self) -> int:
        """First place that can be read: where nothing is stored, that of the oldest event that the
        broker held."""
        if self._history is not None:
            return 1
        return next((place for place, _ in self._hot.events(0)), self._places.last + 1)

    async def next_of_kind(self, kind: str, at: int, step: int) -> int | None:
        """Place of the next (`step` 1) or previous (-1) event of that kind from `at`, or None."""
        if (stored := self._stored) is not None:
            here = self._places.cursor(at)
            return _place(self._places, await stored.next_of_kind(self._run_id, kind, here, step))
        return self._hot.nearest(lambda each: each.event.kind == kind, at, backwards=step < 0)

    async def next_gap(self, at: int, step: int) -> int | None:
        """Place of the next (`step` 1) or previous (-1) gap from `at`, or None."""
        gaps = [each for each in self._hot if isinstance(each, Gap)]
        if (stored := self._stored) is not None:
            gaps += await stored.read(partial(read_gaps, run_id=self._run_id))
        places = {self._places.first_of(each) for each in gaps}
        ahead = [each for each in places if (each > at if step > 0 else each < at)]
        return (min if step > 0 else max)(ahead, default=None)

    async def turn(self, turn: int) -> int | None:
        """Place of the first event of that turn, or None."""
        if (stored := self._stored) is not None:
            return _place(self._places, await stored.turn(self._run_id, turn))
        return self._hot.nearest(lambda each: each.event.turn == turn, 0)

    async def at_time(self, at: datetime) -> int | None:
        """Place of the first event at that time or later, or None."""
        if (stored := self._stored) is not None:
            query = partial(read_nearest, run_id=self._run_id, condition="ts >= $wanted",
                            wanted=at.replace(tzinfo=None), at=Cursor(0, 0))  # fmt: skip
            return _place(self._places, await stored.read(query))
        return self._hot.nearest(lambda each: each.event.ts >= at, 0)

    async def first_after(self, at: datetime) -> int | None:
        """Place of the first event later than that, stored yet or not, or None."""
        here = self._hot.nearest(lambda each: each.event.ts > at, 0)
        oldest = next((event for _, event in self._hot.events(0)), None)
        stored = self._stored
        if stored is None or (oldest is not None and oldest.event.ts <= at):
            return here
        query = partial(read_nearest, run_id=self._run_id, condition="ts > $wanted",
                        wanted=at.replace(tzinfo=None), at=Cursor(0, 0))  # fmt: skip
        found = _place(self._places, await stored.read(query))
        return here if found is None else found

    async def search(self, text: str, after: int, backwards: bool = False) -> int | None:
        """Place of the next event, or previous if `backwards`, in which a person can see `text`
        (see `visible`), or None."""
        if (stored := self._stored) is not None:
            here = self._places.cursor(after)
            found = await stored.search(self._run_id, text, here, backwards)
            return _place(self._places, found)
        needle = as_in_payload(text).lower()
        for number, (place, event) in enumerate(self._hot.events(after, backwards), start=1):
            payload = event.raw.decode()
            if needle in payload.lower() and needle in visible(payload):
                return place
            if not number % _AT_ONCE:
                await asyncio.sleep(0)  # keys and frames do not wait for a search
        return None

    async def previous_prompt(self, agent_id: str | None, before: int) -> int | None:
        """Place of the agent's newest prompt before a place, or None."""
        if (stored := self._stored) is not None:
            here = self._places.cursor(before)
            query = partial(read_previous_prompt, run_id=self._run_id, agent_id=agent_id, at=here)
            return _place(self._places, await stored.read(query))
        return self._hot.nearest(
            lambda each: isinstance(each.event, LlmPrompt) and each.event.agent_id == agent_id,
            before, backwards=True,
        )  # fmt: skip


def _place(places: Places, cursor: Cursor | None) -> int | None:
    return None if cursor is None else places.of(cursor)
