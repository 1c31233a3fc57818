"""A ledger that is a local cache of a remote log."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.protocol import Cursor, Limits, RunMeta, Start
from arena_tui.broker.starting import reset_gaps
from arena_tui.broker.stream import RunStream
from arena_tui.codec import sealed
from arena_tui.events import Delivery, Envelope, Gap, LogEvent, RunEnd
from tests.envelopes import envelope

LIMITS = Limits(retain=10)


async def recover(gap: Gap) -> tuple[list[Delivery], Gap | None]:
    """An upstream that has a run's events from seq 101 on, and returns 20 at a time."""
    if gap.to_seq <= 100 or gap.reason == "reset":
        return [gap], None
    first = max(gap.from_seq, 101)
    last = min(gap.to_seq, first + 19)
    found: list[Delivery] = [
        envelope(gap.run_id, gap.epoch, seq, LogEvent()) for seq in range(first, last + 1)
    ]
    if gap.from_seq < first:
        found.insert(0, Gap(gap.run_id, gap.epoch, gap.from_seq, first - 1, "trimmed"))
    rest = Gap(gap.run_id, gap.epoch, last + 1, gap.to_seq, gap.reason)
    return found, rest if rest.count else None


def cache() -> Ledger:
    return Ledger(LIMITS, lambda: 0.0, held=LIMITS)


def append(ledger: Ledger, stream: RunStream, count: int = 1) -> None:
    for _ in range(count):
        ledger.append(stream, *sealed(LogEvent()))


def spans(deliveries: list[Delivery]) -> list[tuple[int, int]]:
    return [(each.first_seq, each.last_seq) for each in deliveries]


async def test_who_was_there_before_a_run_reads_all_of_it() -> None:
    ledger = cache()
    patient = ledger.subscribe("patient", None, "oldest", False, recover)
    hasty = ledger.subscribe("hasty", None, "oldest", False, recover)
    append(ledger, ledger.attach(RunMeta(run_id="a"), 7, 151))

    found: list[Delivery] = []
    while not found or found[-1].last_seq < 151:
        found += await anext(patient)

    assert spans(found) == [(1, 100), *((seq, seq) for seq in range(101, 152))]
    assert spans(hasty.read_nowait()) == [(1, 150), (151, 151)]


async def test_a_durable_reader_waits_for_what_only_awaiting_can_get() -> None:
    ledger = cache()
    store = ledger.subscribe("store", None, {"a": Cursor(7, 120)}, True, recover)
    append(ledger, ledger.attach(RunMeta(run_id="a"), 7, 151))

    at_hand = store.read_nowait()
    found = await anext(store)

    assert at_hand == []
    assert spans(found)[0] == (121, 121)


async def test_who_comes_later_begins_with_what_is_at_hand() -> None:
    ledger = cache()
    append(ledger, ledger.attach(RunMeta(run_id="a"), 7, 151))

    later = ledger.subscribe("later", None, "oldest", False, recover)

    assert spans(later.read_nowait()) == [(151, 151)]


async def test_what_its_log_lets_go_is_no_loss() -> None:
    ledger = Ledger(Limits(capacity=40, retain=10), lambda: 0.0, held=LIMITS)
    store = ledger.subscribe("store", None, {}, True, recover)
    stream = ledger.attach(RunMeta(run_id="a"), 7, 101)
    append(ledger, stream, 300)

    found: list[Delivery] = []
    while not found or found[-1].last_seq < 400:
        found += await anext(store)

    assert spans(found) == [(1, 100), *((seq, seq) for seq in range(101, 401))]
    assert (ledger.stats().overflow, ledger.counts.published) == (0, 400)


async def test_a_renewed_stream_ends_with_its_resets_for_fast_and_slow() -> None:
    ledger = Ledger(Limits(capacity=40, retain=10), lambda: 0.0, held=Limits(retain=10))
    fast = ledger.subscribe("fast", None, "oldest", False)
    slow = ledger.subscribe("slow", None, "oldest", False)
    chosen_of = ledger.attach(RunMeta(run_id="a"), 7, 1)
    chosen = ledger.subscribe("chosen", ["a"], "oldest", False)
    append(ledger, chosen_of, 3)
    read = fast.read_nowait()
    renewed = ledger.renew(chosen_of, 8, [Gap("a", 7, 4, 9, "reset")])
    append(ledger, renewed, 50)

    found = [[*read, *fast.read_nowait()], slow.read_nowait(), chosen.read_nowait()]

    for each in found:
        assert spans(each)[:4] == [(1, 1), (2, 2), (3, 3), (4, 9)]
        assert [d.last_seq for d in each if isinstance(d, Envelope) and d.epoch == 8][-1] == 50
    assert ledger.counts.published == 3 + 6 + 50


async def test_a_follower_that_keeps_up_is_handed_a_whole_gap() -> None:
    ledger = cache()
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    follower = ledger.subscribe("follower", ["a"], "oldest", False)
    append(ledger, stream)
    assert spans(follower.read_nowait()) == [(1, 1)]

    ledger.append_gap(stream, Gap("a", 7, 2, 6, "trimmed"))
    append(ledger, stream)

    assert spans(follower.read_nowait()) == [(2, 6), (7, 7)]


