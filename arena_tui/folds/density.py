"""How a run's events spread over its time, in equal slices. Reads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from arena_tui.events import Delivery, Envelope, ErrorEvent, Gap

__all__ = ["MARKS_MAX", "Density", "Mark", "Slices", "density_of", "empty_density"]

MARKS_MAX = 1_000
"""Most marks of one kind a density carries; a screen is narrower anyway."""

_MICROSECOND = timedelta(microseconds=1)


class Mark(Struct, frozen=True, kw_only=True):
    """Something worth seeing: an error, a gap or a bookmark, in the given slice of the run."""

    seq: int
    kind: Literal["error", "gap", "bookmark"]
    slice: int
    note: str = ""


class Density(Struct, frozen=True, kw_only=True):
    """A run's events over its time, in equal slices from its first event to its newest.

    Attributes:
        counts: Events a slice.
        seqs: First seq at or after the beginning of each slice; ascending.
        marks: Errors, gaps and bookmarks, at most `MARKS_MAX` of each kind.
        first_at, last_at: Times of the run's first and newest event, UTC; None without events.
    """

    counts: tuple[int, ...]
    seqs: tuple[int, ...]
    marks: tuple[Mark, ...]
    first_at: datetime | None
    last_at: datetime | None


class Slices(Struct, frozen=True, kw_only=True):
    """The time from `first_at` to `last_at`, both inclusive, in `count` equal slices."""

    first_at: datetime
    last_at: datetime
    count: int

    @property
    def width_us(self) -> float:
        """Microseconds a slice."""
        return ((self.last_at - self.first_at) // _MICROSECOND + 1) / self.count

    def density(
        self, filled: Mapping[int, tuple[int, int]], last_seq: int, marks: Sequence[Mark]
    ) -> Density:
        """The density, given events and first seq of each slice that has any."""
        counts, seqs = [0] * self.count, [last_seq] * self.count
        for index, (events, seq) in filled.items():
            counts[index], seqs[index] = events, seq
        for index in range(self.count - 2, -1, -1):
            seqs[index] = min(seqs[index], seqs[index + 1])
        return Density(
            counts=tuple(counts),
            seqs=tuple(seqs),
            marks=tuple(marks),
            first_at=self.first_at,
            last_at=self.last_at,
        )


def empty_density(slices: int) -> Density:
    """The density of a run without events."""
    return Density(counts=(0,) * slices, seqs=(1,) * slices, marks=(), first_at=None, last_at=None)


def density_of(deliveries: Sequence[Delivery], slices: int) -> Density:
    """The density of one epoch's deliveries, in order. A gap lies where the event before it does.

    Knows no bookmarks.
    """
    stamps = [each.event.ts for each in deliveries if isinstance(each, Envelope)]
    if not stamps:
        return empty_density(slices)
    time = Slices(first_at=min(stamps), last_at=max(stamps), count=slices)
    first_at, width_us = time.first_at, time.width_us
    filled: dict[int, tuple[int, int]] = {}
    errors: list[Mark] = []
    gaps: list[Mark] = []
    index = last_seq = 0
    for each in deliveries:
        if isinstance(each, Gap):
            gaps.append(Mark(seq=each.from_seq, kind="gap", slice=index, note=each.reason))
            continue
        index = min(slices - 1, int((each.event.ts - first_at) // _MICROSECOND / width_us))
        events, seq = filled.get(index, (0, each.seq))
        filled[index] = events + 1, seq
        last_seq = each.seq
        if isinstance(each.event, ErrorEvent):
            errors.append(Mark(seq=each.seq, kind="error", slice=index))
    return time.density(filled, last_seq, [*errors[:MARKS_MAX], *gaps[:MARKS_MAX]])
