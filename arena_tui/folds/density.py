"""How a run's events spread over its time, in equal slices. Reads nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from arena_tui.events import Delivery, Envelope, ErrorEvent, Gap

MARKS_MAX = 1_000
"""Most marks of one kind a density carries; a screen is narrower anyway."""

_MICROSECOND = timedelta(microseconds=1)


class Mark(Struct, frozen=True, kw_only=True):
    """Something worth seeing: an error, a gap or a bookmark, in the given slice of the run."""

    place: int
    kind: Literal["error", "gap", "bookmark"]
    slice: int
    note: str = ""


class Density(Struct, frozen=True, kw_only=True):
    """A run's events over its time, in equal slices from its first event to its newest.

    Attributes:
        counts: Events a slice.
        places: First place (see `Places`) at or after the beginning of each slice; ascending.
        marks: Errors, gaps and bookmarks, at most `MARKS_MAX` of each kind.
        first_at, last_at: Times of the run's first and newest event, UTC; None without events.
        lost: Events in gaps of known length; lost_unknown: gaps of unknown length.
    """

    counts: tuple[int, ...]
    places: tuple[int, ...]
    marks: tuple[Mark, ...]
    first_at: datetime | None
    last_at: datetime | None
    lost: int = 0
    lost_unknown: int = 0


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


def density_of(
    deliveries: Sequence[Delivery], slices: int, place_of: Callable[[Delivery], int] | None = None
) -> Density:
    """The density of deliveries, in order. A gap lies where the event before it does.

    `place_of` gives the place of a delivery, by default its seq. Knows no bookmarks.
    """
    stamps = [each.event.ts for each in deliveries if isinstance(each, Envelope)]
    if not stamps:
        return with_losses(empty_density(slices), deliveries)
    time = Slices(first_at=min(stamps), last_at=max(stamps), count=slices)
    first_at, width_us = time.first_at, time.width_us
    filled: dict[int, tuple[int, int]] = {}
    errors: list[Mark] = []
    gaps: list[Mark] = []
    index = last = 0
    for each in deliveries:
        place = each.first_seq if place_of is None else place_of(each)
        if isinstance(each, Gap):
            gaps.append(Mark(place=place, kind="gap", slice=index, note=each.reason))
            continue
        index = min(slices - 1, int((each.event.ts - first_at) // _MICROSECOND / width_us))
        events, first = filled.get(index, (0, place))
        filled[index] = events + 1, first
        last = place
        if isinstance(each.event, ErrorEvent):
            errors.append(Mark(place=place, kind="error", slice=index))
    density = time.density(filled, last, [*errors[:MARKS_MAX], *gaps[:MARKS_MAX]])
    return with_losses(density, deliveries)
