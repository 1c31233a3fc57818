"""The log of one run, against a model: a list that keeps everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arena_tui.broker.protocol import Limits
from arena_tui.broker.ring import RunLog
from arena_tui.events import Delivery, Envelope, Gap, LogEvent


def payload(number: int, size: int = 60) -> bytes:
    """An event as JSON, of exactly `size` bytes."""
    raw = b'{"kind":"log","text":"%d"}' % number
    return raw[:-1] + b" " * (size - len(raw)) + b"}"


def filled(count: int, capacity: int = 10, size: int = 60, run_bytes: int = 10_000) -> RunLog:
    log = RunLog("run", 7, Limits(capacity=capacity, retain=1, run_bytes=run_bytes))
    for number in range(1, count + 1):
        log.append(payload(number, size))
    return log


def held(log: RunLog, after: int, limit: int = 10_000) -> list[Delivery]:
    deliveries, reached = log.read(after, limit, log.last)
    assert reached == (deliveries[-1].last_seq if deliveries else after)
    return deliveries


def test_seqs_are_dense_from_one() -> None:
    log = filled(3)

    assert [
        (each.run_id, each.epoch, each.seq) for each in held(log, 0) if isinstance(each, Envelope)
    ] == [
        ("run", 7, 1),
        ("run", 7, 2),
        ("run", 7, 3),
    ]


def test_the_oldest_go_first_when_it_is_full() -> None:
    log = filled(25)

    assert (log.first, log.last, len(log), log.trimmed) == (16, 25, 10, 15)
    assert [each.last_seq for each in held(log, 15)] == list(range(16, 26))


def test_it_is_bounded_in_bytes_and_always_keeps_the_newest() -> None:
    log = filled(5, size=40, run_bytes=100)
    alone = filled(2, size=500, run_bytes=100)

    assert (log.first, log.bytes) == (4, 80)
    assert (alone.first, len(alone), alone.bytes) == (2, 1, 500)


def test_the_high_water_mark_stays_when_the_water_falls() -> None:
    log = filled(7)

    log.trim_to(6)

    assert (log.high_water, len(log)) == (7, 1)


def test_trimming_ahead_of_the_newest_empties_it_and_no_more() -> None:
    log = filled(4)

    log.trim_to(99)
    log.append(payload(5))

    assert (log.first, log.last, log.bytes) == (5, 5, 60)


@given(
    st.integers(1, 40),
    st.integers(50, 1_000),
    st.lists(st.tuples(st.integers(40, 300), st.integers(-5, 60)), max_size=80),
)
def test_it_holds_the_newest_of_what_was_appended_within_both_bounds(
    capacity: int, run_bytes: int, steps: list[tuple[int, int]]
) -> None:
    log = RunLog("run", 7, Limits(capacity=capacity, retain=1, run_bytes=run_bytes))
    sizes: list[int] = []
    first = 1
    for size, trim in steps:
        log.append(payload(len(sizes) + 1, size))
        sizes.append(size)
        while len(sizes) - first + 1 > capacity or (
            sum(sizes[first - 1 :]) > run_bytes and first < len(sizes)
        ):
            first += 1
        if trim > 50:
            log.trim_to(first + trim - 51)
            first = min(len(sizes) + 1, first + trim - 50)

        found = held(log, log.first - 1)
        assert (log.first, log.last) == (first, len(sizes))
        assert [(each.seq, text_of(each)) for each in found if isinstance(each, Envelope)] == [
            (seq, str(seq)) for seq in range(first, len(sizes) + 1)
        ]
        assert log.bytes == sum(sizes[first - 1 :])
        assert log.trimmed == first - 1


def test_compacting_loses_nothing() -> None:
    log = filled(0, capacity=5_000)
    for number in range(1, 12_001):
        log.append(payload(number))
        if number % 700 == 0:
            log.trim_to(number - 300)

    assert [text_of(each) for each in held(log, log.first - 1)] == [
        str(number) for number in range(log.first, 12_001)
    ]


def text_of(delivery: Delivery) -> str:
    assert isinstance(delivery, Envelope)
    assert isinstance(delivery.event, LogEvent)
    return delivery.event.text


def broken(capacity: int = 100) -> RunLog:
    """Events 1 to 3, a gap 4 to 9, events 10 and 11."""
    log = filled(3, capacity)
    log.append_gap(Gap("run", 7, 4, 9, "trimmed"))
    for number in (10, 11):
        log.append(payload(number))
    return log


def spans(deliveries: list[Delivery]) -> list[tuple[int, int]]:
    return [(each.first_seq, each.last_seq) for each in deliveries]


def test_a_gap_from_upstream_stands_in_its_place() -> None:
    log = broken()

    assert spans(held(log, 0)) == [(1, 1), (2, 2), (3, 3), (4, 9), (10, 10), (11, 11)]


def test_a_gap_is_cut_to_what_its_reader_misses() -> None:
    log = broken(capacity=5)

    assert (log.first, len(log)) == (7, 5)
    assert spans(held(log, 6)) == [(7, 9), (10, 10), (11, 11)]


def test_a_gap_longer_than_the_log_pushes_everything_out() -> None:
    log = filled(8, capacity=5)
    log.append_gap(Gap("run", 7, 9, 1_000_000, "trimmed"))
    log.append(payload(1_000_001))

    assert (log.first, log.last, log.bytes) == (999_997, 1_000_001, 60)
    assert spans(held(log, 999_996)) == [(999_997, 1_000_000), (1_000_001, 1_000_001)]


def test_a_log_may_begin_in_the_middle_of_a_run() -> None:
    log = RunLog("run", 7, Limits(), first=501)
    log.append(payload(501))

    assert spans(held(log, 500)) == [(501, 501)]
    assert log.trimmed == 0
