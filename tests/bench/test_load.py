from __future__ import annotations

from collections.abc import Callable
from statistics import mean

import pytest

from arena_tui.bench.load import EmittingThread, small_event, talkative_event
from arena_tui.codec import sealed
from arena_tui.events import Event, RunEnd, RunStart
from tests.waiting import until_blocking


def test_every_run_begins_and_ends_and_all_that_is_emitted_is_counted() -> None:
    seen: list[tuple[str, Event]] = []
    games = {"a": "chess", "b": "go"}

    thread = EmittingThread(lambda *each: seen.append(each), 10_000, games)
    until_blocking(lambda: thread.emitted > 20)
    thread.stop()

    assert thread.emitted == len(seen)
    assert [type(event) for _, event in seen[:2]] == [RunStart, RunStart]
    assert [type(event) for _, event in seen[-2:]] == [RunEnd, RunEnd]
    assert {run_id for run_id, _ in seen} == set(games)


def test_a_thread_that_has_more_due_than_it_can_emit_ends_all_the_same() -> None:
    thread = EmittingThread(lambda *_: None, 1e12, {"a": "chess"})
    until_blocking(lambda: thread.emitted > 20)

    thread.stop()

    assert thread.emitted < 1e9


@pytest.mark.parametrize(("event", "size"), [(small_event, 150), (talkative_event, 300)])
def test_events_are_as_long_as_is_said(event: Callable[[int], Event], size: int) -> None:
    assert mean(len(sealed(event(number))[1]) for number in range(700)) == pytest.approx(size, 0.1)


def test_turns_of_talkative_events_never_begin_anew() -> None:
    assert talkative_event(7 * 5_000).turn == 5_001
    assert small_event(7 * 5_000).turn <= 90
