"""The log of one run, against a plain list that keeps everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arena_tui.broker.protocol import Limits
from arena_tui.broker.ring import RunLog
from arena_tui.events import LogEvent


def filled(count: int, capacity: int = 10, size: int = 1, run_bytes: int = 10_000) -> RunLog:
    log = RunLog("run", 7, Limits(capacity=capacity, retain=1, run_bytes=run_bytes))
    for number in range(1, count + 1):
        log.append(LogEvent(text=str(number)), size)
    return log


def test_seqs_are_dense_from_one() -> None:
    log = filled(3)

    assert [(each.run_id, each.epoch, each.seq) for each in log.read(0, 9, 3)] == [
        ("run", 7, 1),
        ("run", 7, 2),
        ("run", 7, 3),
    ]


def test_the_oldest_go_first_when_it_is_full() -> None:
    log = filled(25)

    assert (log.first_seq, log.last_seq, len(log), log.trimmed) == (16, 25, 10, 15)
    assert [each.seq for each in log.read(15, 99, 25)] == list(range(16, 26))


def test_it_is_bounded_in_bytes_and_always_keeps_the_newest() -> None:
    log = filled(5, size=40, run_bytes=100)
    alone = filled(2, size=500, run_bytes=100)

    assert (log.first_seq, log.bytes) == (4, 80)
    assert (alone.first_seq, len(alone), alone.bytes) == (2, 1, 500)


def test_the_high_water_mark_stays_when_the_water_falls() -> None:
    log = filled(7)

    log.trim_to(6)

    assert (log.high_water, len(log)) == (7, 1)


def test_trimming_ahead_of_the_newest_empties_it_and_no_more() -> None:
    log = filled(4)

    log.trim_to(99)
    log.append(LogEvent(), 1)

    assert (log.first_seq, log.last_seq, log.bytes) == (5, 5, 1)


@given(
    st.integers(1, 40),
    st.integers(10, 400),
    st.lists(st.tuples(st.integers(1, 90), st.integers(-5, 60)), max_size=80),
)
def test_it_holds_the_newest_of_what_was_appended_within_both_bounds(
    capacity: int, run_bytes: int, steps: list[tuple[int, int]]
) -> None:
    log = RunLog("run", 7, Limits(capacity=capacity, retain=1, run_bytes=run_bytes))
    sizes: list[int] = []
    first = 1
    for size, trim in steps:
        log.append(LogEvent(text=str(len(sizes) + 1)), size)
        sizes.append(size)
        while len(sizes) - first + 1 > capacity or (
            sum(sizes[first - 1 :]) > run_bytes and first < len(sizes)
        ):
            first += 1
        if trim > 50:
            log.trim_to(first + trim - 51)
            first = min(len(sizes) + 1, first + trim - 50)

        held = log.read(log.first_seq - 1, 10_000, log.last_seq)
        assert (log.first_seq, log.last_seq) == (first, len(sizes))
        assert [each.seq for each in held] == list(range(first, len(sizes) + 1))
        assert [each.event for each in held] == [
            LogEvent(ts=each.event.ts, text=str(each.seq)) for each in held
        ]
        assert log.bytes == sum(sizes[first - 1 :])
        assert log.trimmed == first - 1


def test_compacting_loses_nothing() -> None:
    log = filled(0, capacity=5_000)
    for number in range(1, 12_001):
        log.append(LogEvent(text=str(number)), 1)
        if number % 700 == 0:
            log.trim_to(number - 300)

    assert [each.event.text for each in log.read(log.first_seq - 1, 9_999, 12_000)] == [  # type: ignore[attr-defined]
        str(number) for number in range(log.first_seq, 12_001)
    ]
