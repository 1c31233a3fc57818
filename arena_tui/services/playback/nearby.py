"""The deliveries around one place of a run, by seq. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from arena_tui.events import Delivery, Gap

__all__ = ["Nearby"]

_REACH: Final = 5_000
_HELD_MAX: Final = 4 * _REACH


class Nearby:
    """A cache that follows a position: what is far from it goes when room is needed.

    A gap stands at each of its seqs.
    """

    def __init__(self) -> None:
        self._held: dict[int, Delivery] = {}

    def get(self, seq: int) -> Delivery | None:
        """What stands at `seq`; None when it is not at hand."""
        return self._held.get(seq)

    def holds(self, first: int, last: int) -> bool:
        """Whether everything from `first` to `last` is at hand."""
        return all(seq in self._held for seq in range(first, last + 1))

    def between(self, first: int, last: int) -> list[Delivery] | None:
        """What begins there, in order; None unless all of it is at hand."""
        found: list[Delivery] = []
        for seq in range(first, last + 1):
            delivery = self._held.get(seq)
            if delivery is None:
                return None
            if _seqs(delivery).start == seq:
                found.append(delivery)
        return found

    def keep(self, deliveries: Iterable[Delivery], at: int) -> None:
        """Keep those within reach of `at`; they take the place of what stood there."""
        first, last = at - _REACH, at + _REACH
        for delivery in deliveries:
            seqs = _seqs(delivery)
            for seq in range(max(first, seqs.start), min(last + 1, seqs.stop)):
                self._held[seq] = delivery
        if len(self._held) > _HELD_MAX:
            self._held = {seq: each for seq, each in self._held.items() if first <= seq <= last}

    def clear(self) -> None:
        """Let everything go."""
        self._held.clear()


def _seqs(delivery: Delivery) -> range:
    """The seqs it stands at; a gap of unknown length stands where it begins."""
    if isinstance(delivery, Gap):
        return range(delivery.from_seq, max(delivery.from_seq, delivery.to_seq) + 1)
    return range(delivery.seq, delivery.seq + 1)
