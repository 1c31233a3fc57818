"""All places in a run at which a text is found, as they are found. Moves nothing, draws nothing."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import Final

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Envelope, Gap
from arena_tui.folds.visible import line_with, visible
from arena_tui.services.playback.reading import ReadsOn
from arena_tui.services.playback.seeker import batch_of
from arena_tui.services.playback.tape import RunTape
from arena_tui.store.rows import as_in_payload
from arena_tui.store.searching import Hit, Search

HITS_MAX: Final = 10_000
"""A list ends with so many hits."""


class HitList(ReadsOn):
    """The hits of one text, which come while it is `lacking` and `read_on` runs.

    Attributes:
        text: What is looked for, ignoring case; "" for nothing.
        hits: What was found by now, in order; at most `HITS_MAX`.
        version: Increases when hits come or go.
    """

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.hits: list[Hit] = []
        self.version = 0
        self._has_ended = not text

    @property
    def lacking(self) -> bool:
        return not self._has_ended

    @property
    def is_full(self) -> bool:
        """Whether there is no room for more."""
        return len(self.hits) >= HITS_MAX

    @property
    def counted(self) -> str:
        """`12 hits`; `the first 10,000 hits` where there is no room for more."""
        if self.is_full:
            return f"the first {HITS_MAX:,} hits"
        count = len(self.hits)
        return "1 hit" if count == 1 else f"{count:,} hits" if count else "no hits"

    @property
    @abstractmethod
    def where(self) -> str:
        """Where it was looked for by now, for the screen."""

    def stop(self) -> None:
        """Look no further; what was found stays."""
        self._has_ended = True

    def give_up(self) -> None:
        """See `ReadsOn`."""
        self.stop()


class RunHits(HitList):
    """The hits in one run, by place: those in the store first, then those at hand, then those that
    the broker missed meanwhile.

    A live run is `extend`ed; what it brings is found until the list is full.
    """

    def __init__(self, tape: RunTape) -> None:
        super().__init__()
        self._tape = tape
        self._wanted = ""
        self._places: list[int] = []
        self._shown: tuple[int, ...] = ()
        self._shown_of = 0
        self._is_told = True
        self._search: Search | None = None
        self._at_hand: Iterator[tuple[int, Envelope]] | None = None
        self._missed: list[Gap] = []
        self._missed_known = 0

    @property
    def places(self) -> Sequence[int]:
        """Of each hit, in order; the same object until hits come or go."""
        if self._shown_of != self.version:
            self._shown, self._shown_of = tuple(self._places), self.version
        return self._shown

    @property
    def where(self) -> str:
        return "searching this run" if self.lacking else "in this run"

    def look_for(self, text: str) -> None:
        """Forget all, and look for this text from the start."""
        self.text, self._wanted = text, as_in_payload(text).lower()
        self.hits, self._places = [], []
        self.version += 1
        self._is_told = not text
        self._begin_anew()

    def extend(self, news: Sequence[Delivery]) -> None:
        """Take in what is new in a live run. What the broker has missed of it is looked for in the
        store, after all else."""
        if not self.text or self.is_full:
            return
        self._add(self._found(each for each in news if isinstance(each, Envelope)))
        missed = self._tape.seek.missed
        anew = [each for each in news if isinstance(each, Gap)]
        anew += missed[self._missed_known :]
        self._missed_known = len(missed)
        if anew and not self.is_full:
            self._missed += anew
            self._has_ended = False

    def news(self) -> str | None:
        """`12 hits`, once all are found; None if that was said, or is not known yet."""
        if self._is_told or self.lacking:
            return None
        self._is_told = True
        return f"{self.counted}: h lists them" if self.hits else None

    async def read_next(self) -> None:
        """One batch."""
        text, seek = self.text, self._tape.seek
        if self._at_hand is None:
            at_hand = seek.at_hand()
            search = await self._search_of_store()
            if text == self.text:
                self._search, self._at_hand = search, iter(at_hand)
        elif self._search is not None and seek.stored is not None and not self._search.is_over:
            search = copy(self._search)  # when this is cancelled, its thread may go on with it
            found = await seek.stored.read(search.read)
            if text == self.text:
                self._search = search
                self._add((self._tape.place_of(Cursor(hit.epoch, hit.seq)), hit) for hit in found)
        elif some := batch_of(self._at_hand):
            self._add(self._found(each for _, each in some))
            await asyncio.sleep(0)  # keys and frames do not wait for it
        elif self._missed:
            gap = self._missed[0]
            last = None if gap.unknown else gap.last_seq
            search = await self._search_of_store(gap.first_seq, last)
            if text == self.text:
                self._search, self._missed = search, self._missed[1:]
        else:
            self._has_ended = True

    def _begin_anew(self) -> None:
        self._search = self._at_hand = None
        self._missed, self._missed_known = [], len(self._tape.seek.missed)
        self._has_ended = not self.text

    async def _search_of_store(self, first: int = 0, last: int | None = None) -> Search | None:
        """What searches these seqs of the run in the store; None if nothing of it is in that
        alone."""
        stored = self._tape.seek.stored
        if stored is None:
            return None
        try:
            runs = [await stored.run(self._tape.run_id)]
        except UnknownRunError:  # not stored yet
            return None
        return Search(self.text, runs, first=first, last=last)

    def _found(self, events: Iterable[Envelope]) -> Iterator[tuple[int, Hit]]:
        for each in events:
            payload = each.raw.decode()
            if self._wanted in payload.lower() and self._wanted in visible(payload):
                event, place = each.event, self._tape.places_of(each).start
                yield place, Hit(
                    each.run_id, each.epoch, each.seq, event.ts, event.kind, event.agent_id,
                    event.turn, line_with(payload, self.text),
                )  # fmt: skip

    def _add(self, found: Iterable[tuple[int, Hit]]) -> None:
        for place, hit in found:
            at = bisect_left(self._places, place)
            if self._places[at : at + 1] != [place]:
                self._places.insert(at, place)
                self.hits.insert(at, hit)
                self.version += 1
            if self.is_full:
                self.stop()
                break
