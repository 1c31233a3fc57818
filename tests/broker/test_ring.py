"""The log of one run, against a plain list that keeps everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arena_tui.broker.protocol import Cursor, Limits
from arena_tui.broker.ring import RunLog
from arena_tui.events import Gap, LogEvent


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


def broken() -> RunLog:
    """Events 1 to 3, a gap 4 to 9, events 10 and 11, a lost stream, events 1 and 2 of a new one."""
    log = filled(3, capacity=100)
    log.append_gap(Gap("run", 7, 4, 9, "trimmed"), 7, 10)
    for _ in range(2):
        log.append(LogEvent(), 1)
    log.append_gap(Gap("run", 7, 12, 11, "reset"), 8, 1)
    for _ in range(2):
        log.append(LogEvent(), 1)
    return log


def test_a_gap_from_upstream_stands_in_its_place() -> None:
    log = broken()

    entries = log.read(0, 99, log.last)

    assert [
        (each.epoch, each.from_seq, each.to_seq)
        if isinstance(each, Gap)
        else (each.epoch, each.seq)
        for each in entries
    ] == [(7, 1), (7, 2), (7, 3), (7, 4, 9), (7, 10), (7, 11), (7, 12, 11), (8, 1), (8, 2)]
    assert [log.find(each) for each in entries] == list(range(1, 10))
    assert (log.epoch, log.first_seq, log.last_seq) == (8, 1, 2)


def test_a_cursor_finds_its_place_behind_gaps_and_resets() -> None:
    log = broken()

    places = {
        (epoch, seq): log.position_of(Cursor(epoch, seq))
        for epoch, seq in [(7, 0), (7, 3), (7, 6), (7, 9), (7, 10), (7, 11), (8, 0), (8, 2), (9, 1)]
    }

    assert places == {
        (7, 0): 0, (7, 3): 3, (7, 6): 3, (7, 9): 4, (7, 10): 5, (7, 11): 6, (8, 0): 7, (8, 2): 9,
        (9, 1): None,
    }  # fmt: skip
    assert log.acked_by(Cursor(7, 11)) == 7
    assert log.acked_by(Cursor(7, 10)) == 5


def test_gaps_of_unknown_length_in_one_place_are_not_read_until_all_are() -> None:
    log = filled(3, capacity=100)
    for reason, epoch, next_seq in (("quarantined", 7, 4), ("quarantined", 7, 4), ("reset", 8, 1)):
        log.append_gap(Gap("run", 7, 4, 3, reason), epoch, next_seq)  # type: ignore[arg-type]
    log.append(LogEvent(), 1)

    assert [log.position_of(Cursor(*at)) for at in [(7, 2), (7, 3), (8, 0), (8, 1)]] == [2, 3, 6, 7]
    assert [log.acked_by(Cursor(*at)) for at in [(7, 2), (7, 3), (8, 0), (8, 1)]] == [2, 6, 6, 7]


def test_what_it_let_go_is_told_gap_by_gap() -> None:
    log = broken()

    missing = log.missing(1, 8)

    assert [(gap.epoch, gap.from_seq, gap.to_seq, gap.reason, at) for gap, at in missing] == [
        (7, 2, 3, "trimmed", 3),
        (7, 4, 9, "trimmed", 4),
        (7, 10, 11, "trimmed", 6),
        (7, 12, 11, "reset", 7),
        (8, 1, 1, "trimmed", 8),
    ]
    assert log.missing(3, 3) == []


def test_what_was_before_its_time_is_missing_too() -> None:
    log = RunLog("run", 7, Limits(), first=501)
    log.append(LogEvent(), 1)

    ((gap, position),) = log.missing(100, 500)

    assert (gap.from_seq, gap.to_seq, position) == (101, 500, 500)
    assert log.read(500, 9, log.last)[0].seq == 501  # type: ignore[union-attr]