async def test_lag_counts_the_stream_before_until_it_is_acked() -> None:
    ledger = cache()
    store = ledger.subscribe("store", None, {}, True, recover)
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    append(ledger, stream, 3)
    append(ledger, ledger.renew(stream, 8, [Gap("a", 7, 4, 3, "reset")]), 2)

    lags = [ledger.lags("store")]
    for cursor in (Cursor(7, 2), Cursor(7, 3), Cursor(8, 1), Cursor(8, 2)):
        store.ack({"a": cursor})
        lags.append(ledger.lags("store"))

    assert lags == [{"a": 5}, {"a": 3}, {"a": 2}, {"a": 1}, {}]


async def test_what_was_trimmed_stays_counted_when_a_stream_is_renewed_and_reaped() -> None:
    ledger = Ledger(Limits(capacity=40, retain=10), lambda: 0.0, held=Limits(capacity=40))
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    append(ledger, stream, 50)
    trimmed = [ledger.stats().trimmed]

    renewed = ledger.renew(stream, 8, [])
    trimmed.append(ledger.stats().trimmed)
    append(ledger, renewed, 45)
    ledger.append(renewed, *sealed(RunEnd()))
    trimmed.append(ledger.stats().trimmed)
    ledger.reap("a")
    trimmed.append(ledger.stats().trimmed)

    assert trimmed == [10, 10, 16, 16]


def test_what_a_cursor_misses_of_ended_streams() -> None:
    ended = [Cursor(5, 90), Cursor(7, 3), Cursor(8, 0)]

    assert reset_gaps("r", Cursor(5, 60), ended, 9) == [
        Gap("r", 5, 61, 90, "reset"), Gap("r", 7, 1, 3, "reset"),
    ]  # fmt: skip
    assert reset_gaps("r", Cursor(7, 3), ended, 9) == [Gap("r", 7, 4, 3, "reset")]
    assert reset_gaps("r", Cursor(6, 2), ended, 9) == [
        Gap("r", 6, 3, 2, "unknown"), Gap("r", 7, 1, 3, "reset"),
    ]  # fmt: skip


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 12)),
            st.tuples(st.just("mark"), st.just(0)),
            st.tuples(st.just("read"), st.integers(1, 9)),
        ),
        max_size=30,
    ),
    reader=st.integers(0, 1),
)
def test_an_empty_gap_reaches_every_reader_in_its_place(
    steps: list[tuple[str, int]], reader: int
) -> None:
    """The window holds 4 deliveries, so that who does not read at once falls out of it."""
    ledger = Ledger(Limits(retain=10, decoded=4), lambda: 0.0, held=Limits())
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    readers = [ledger.subscribe("all", None, "oldest", False)]
    readers += [ledger.subscribe("one", ["a"], "oldest", False)]
    written: list[tuple[int, int]] = []
    read: list[list[tuple[int, int]]] = [[], []]

    for step, number in steps:
        if step == "append":
            first = stream.log.last + 1
            append(ledger, stream, number)
            written += [(seq, seq) for seq in range(first, first + number)]
        elif step == "mark":
            last = stream.log.last
            ledger.append_gap(stream, Gap("a", 7, last + 1, last, "unknown"))
            written.append((last + 1, last))
        else:
            read[reader] += spans(readers[reader].read_nowait(number))
    for found, subscription in zip(read, readers, strict=True):
        while batch := subscription.read_nowait():
            found.extend(spans(batch))

    assert read == [written, written]


async def test_a_reader_that_waits_is_woken_by_an_empty_gap() -> None:
    ledger = cache()
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    subscription = ledger.subscribe("one", ["a"], "oldest", False)
    waiting = asyncio.ensure_future(anext(subscription))
    await asyncio.sleep(0)

    gap = Gap("a", 7, 1, 0, "unknown")
    ledger.append_gap(stream, gap)

    assert await waiting == [gap]


def test_a_loss_of_unknown_length_is_told_to_those_who_come_later_too() -> None:
    ledger = cache()
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    append(ledger, stream, 5)
    gap = Gap("a", 7, 6, 5, "unknown")
    ledger.append_gap(stream, gap)

    behind = ledger.subscribe("behind", None, {"a": Cursor(7, 3)}, True)
    up_to_date = ledger.subscribe("up to date", None, {"a": Cursor(7, 5)}, True)
    from_now_on = ledger.subscribe("from now on", None, "newest", False)
    renewed = ledger.renew(stream, 8, [])
    afterwards = ledger.subscribe("afterwards", None, {"a": Cursor(7, 5)}, True)
    append(ledger, renewed)

    assert spans(behind.read_nowait()) == [(4, 4), (5, 5), (6, 5), (1, 1)]
    assert up_to_date.read_nowait()[0] == afterwards.read_nowait()[0] == gap
    assert spans(from_now_on.read_nowait()) == [(1, 1)]


