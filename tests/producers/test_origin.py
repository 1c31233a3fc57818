"""A line is told by its own content and that of the lines before it in its run."""

from __future__ import annotations

import pytest

from arena_tui.errors import RunClosedError
from arena_tui.events import Event, LogEvent, RunEnd, RunStart
from arena_tui.producers.origin import Place, Tracker


def placed(*lines: tuple[str, Event, bytes]) -> list[Place]:
    tracker = Tracker()
    places = []
    for run_id, event, raw in lines:
        place = tracker.next(run_id, event, raw)
        tracker.keep(run_id, place)
        places.append(place)
    return places


def test_lines_of_other_runs_change_nothing() -> None:
    alone = placed(("a", LogEvent(), b"1"), ("a", LogEvent(), b"2"))
    among = placed(("a", LogEvent(), b"1"), ("b", LogEvent(), b"x"), ("a", LogEvent(), b"2"))

    assert among[::2] == alone


def test_the_same_line_after_another_one_is_another() -> None:
    one = placed(("a", LogEvent(), b"1"), ("a", LogEvent(), b"2"))[-1]
    other = placed(("a", LogEvent(), b"0"), ("a", LogEvent(), b"2"))[-1]

    assert one.lines == other.lines
    assert one.digest != other.digest


def test_a_start_begins_the_next_chain_also_after_an_end() -> None:
    places = placed(
        ("a", RunStart(game="g"), b"s"), ("a", RunEnd(), b"e"), ("a", RunStart(game="g"), b"s")
    )

    assert [(each.number, each.lines) for each in places] == [(1, 1), (1, 2), (2, 1)]
    assert places[0].digest == places[2].digest


def test_after_the_end_nothing_else_counts() -> None:
    tracker = Tracker()
    tracker.keep("a", tracker.next("a", RunEnd(), b"e"))

    with pytest.raises(RunClosedError):
        tracker.next("a", LogEvent(), b"1")


def test_what_is_not_kept_does_not_count() -> None:
    tracker = Tracker()
    tracker.next("a", LogEvent(), b"refused")

    assert tracker.next("a", LogEvent(), b"1") == placed(("a", LogEvent(), b"1"))[0]
