"""A cache of the deliveries around one position in a run, by place. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from arena_tui.events import Delivery

_REACH: Final = 5_000
_HELD_MAX: Final = 4 * _REACH


class Nearby:
    """A bounded cache around a position: when full, it evicts what is far from there.

    A gap is cached at each of its places.

    Args:
        places_of: The places of a delivery (see `Places`).
    """

    def __init__(self, places_of: Callable[[Delivery], range]) -> None:
        self._places_of = places_of
        self._held: dict[int, Delivery] = {}

    def get(self, place: int) -> Delivery | None:
        """The delivery at `place`; None if it is not cached."""
        return self._held.get(place)

    def holds(self, first: int, last: int) -> bool:
        """Whether everything from `first` to `last` is cached."""
        return all(place in self._held for place in range(first, last + 1))

    def between(self, first: int, last: int) -> list[Delivery] | None:
        """Deliveries that begin from `first` to `last`, in order; None unless all are cached."""
        found: list[Delivery] = []
        for place in range(first, last + 1):
            delivery = self._held.get(place)
            if delivery is None:
                return None
            if self._places_of(delivery).start == place:
                found.append(delivery)
        return found

    def keep(self, deliveries: Iterable[Delivery], at: int) -> None:
        """Cache those within reach of `at`, replacing earlier ones."""
        first, last = at - _REACH, at + _REACH
        for delivery in deliveries:
            places = self._places_of(delivery)
            if places.start < first or places.stop - 1 > last:
                places = range(max(first, places.start), min(last + 1, places.stop))
            for place in places:
                self._held[place] = delivery
        if len(self._held) > _HELD_MAX:
            self._held = {at: each for at, each in self._held.items() if first <= at <= last}

    def clear(self) -> None:
        self._held.clear()