def test_a_stream_is_ended_once() -> None:
    ledger = Ledger(Limits(retain=10, closed_runs=1), lambda: 0.0, held=LIMITS)
    lost = ledger.attach(RunMeta(run_id="lost"), 7, 1)

    for _ in range(2):
        ledger.end(lost)
    for run_id in ("b", "c"):
        ledger.append(ledger.attach(RunMeta(run_id=run_id), 7, 1), *sealed(RunEnd()))

    assert list(ledger.streams) == ["c"]


@pytest.mark.parametrize("start", ["oldest", "newest", {"a": Cursor(7, 5)}, {}])
def test_a_run_that_was_let_go_and_comes_back_goes_on_where_its_readers_were(start: Start) -> None:
    ledger = cache()
    reader = ledger.subscribe("c", None, start, True)
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    append(ledger, stream, 10)
    reader.read_nowait()
    reader.ack({"a": Cursor(7, 10)})
    ledger.end(stream)
    ledger.reap("a")

    append(ledger, ledger.attach(RunMeta(run_id="a"), 7, 11, newest=10), 2)

    assert spans(reader.read_nowait()) == [(11, 11), (12, 12)]
    assert ledger.lags("c") == {"a": 2}


@pytest.mark.parametrize("start", ["oldest", {"a": Cursor(7, 5)}])
@pytest.mark.parametrize(
    ("ended", "missed"),
    [
        ([], []),
        ([Cursor(7, 10)], []),
        ([Cursor(7, 12), Cursor(8, 3)], [(11, 12), (1, 3)]),
    ],
)
def test_a_run_begun_anew_after_its_end_tells_of_what_came_in_between_alone(
    start: Start, ended: list[Cursor], missed: list[tuple[int, int]]
) -> None:
    ledger = cache()
    reader = ledger.subscribe("c", None, start, False)
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    append(ledger, stream, 10)
    reader.read_nowait()
    ledger.end(stream)
    ledger.reap("a")

    append(ledger, ledger.attach(RunMeta(run_id="a"), 9, 1, ended))

    assert spans(reader.read_nowait()) == [*missed, (1, 1)]


def test_who_comes_after_a_run_was_let_go_starts_at_its_own_cursor() -> None:
    ledger = cache()
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    append(ledger, stream, 10)
    ledger.end(stream)
    ledger.reap("a")
    reader = ledger.subscribe("c", None, {"a": Cursor(7, 5)}, False)

    append(ledger, ledger.attach(RunMeta(run_id="a"), 7, 11, newest=10))

    assert spans(reader.read_nowait()) == [(6, 10), (11, 11)]


def test_a_run_let_go_in_the_middle_of_a_start_cursor_still_waits_for_it() -> None:
    ledger = cache()
    reader = ledger.subscribe("c", None, {"a": Cursor(7, 12)}, False)
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    append(ledger, stream, 10)
    ledger.end(stream)
    ledger.reap("a")

    append(ledger, ledger.attach(RunMeta(run_id="a"), 7, 11, newest=10), 3)

    assert spans(reader.read_nowait()) == [(13, 13)]


async def test_a_snapshot_of_a_run_is_new_only_if_something_happened_to_it() -> None:
    ledger = cache()
    store = ledger.subscribe("store", None, {}, True, recover)
    streams = [ledger.attach(RunMeta(run_id=run_id), 7, 1) for run_id in "abc"]
    for stream in streams:
        append(ledger, stream, 3)
    before = ledger.stats().runs

    store.ack({"a": Cursor(7, 2)})
    append(ledger, streams[2], 1)
    after = ledger.stats().runs

    assert [old is new for old, new in zip(before, after, strict=True)] == [False, True, False]
    assert ledger.lags("store") == {"a": 1, "b": 3, "c": 4}


async def test_a_snapshot_forgets_the_stream_before_once_that_is_acked() -> None:
    ledger = cache()
    store = ledger.subscribe("store", None, {}, True, recover)
    stream = ledger.attach(RunMeta(run_id="a"), 7, 1)
    append(ledger, stream, 3)
    append(ledger, ledger.renew(stream, 8, [Gap("a", 7, 4, 3, "reset")]), 2)

    lags = [ledger.stats().runs[0].consumers[0].lag]
    for cursor in (Cursor(7, 2), Cursor(7, 3), Cursor(8, 2)):
        store.ack({"a": cursor})
        lags.append(ledger.stats().runs[0].consumers[0].lag)

    assert lags == [5, 3, 2, 0]


async def test_snapshots_are_in_order_of_opening_also_when_a_run_comes_back() -> None:
    ledger = cache()
    for run_id in "ab":
        append(ledger, ledger.attach(RunMeta(run_id=run_id), 7, 1), 1)
    ledger.append(ledger.get("a"), *sealed(RunEnd()))
    ledger.reap("a")
    ledger.attach(RunMeta(run_id="c"), 7, 1)
    ledger.attach(RunMeta(run_id="a"), 8, 1)

    runs = [each.run_id for each in ledger.stats().runs]

    assert runs == list(ledger.streams) == ["b", "c", "a"]
