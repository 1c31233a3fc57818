"""Sets of seqs, kept as ranges."""

from __future__ import annotations

from arena_tui.events import Gap


class SeqRanges:
    """A set of seqs by epoch; lets a run count an event that several consumers lost once.

    Attributes:
        size: Number of seqs in the set.
    """

    __slots__ = ("_ranges", "size")

    def __init__(self) -> None:
        self.size = 0
        self._ranges: dict[int, list[tuple[int, int]]] = {}

    def add(self, gap: Gap) -> int:
        """Add the seqs of a gap; returns how many of them were not in the set."""
        new = self._add(gap.epoch, gap.from_seq, gap.to_seq) if gap.count > 0 else 0
        self.size += new
        return new

    def _add(self, epoch: int, first: int, last: int) -> int:
        ranges = self._ranges.setdefault(epoch, [])
        new = last - first + 1
        if ranges and ranges[-1][1] == first - 1:  # common case: extends the newest range
            ranges[-1] = ranges[-1][0], last
            return new
        apart: list[tuple[int, int]] = []
        low, high = first, last
        for start, end in ranges:
            if end < first - 1 or start > last + 1:
                apart.append((start, end))
                continue
            new -= max(0, min(end, last) - max(start, first) + 1)
            low, high = min(low, start), max(high, end)
        self._ranges[epoch] = sorted([*apart, (low, high)])
        return new
