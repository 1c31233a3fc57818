"""The handle of one run: what happened, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from arena_tui.codec import sealed
from arena_tui.errors import EventError
from arena_tui.events import Event, LogEvent, utc_now
from arena_tui.producers.run import Run

THEN = datetime(2019, 5, 1, 12, tzinfo=UTC)


class Recorder:
    """Keeps what a run emits, as all consumers would see it."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, _: str, event: Event) -> None:
        self.events.append(sealed(event)[0])


def test_whatever_is_recorded_happened_when_the_run_was_told() -> None:
    recorder = Recorder()

    with Run(recorder.emit, "chess", ["white"]).at(THEN) as run:
        run.turn(1, player="white")
        run.at(THEN + timedelta(seconds=1))
        run.observation("board")
        run.llm_prompt("your move")
        run.llm_response("e4")
        run.at(THEN + timedelta(seconds=2))
        run.action("e4")
        run.result(reward=1.0)
        run.mutation("before", "after")
        run.fork("parent")
        run.metric("score", 1.0)
        run.error("odd")
        run.log("text")
        run.emit(LogEvent(text="its own"))
        run.at(THEN + timedelta(seconds=3))

    found = [round((event.ts - THEN).total_seconds()) for event in recorder.events]
    assert found == [0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3]


def test_without_a_time_it_happens_when_it_is_recorded() -> None:
    recorder = Recorder()
    run = Run(recorder.emit, "chess").at(THEN)
    before = utc_now()

    run.at(None)
    run.log("text")

    assert before <= recorder.events[0].ts <= utc_now()


def test_a_time_of_another_zone_is_the_same_instant() -> None:
    recorder = Recorder()
    there = timezone(timedelta(hours=9))

    Run(recorder.emit, "chess").at(THEN.astimezone(there)).log("text")

    assert recorder.events[0].ts == THEN
    assert recorder.events[0].ts.tzinfo is UTC


def test_a_time_without_a_zone_is_refused_and_changes_nothing() -> None:
    recorder = Recorder()
    run = Run(recorder.emit, "chess").at(THEN)

    with pytest.raises(EventError) as raised:
        run.at(datetime(2020, 1, 1))
    run.log("text")

    assert str(raised.value) == (
        "2020-01-01 00:00:00 has no time zone: give one, as in ts.replace(tzinfo=timezone.utc)"
    )
    assert recorder.events[0].ts == THEN
