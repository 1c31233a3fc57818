"""How a run's events spread over its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from arena_tui.events import Delivery, ErrorEvent, Event, Gap, LogEvent
from arena_tui.folds.density import MARKS_MAX, density_of, with_unstored
from tests.envelopes import envelope

AT = datetime(2026, 1, 2, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def run_of(*events: Event) -> list[Delivery]:
    return [envelope("a", 7, seq, event) for seq, event in enumerate(events, 1)]


def test_every_event_is_counted_in_its_slice() -> None:
    run = run_of(*(LogEvent(ts=at(seconds)) for seconds in (0, 1, 2, 30, 99, 99.9)))

    density = density_of(run, 10)

    assert density.counts == (3, 0, 0, 1, 0, 0, 0, 0, 0, 2)
    assert density.places == (1, 4, 4, 4, 5, 5, 5, 5, 5, 5)
    assert (density.first_at, density.last_at) == (at(0), at(99.9))
    assert density.marks == ()


def test_errors_lie_in_their_slice_and_gaps_where_the_event_before_does() -> None:
    run: list[Delivery] = [
        Gap("a", 7, 1, 2, "trimmed"),
        envelope("a", 7, 3, LogEvent(ts=at(0))),
        envelope("a", 7, 4, ErrorEvent(ts=at(50))),
        Gap("a", 7, 5, 8, "quarantined"),
        envelope("a", 7, 9, LogEvent(ts=at(100))),
    ]

    marks = density_of(run, 4).marks

    assert [(mark.kind, mark.place, mark.slice, mark.note) for mark in marks] == [
        ("error", 4, 1, ""),
        ("gap", 1, 0, "trimmed"),
        ("gap", 5, 1, "quarantined"),
    ]


def test_a_gap_covers_the_slices_between_its_events_and_no_others() -> None:
    run: list[Delivery] = [
        envelope("a", 7, 1, LogEvent(ts=at(0))),
        Gap("a", 7, 2, 9, "trimmed"),
        envelope("a", 7, 10, LogEvent(ts=at(40))),
        envelope("a", 7, 11, LogEvent(ts=at(61))),
        Gap("a", 7, 12, 20, "trimmed"),
        envelope("a", 7, 21, LogEvent(ts=at(62))),
        envelope("a", 7, 22, LogEvent(ts=at(100))),
    ]

    density = density_of(run, 10)

    assert density.counts == (1, 0, 0, 1, 0, 0, 2, 0, 0, 1)
    assert density.missing() == {1, 2, 6}


def test_what_a_store_lacks_is_a_gap_though_its_events_are_at_hand() -> None:
    run = run_of(*(LogEvent(ts=at(seconds)) for seconds in range(100)))
    density = density_of(run, 10)
    lacking = [(21, Gap("a", 7, 21, 60, "trimmed")), (90, Gap("a", 7, 90, 91, "trimmed"))]

    shown = with_unstored(density, lacking)

    assert (shown.counts, shown.lost) == (density.counts, 42)
    assert shown.missing() == {3, 4, 5, 8}
    assert with_unstored(shown, lacking) == shown


def test_a_clock_that_runs_backwards_loses_no_event() -> None:
    run = run_of(*(LogEvent(ts=at(seconds)) for seconds in (6, 0, 10, 3)))

    density = density_of(run, 2)

    assert density.counts == (2, 2)
    assert (density.first_at, density.last_at) == (at(0), at(10))


@pytest.mark.parametrize("run", [[], [Gap("a", 7, 1, 9, "reaped")]])
def test_without_events_there_is_no_time(run: list[Delivery]) -> None:
    density = density_of(run, 3)

    assert density.counts == (0, 0, 0)
    assert density.first_at is None


def test_gaps_are_marked_up_to_a_bound_and_all_counted() -> None:
    run: list[Delivery] = []
    for seq in range(1, 2 * MARKS_MAX + 11, 2):
        run += [envelope("a", 7, seq, LogEvent(ts=at(seq))), Gap("a", 7, seq + 1, seq + 1, "reset")]

    density = density_of(run, 10)

    assert len(density.marks) == MARKS_MAX
    assert density.lost == MARKS_MAX + 5


def test_the_first_error_of_each_slice_is_marked() -> None:
    run = run_of(*(ErrorEvent(ts=at(seconds)) for seconds in range(100)))

    density = density_of(run, 10)

    assert [(mark.place, mark.slice) for mark in density.marks] == [
        (10 * slice + 1, slice) for slice in range(10)
    ]
