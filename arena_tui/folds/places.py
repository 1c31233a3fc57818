"""Numbers what a run holds over all its epochs, so that one number is a position. Reads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from arena_tui.broker.protocol import Cursor
from arena_tui.events import Delivery, Gap


class Span(NamedTuple):
    """Seqs `first..last` (both inclusive) of one epoch."""

    epoch: int
    first: int
    last: int


class Places:
    """The places of one run, from 1: the seqs of its oldest epoch, then those of the next.

    In a run of one epoch a place is a seq. An empty gap that ends an epoch has a place of its own:
    nobody knows how many events it stands for.

    Args:
        lengths: Number of places by epoch.
    """

    def __init__(self, lengths: Mapping[int, int] | None = None) -> None:
        self._lengths = dict(sorted((lengths or {}).items()))
        self._before: dict[int, int] = {}

    @property
    def last(self) -> int:
        """The newest place; 0 while there is none."""
        return sum(self._lengths.values())

    @property
    def lengths(self) -> Mapping[int, int]:
        """Number of places by epoch, oldest first."""
        return self._lengths

    @property
    def epochs(self) -> list[int]:
        """The run's epochs, oldest first."""
        return list(self._lengths)

    def reach(self, delivery: Delivery) -> None:
        """Make room for the delivery, if it lies beyond what is known of its epoch."""
        epoch, last = delivery.epoch, max(delivery.first_seq, delivery.last_seq)
        if epoch not in self._lengths:
            self._lengths = dict(sorted([*self._lengths.items(), (epoch, last)]))
            self._before.clear()
        elif last > self._lengths[epoch]:
            self._lengths[epoch] = last
            self._before.clear()

    def before(self, epoch: int) -> int:
        """How many places lie before the epoch."""
        before = self._before.get(epoch)
        if before is None:
            before = sum(length for each, length in self._lengths.items() if each < epoch)
            self._before[epoch] = before
        return before

    def of(self, cursor: Cursor) -> int:
        """The place of the event at the cursor."""
        return self.before(cursor.epoch) + cursor.seq

    def after(self, cursor: Cursor) -> int:
        """The place after everything up to and including the cursor."""
        return self.before(cursor.epoch) + min(cursor.seq, self._lengths.get(cursor.epoch, 0)) + 1

    def range_of(self, delivery: Delivery) -> range:
        """The places of a delivery; of an empty gap only its first."""
        before = self.before(delivery.epoch)
        if isinstance(delivery, Gap):
            last = max(delivery.from_seq, delivery.to_seq)
            return range(before + delivery.from_seq, before + last + 1)
        place = before + delivery.seq
        return range(place, place + 1)

    def first_of(self, delivery: Delivery) -> int:
        return self.before(delivery.epoch) + delivery.first_seq

    def last_of(self, delivery: Delivery) -> int:
        return self.range_of(delivery)[-1]

    def cursor(self, place: int) -> Cursor:
        """Epoch and seq of a place; beyond the newest one, of the newest epoch."""
        newest = 0
        for epoch, length in self._lengths.items():
            if place <= length:
                return Cursor(epoch, place)
            newest, place = epoch, place - length
        return Cursor(newest, place + self._lengths.get(newest, 0))

    def spans(self, first: int, last: int, size: int | None = None) -> Iterator[Span]:
        """What lies from place `first` to `last`, in order, at most `size` seqs a span."""
        start = 1
        for epoch, length in self._lengths.items():
            low, high = max(first - start + 1, 1), min(last - start + 1, length)
            for seq in range(low, high + 1, size or max(1, high)):
                yield Span(epoch, seq, high if size is None else min(high, seq + size - 1))
            start += length
