"""The handle of one run: what happened, and when."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest

from arena_tui.codec import sealed
from arena_tui.errors import BrokerError, EventError
from arena_tui.events import (
    Action,
    AgentInfo,
    ErrorEvent,
    Event,
    LogEvent,
    RunEnd,
    RunStart,
    utc_now,
)
from arena_tui.producers.run import Run
from tests.waiting import in_threads

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


def test_run_start_comes_with_the_first_event_of_a_run_that_is_never_entered() -> None:
    recorder = Recorder()
    run = Run(recorder.emit, "chess", "me")

    run.turn(1, player="me")
    run.end({"me": 1})

    assert [event.kind for event in recorder.events] == ["run_start", "turn_start", "run_end"]
    assert recorder.events[0].agents == [AgentInfo(id="me")]  # type: ignore[attr-defined]


def test_a_run_start_of_the_programs_own_takes_the_place_of_ours() -> None:
    recorder = Recorder()
    run = Run(recorder.emit, "chess")

    run.emit(RunStart(game="go"))
    run.log("text")

    assert [event.kind for event in recorder.events] == ["run_start", "log"]
    assert recorder.events[0].game == "go"  # type: ignore[attr-defined]


def test_many_threads_begin_and_end_a_run_once() -> None:
    for _ in range(50):
        recorder = Recorder()
        run = Run(recorder.emit, "chess")
        together = threading.Barrier(4)

        def play(run: Run = run, together: threading.Barrier = together) -> None:
            together.wait()
            run.log("text")
            together.wait()
            run.end()

        in_threads(*[play] * 4)

        kinds = [event.kind for event in recorder.events]
        assert kinds == ["run_start", "log", "log", "log", "log", "run_end"]


def test_threads_in_one_run_keep_their_own_turn_and_player() -> None:
    recorder = Recorder()
    run = Run(recorder.emit, "chess")
    together = threading.Barrier(2)

    def play(player: str) -> None:
        for turn in range(50):
            run.turn(turn, player=player)
            together.wait()
            run.action(player)
            run.result()
            together.wait()

    in_threads(lambda: play("white"), lambda: play("black"))

    actions = [event for event in recorder.events if isinstance(event, Action)]
    assert len(actions) == 100
    assert all(event.agent_id == event.action for event in actions)
    assert {event.index_in_turn for event in actions} == {1}


async def test_tasks_in_one_run_keep_their_own_turn_and_player() -> None:
    recorder = Recorder()

    async def play(run: Run, player: str) -> None:
        for turn in range(20):
            run.turn(turn, player=player)
            await asyncio.sleep(0)
            run.action(player)

    async with Run(recorder.emit, "chess") as run:
        await asyncio.gather(play(run, "white"), play(run, "black"))

    actions = [event for event in recorder.events if isinstance(event, Action)]
    assert [event.agent_id for event in actions] == [event.action for event in actions]


def test_who_began_no_turn_is_in_the_latest() -> None:
    recorder = Recorder()
    run = Run(recorder.emit, "chess")

    run.turn(1, player="white")
    in_threads(lambda: run.turn(2, player="black"))
    in_threads(lambda: run.action("by another thread"))
    run.action("by the one of turn 1")

    assert [(event.turn, event.agent_id) for event in recorder.events[3:]] == [
        (2, "black"), (1, "white"),
    ]  # fmt: skip


def test_a_step_is_a_turn_of_its_own() -> None:
    recorder = Recorder()
    run = Run(recorder.emit, "chess")

    run.step("e4", "white", observation="board")
    run.step("e9", "black", ok=False, reward=-1.0, detail="no such square")

    assert [(event.kind, event.turn, event.agent_id) for event in recorder.events[1:]] == [
        ("turn_start", 1, "white"), ("observation", 1, "white"), ("action", 1, "white"),
        ("turn_start", 2, "black"), ("action", 2, "black"), ("action_result", 2, "black"),
    ]  # fmt: skip


def test_a_refused_turn_changes_nothing() -> None:
    recorder = Recorder()
    run = Run(recorder.emit, "chess")
    run.turn(1, player="white")

    with pytest.raises(EventError):
        run.turn("the second", player="black")  # type: ignore[arg-type]
    with pytest.raises(EventError):
        run.action(object())
    run.action("e4")

    (action,) = [event for event in recorder.events if isinstance(event, Action)]
    assert (action.turn, action.agent_id, action.index_in_turn) == (1, "white", 1)


def test_a_run_that_a_bad_outcome_did_not_end_can_be_ended() -> None:
    recorder = Recorder()
    run = Run(recorder.emit, "chess")

    with pytest.raises(EventError):
        run.end({"white": "a lot"})  # type: ignore[dict-item]
    assert not run.ended
    run.end({"white": 1})

    assert run.ended
    assert recorder.events[-1].outcome == {"white": 1.0}  # type: ignore[attr-defined]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [ValueError("a lone \udc80"), Unspeakable(), KeyError()])
def test_a_run_ends_with_the_programs_own_exception(error: Exception) -> None:
    recorder = Recorder()

    with pytest.raises(type(error)) as raised, Run(recorder.emit, "chess"):
        raise error

    assert raised.value is error
    *_, last, end = recorder.events
    assert isinstance(last, ErrorEvent)
    assert last.fatal
    assert last.where == type(error).__name__
    assert isinstance(end, RunEnd)
    assert end.status == "crashed"
    assert end.reason


def test_a_broken_connection_does_not_replace_the_programs_own_exception() -> None:
    def emit(_: str, event: Event) -> None:
        if event.kind != "run_start":
            raise BrokerError("the broker is closed")

    with pytest.raises(ZeroDivisionError), Run(emit, "chess"):
        raise ZeroDivisionError


def test_an_exception_is_recorded_with_its_traceback() -> None:
    recorder = Recorder()
    try:
        raise LookupError("no such piece")
    except LookupError as error:
        Run(recorder.emit, "chess").error(error)

    found = recorder.events[-1]
    assert isinstance(found, ErrorEvent)
    assert (found.message, found.where, found.fatal) == ("no such piece", "LookupError", False)
    assert (found.traceback or "").endswith("LookupError: no such piece\n")
