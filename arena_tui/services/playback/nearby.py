"""A cache of the deliveries around one position in a run, by seq. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from arena_tui.events import Delivery, Gap

__all__ = ["Nearby"]

_REACH: Final = 5_000
_HELD_MAX: Final = 4 * _REACH


class Nearby:
    """A bounded cache around a position: when full, it evicts what is far from there.

    A gap is cached at each of its seqs.
    """

    def __init__(self) -> None:
        self._held: dict[int, Delivery] = {}

    def get(self, seq: int) -> Delivery | None:
        """The delivery at `seq`; None if it is not cached."""
        return self._held.get(seq)

    def holds(self, first: int, last: int) -> bool:
        """Whether everything from `first` to `last` is cached."""
        return all(seq in self._held for seq in range(first, last + 1))

    def between(self, first: int, last: int) -> list[Delivery] | None:
        """Deliveries that begin from `first` to `last`, in order; None unless all are cached."""
        found: list[Delivery] = []
        for seq in range(first, last + 1):
            delivery = self._held.get(seq)
            if delivery is None:
                return None
            if _seqs(delivery).start == seq:
                found.append(delivery)
        return found

    def keep(self, deliveries: Iterable[Delivery], at: int) -> None:
        """Cache those within reach of `at`, replacing earlier ones."""
        first, last = at - _REACH, at + _REACH
        for delivery in deliveries:
            seqs = _seqs(delivery)
            for seq in range(max(first, seqs.start), min(last + 1, seqs.stop)):
                self._held[seq] = delivery
        if len(self._held) > _HELD_MAX:
            self._held = {seq: each for seq, each in self._held.items() if first <= seq <= last}

    def clear(self) -> None:
        """Evict everything."""
        self._held.clear()


def _seqs(delivery: Delivery) -> range:
    """The seqs it is cached at; for a gap of unknown length, only its first."""
    if isinstance(delivery, Gap):
        return range(delivery.from_seq, max(delivery.from_seq, delivery.to_seq) + 1)
    return range(delivery.seq, delivery.seq + 1)
