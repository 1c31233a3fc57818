"""The warnings of a process: logged once, counted exactly, the newest of each code kept."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.warnings import Warnings
from tests.conftest import FakeClock


def test_a_burst_of_one_code_pushes_out_no_other_and_is_counted_exactly() -> None:
    warnings = Warnings()
    first = warnings.add("file_missing", file="x.jsonl")

    for number in range(10_000):
        warnings.add("overflow", f"run{number % 50}", "store")
        if number == 5_000:
            amid = warnings.add("link_down", why="no connection")

    kept = warnings.newest()
    assert kept[:2] == (first, amid)
    assert [each.run_id for each in kept[2:]] == [f"run{number}" for number in range(30, 50)]
    assert warnings.counts() == {"file_missing": 1, "overflow": 10_000, "link_down": 1}


def test_a_warning_knows_when_of_what_run_and_of_whom_it_was(clock: FakeClock) -> None:
    warnings = Warnings(clock)
    clock.now = 12.5

    warnings.add("high_water", "a", "store", lag=80, percent=80)

    (kept,) = warnings.newest()
    assert (kept.time, kept.code, kept.severity) == (12.5, "high_water", "warning")
    assert (kept.run_id, kept.consumer) == ("a", "store")
    assert kept.figures == {"lag": 80, "percent": 80}


def test_what_holds_no_longer_is_withdrawn_and_stays_counted() -> None:
    warnings = Warnings()
    missing = warnings.add("file_missing", file="x.jsonl")
    other = warnings.add("file_missing", file="y.jsonl")

    warnings.withdraw(missing)
    warnings.withdraw(missing)
    warnings.withdraw(None)

    assert warnings.newest() == (other,)
    assert warnings.counts() == {"file_missing": 2}


def test_one_brought_up_to_date_is_the_newest_but_no_other_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    warnings = Warnings()
    lines = warnings.add("lines_refused", file="x.jsonl", lines=4)
    warnings.add("stream_gone", "a")
    caplog.clear()

    with caplog.at_level(logging.INFO):
        lines = warnings.update(lines, lines=5)

    assert str(lines) == "x.jsonl: 5 lines are not events: see the log"
    assert [each.code for each in warnings.newest()] == ["stream_gone", "lines_refused"]
    assert warnings.counts() == {"lines_refused": 1, "stream_gone": 1}
    assert caplog.messages == []


def test_each_is_logged_once_with_its_severity_and_what_raised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    warnings = Warnings()
    error = KeyError("odd")

    with caplog.at_level(logging.INFO):
        warnings.add("lines_refused", file="x", lines=4)
        warnings.add("stream_gone", "a")
        warnings.add("work_failed", error=error, work="looking", why=repr(error))

    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("INFO", "x: 4 lines are not events: see the log"),
        ("WARNING", "run a: its stream is gone from Redis"),
        ("ERROR", "looking failed and goes on: KeyError('odd'): see the log"),
    ]
    assert [each.exc_info and each.exc_info[1] for each in caplog.records] == [None, None, error]


def test_threads_that_warn_at_once_are_all_counted() -> None:
    warnings = Warnings()

    def warn(run_id: str) -> None:
        for _ in range(500):
            warnings.add("overflow", run_id, "store")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(warn, "abcdefgh"))

    numbers = [each.number for each in warnings.newest()]
    assert warnings.counts() == {"overflow": 4_000}
    assert numbers == list(range(3_981, 4_001))


async def test_a_broker_tells_of_the_warnings_of_its_whole_process() -> None:
    broker = InProcessBroker()
    failed = broker.warnings.add("consumer_failed", None, "tally", why="no")

    stats = await broker.stats()

    assert stats.warnings == (failed,)
    assert stats.warned == {"consumer_failed": 1}
