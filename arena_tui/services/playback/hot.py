"""The newest deliveries of one run, in memory, by place. Reads nothing itself."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from arena_tui.events import Delivery, Envelope, Gap
from arena_tui.folds.density import Within
from arena_tui.folds.places import Places

HELD_MAX: Final = 20_000
"""Older ones are read from the store."""
_AT_ONCE: Final = 1_000


class Hot:
    """What the broker has handed on of a run, the newest of it.

    Args:
        places: The run's.
        is_stored: Whether a store may have what is missing here.
        most: How many are kept at least; at most twice as many are.

    Attributes:
        gaps: What was missed, where a store may have it: what is older is not here any more.
    """

    def __init__(self, places: Places, is_stored: bool, most: int = HELD_MAX) -> None:
        self._places = places
        self._most = most
        self._is_stored = is_stored
        self.gaps: list[Gap] = []
        self._held: list[Delivery] = []

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._held)

    def add(self, batch: Sequence[Delivery]) -> None:
        """Take these in; the oldest go, and where a store may have what was missed, all before
        that."""
        self._held += batch
        if self._is_stored:
            self._let_go_of_missed(batch)
        if len(self._held) > 2 * self._most:
            del self._held[: -self._most]

    def newest(self, count: int) -> list[Delivery]:
        """The last so many, as far as they are still here."""
        return self._held[-count:] if count else []

    def missed(self, first: int, last: int) -> list[Gap]:
        """The gaps at these places that a store may have filled."""
        return [
            gap for gap in self.gaps
            if self._places.first_of(gap) <= last and self._places.last_of(gap) >= first
        ]  # fmt: skip

    @property
    def first(self) -> int:
        """First place that is here as well as anywhere; the one after all if there is none.

        The gap for an earlier stream that the broker begins with is not: the store may have the
        events.
        """
        for each in self._held:
            if not self._is_stored or not isinstance(each, Gap) or each.reason != "reset":
                return self._places.first_of(each)
        return self._places.last + 1

    @property
    def is_whole(self) -> bool:
        """Whether all of the run is here."""
        return bool(self._held) and self.first == 1

    def between(self, first: int, last: int, most: int = _AT_ONCE) -> list[Delivery]:
        """What is here of these places, at most so many deliveries."""
        start = bisect_left(self._held, first, key=self._places.last_of)
        end = bisect_right(self._held, last, key=self._places.first_of)
        return self._held[start : min(end, start + most)]

    def holds_of(self, place: int, within: Within) -> bool:
        """Whether the event there is here, and of that time."""
        return any(
            isinstance(each, Envelope) and within.first_at <= each.event.ts <= within.last_at
            for each in self.between(place, place)
        )

    def nearest(
        self, is_wanted: Callable[[Envelope], bool], at: int, backwards: bool = False
    ) -> int | None:
        """Place of the first event here after `at`, or the last one before, that is wanted."""
        found = (place for place, event in self.events(at, backwards) if is_wanted(event))
        return next(found, None)

    def events(self, at: int, backwards: bool = False) -> Iterator[tuple[int, Envelope]]:
        """The events after `at`, or those before, the nearest first, each with its place; what
        comes or goes meanwhile is left out."""
        if backwards:
            held = self._held[: bisect_left(self._held, at, key=self._places.first_of)]
            held.reverse()
        else:
            held = self._held[bisect_right(self._held, at, key=self._places.first_of) :]
        for each in held:
            if isinstance(each, Envelope):
                yield self._places.first_of(each), each

    def _let_go_of_missed(self, batch: Sequence[Delivery]) -> None:
        missed = [each for each in batch if isinstance(each, Gap) and each.reason != "reset"]
        if missed:
            self.gaps += missed
            newest = self._places.last_of(missed[-1])
            self._held = [each for each in self._held if self._places.first_of(each) > newest]
