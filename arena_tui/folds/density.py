"""How a run's events spread over its time, in equal slices. Reads nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from arena_tui.events import Delivery, Envelope, ErrorEvent, Gap

MARKS_MAX = 1_000
"""Most marks of one kind a density carries; a screen is narrower anyway."""

_MICROSECOND = timedelta(microseconds=1)


class Within(NamedTuple):
    """A part of a run's time, both ends included, UTC."""

    first_at: datetime
    last_at: datetime

    def zoomed(self, factor: float, at: datetime) -> Within:
        """So many times as short, with `at` where it was in it; longer by a factor below 1."""
        length = self.last_at - self.first_at
        share = (at - self.first_at) / length if length else 0.5
        first_at = at - length / factor * max(0.0, min(1.0, share))
        return Within(first_at, first_at + length / factor)

    def inside(self, whole: Within) -> Within:
        """As long, moved into the whole; that itself if it is longer."""
        length = self.last_at - self.first_at
        if length >= whole.last_at - whole.first_at:
            return whole
        first_at = max(whole.first_at, min(self.first_at, whole.last_at - length))
        return Within(first_at, first_at + length)


class Mark(Struct, frozen=True, kw_only=True):
    """Something worth seeing: an error, a gap or a bookmark, in the given slice of the run.

    Attributes:
        lost: How many places a gap takes; 0 of one of unknown length, and of all else.
    """

    place: int
    kind: Literal["error", "gap", "bookmark"]
    slice: int
    note: str = ""
    lost: int = 0


class Density(Struct, frozen=True, kw_only=True):
    """A run's events over its time or a part of it, in equal slices.

    Attributes:
        counts: Events a slice.
        places: First place (see `Places`) at or after the beginning of each slice; ascending.
        marks: The first error of each slice; gaps and bookmarks, at most `MARKS_MAX` of each.
        first_at, last_at: The beginning and the end of that time, UTC; those of the whole run are
            the times of its first and newest event. None without events.
        lost: Events in gaps of known length; lost_unknown: gaps of unknown length.
    """

    counts: tuple[int, ...]
    places: tuple[int, ...]
    marks: tuple[Mark, ...]
    first_at: datetime | None
    last_at: datetime | None
    lost: int = 0
    lost_unknown: int = 0

    def slice_of(self, place: int) -> int:
        """The slice that a place lies in."""
        return max(0, bisect_right(self.places, place) - 1)

    def missing(self) -> set[int]:
        """The slices that gaps cover: those between the event before and the one after, or that of
        the event before."""
        covered: set[int] = set()
        for mark in self.marks:
            if mark.kind == "gap":
                end = self.slice_of(mark.place + mark.lost) if mark.lost else 0
                covered.update(range(mark.slice + 1, end) or [mark.slice])
        return covered


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
        self, filled: Mapping[int, tuple[int, int]], last: int, marks: Sequence[Mark]
    ) -> Density:
        """The density, given events and first place of each slice that has any."""
        counts, places = [0] * self.count, [last] * self.count
        for index, (events, place) in filled.items():
            counts[index], places[index] = events, place
        for index in range(self.count - 2, -1, -1):
            places[index] = min(places[index], places[index + 1])
        return Density(
            counts=tuple(counts), places=tuple(places), marks=tuple(marks),
            first_at=self.first_at, last_at=self.last_at,
        )  # fmt: skip


def empty_density(slices: int) -> Density:
    return Density(
        counts=(0,) * slices, places=(1,) * slices, marks=(), first_at=None, last_at=None
    )


def with_losses(density: Density, deliveries: Iterable[Delivery]) -> Density:
    """The density, with the losses that the gaps among these deliveries stand for."""
    gaps = [each for each in deliveries if isinstance(each, Gap)]
    return replace(
        density, lost=sum(gap.count for gap in gaps), lost_unknown=sum(gap.unknown for gap in gaps)
    )


def with_unstored(density: Density, gaps: Iterable[tuple[int, Gap]]) -> Density:
    """The density of events at hand, with the gaps that a store has in their place.

    Each gap has its place. Those that are missing here, too, count once.
    """
    known = {mark.place for mark in density.marks if mark.kind == "gap"}
    more = [(place, gap) for place, gap in gaps if place not in known]
    marks = [_gap_mark(gap, place, density.slice_of(place)) for place, gap in more[:MARKS_MAX]]
    return replace(
        density, marks=(*density.marks, *marks),
        lost=density.lost + sum(gap.count for _, gap in more),
        lost_unknown=density.lost_unknown + sum(gap.unknown for _, gap in more),
    )  # fmt: skip


def with_bookmarks(density: Density, places: Sequence[int]) -> Density:
    """The density with marks for bookmarks at these places."""
    marks = [Mark(place=place, kind="bookmark", slice=density.slice_of(place))
             for place in places[:MARKS_MAX]]  # fmt: skip
    return replace(density, marks=(*density.marks, *marks))


def density_of(
    deliveries: Sequence[Delivery], slices: int,
    place_of: Callable[[Delivery], int] | None = None, within: Within | None = None,
) -> Density:  # fmt: skip
    """The density of deliveries, in order, or of those within a time. A gap lies where the event
    before it does.

    `place_of` gives the place of a delivery, by default its seq. Knows no bookmarks.
    """
    stamps = [each.event.ts for each in deliveries if isinstance(each, Envelope)]
    if not stamps:
        return with_losses(empty_density(slices), deliveries)
    within = within or Within(min(stamps), max(stamps))
    time = Slices(first_at=within.first_at, last_at=within.last_at, count=slices)
    first_at, width_us = time.first_at, time.width_us
    filled: dict[int, tuple[int, int]] = {}
    errors: dict[int, Mark] = {}
    gaps: list[Mark] = []
    index = last = 0
    is_inside = within.first_at <= min(stamps)
    for each in deliveries:
        place = each.first_seq if place_of is None else place_of(each)
        if isinstance(each, Gap):
            if is_inside:
                gaps.append(_gap_mark(each, place, index))
            continue
        is_inside = within.first_at <= each.event.ts <= within.last_at
        if not is_inside:
            continue
        index = min(slices - 1, int((each.event.ts - first_at) // _MICROSECOND / width_us))
        events, first = filled.get(index, (0, place))
        filled[index] = events + 1, first
        last = max(last, place)
        if isinstance(each.event, ErrorEvent):
            errors.setdefault(index, Mark(place=place, kind="error", slice=index))
    density = time.density(
        filled, last, [*(errors[each] for each in sorted(errors)), *gaps[:MARKS_MAX]]
    )
    return with_losses(density, deliveries)


def _gap_mark(gap: Gap, place: int, index: int) -> Mark:
    return Mark(place=place, kind="gap", slice=index, note=gap.reason, lost=gap.count)
