"""Chunks of any size become events; a bad line is reported by its number and skipped."""

from __future__ import annotations

import asyncio
import json
import re
import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import STORE, Cursor
from arena_tui.errors import EventError, RunClosedError
from arena_tui.events import Envelope, Event, LogEvent
from arena_tui.producers.lines import LINE_MAX_BYTES, Line, LineCutter, LineIntake, PacedSink
from arena_tui.producers.sink import MultiRunBrokerSink

LOG = b'{"run_id":"a","kind":"log","text":"x"}'


def cut(*pieces: bytes) -> list[Line]:
    """All lines of the chunks; the last one may lack its newline."""
    cutter = LineCutter()
    found = [line for piece in pieces for line in cutter.feed(piece)]
    return found + list(cutter.rest())


@given(
    st.lists(st.sampled_from([b"a", b"one", b" ", b"\n", b"\r", b"\r\n", b"\0"]), max_size=30),
    st.lists(st.integers(1, 9), min_size=1, max_size=40),
)
def test_lines_are_the_same_in_whatever_pieces_they_come(
    texts: list[bytes], sizes: list[int]
) -> None:
    whole = b"".join(texts)
    pieces, start = [], 0
    for size in sizes * len(whole):
        pieces.append(whole[start : start + size])
        start += size

    assert cut(*pieces) == cut(whole)
    assert cut(whole) == [
        Line(number, text)
        for number, text in enumerate(re.split(rb"\r\n|\r|\n", whole.replace(b"\0", b"")), 1)
        if text.strip(b" ")
    ]


def test_an_unfinished_line_waits_for_its_newline() -> None:
    cutter = LineCutter()

    assert list(cutter.feed(b"one\ntw")) == [Line(1, b"one")]
    assert list(cutter.feed(b"o")) == []
    assert list(cutter.feed(b"\n")) == [Line(2, b"two")]


def test_blank_lines_are_left_out_and_counted() -> None:
    assert cut(b"\n \t\r\none\r\n\n") == [Line(3, b"one")]


@pytest.mark.parametrize("end", [b"\r", b"\r\n", b"\n"])
def test_a_line_is_there_with_its_end_whichever_that_is(end: bytes) -> None:
    cutter = LineCutter()

    assert list(cutter.feed(b"one" + end)) == [Line(1, b"one")]
    assert list(cutter.feed(b"two" + end)) == [Line(2, b"two")]


def test_a_hole_of_nuls_longer_than_any_line_is_left_out() -> None:
    hole = b"\0" * LINE_MAX_BYTES

    assert cut(b"one\n", hole, hole + LOG + b"\n") == [Line(1, b"one"), Line(2, LOG)]


@pytest.mark.parametrize("piece", [1_000, 100_000, 10_000_000])
def test_a_line_too_long_is_skipped_and_the_next_one_read(piece: int) -> None:
    long = b"x" * (3 * LINE_MAX_BYTES) + b"\n" + LOG + b"\n"

    found = cut(*(long[start : start + piece] for start in range(0, len(long), piece)))

    assert found == [Line(1, None), Line(2, LOG)]


def test_the_longest_line_allowed_is_held() -> None:
    longest = b"x" * LINE_MAX_BYTES

    assert cut(longest) == [Line(1, longest)]
    assert cut(longest + b"x") == [Line(1, None)]


def test_of_a_line_too_long_nothing_is_held() -> None:
    cutter, piece = LineCutter(), b"x" * LINE_MAX_BYTES
    tracemalloc.start()
    for _ in range(10):
        assert list(cutter.feed(piece)) == []
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held_bytes < LINE_MAX_BYTES / 10


@pytest.mark.parametrize(
    ("line", "epoch"),
    [
        ({"ts": "2026-01-01T00:00:00.123456Z"}, 1_767_225_600_123),
        ({"ts": "2026-01-01T02:00:00.123+02:00"}, 1_767_225_600_123),
        ({"ts": "1969-12-31T23:59:59Z"}, 1),
        ({"ts": "2026-01-01T00:00:00"}, 1_767_225_600_000),
        ({"ts": 1_767_225_600.25}, 1_767_225_600_250),
        ({"ts": 1_767_225_600_123}, 1_767_225_600_123),
        ({"ts": None}, 1),
        ({"ts": "noon"}, 1),
        ({"turn": 3}, 1),
        ({"kind": "a kind of its own", "ts": "2026-01-01T00:00:00Z"}, 1_767_225_600_000),
        ({"kind": "a kind of its own", "deep": {"ts": "2026-01-01T00:00:00Z"}}, 1),
    ],
    ids=[
        "utc",
        "elsewhere",
        "before 1970",
        "no zone",
        "seconds",
        "milliseconds",
        "null",
        "no time",
        "none",
        "unknown kind",
        "not its own",
    ],
)
def test_a_line_s_epoch_is_its_own_time_and_1_without_one(
    line: dict[str, object], epoch: int
) -> None:
    line = {"run_id": "a", "kind": "log"} | line
    each = Line(1, json.dumps(line).encode())

    assert each.epoch() == epoch


def test_bad_lines_are_told_by_number_and_the_rest_is_published() -> None:
    published: list[tuple[str, Event]] = []
    refused: list[tuple[int, str]] = []
    intake = LineIntake(
        lambda run_id, event, line: published.append((run_id, event)),
        lambda number, why: refused.append((number, why)),
    )
    bad = {
        2: (b"not JSON", "not a JSON object"),
        3: (b"[1]", "not a JSON object"),
        4: (b'{"kind":"log"}', "run_id"),
        5: (b'{"run_id":"a"}', "kind"),
        6: (b"x" * LINE_MAX_BYTES * 2, "longer than"),
    }
    good = b'{"run_id":"b","kind":"of its own","epoch":7,"seq":9}'

    intake.take(cut(b"\n".join([LOG, *(raw for raw, _ in bad.values()), good])))

    assert [run_id for run_id, _ in published] == ["a", "b"]
    assert [number for number, _ in refused] == list(bad)
    assert [bad[number][1] for number, why in refused if bad[number][1] not in why] == []
    assert (intake.published, intake.refused) == (2, 5)


@pytest.mark.parametrize("error", [EventError("too deep"), RunClosedError("run a has ended")])
def test_what_the_broker_refuses_is_a_bad_line(error: Exception) -> None:
    def refuse(*_: object) -> None:
        raise error

    told: list[tuple[int, str]] = []
    intake = LineIntake(refuse, lambda number, why: told.append((number, why)))

    intake.take([Line(7, LOG)])

    assert told == [(7, str(error))]
    assert (intake.published, intake.refused) == (0, 1)


def test_a_line_without_a_time_happens_when_it_is_read() -> None:
    before = datetime.now(UTC)

    _, event, _ = Line(1, LOG).decode()

    assert before <= event.ts <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("count", "text", "waits"),
    [(2_500, "", 5), (60, "x" * 200_000, 2)],
    ids=["many events", "large events"],
)
async def test_a_reader_along_the_way_finds_every_event_though_a_run_keeps_few(
    count: int, text: str, waits: int
) -> None:
    broker = InProcessBroker()
    store = broker.subscribe(STORE, durable=True)
    screen = broker.subscribe("screen")
    sink = MultiRunBrokerSink(broker)
    seen: list[int] = []
    ahead: list[int] = []

    async def published() -> None:
        while batch := store.read_nowait(10_000):
            last = batch[-1]
            assert isinstance(last, Envelope)
            store.ack({last.run_id: Cursor(last.epoch, last.seq)})
        ahead.append(sink.stats().queued)
        read()

    def read() -> None:
        while batch := screen.read_nowait():
            seen.extend(each.seq for each in batch if isinstance(each, Envelope))

    paced = PacedSink(sink, published)

    def emit() -> None:
        for _ in range(count):
            paced.emit("run", LogEvent(text=text), Line(1, text.encode()))

    await asyncio.to_thread(emit)
    await sink.flush()
    read()

    assert seen == list(range(1, count + 1))
    assert ahead == [0] * waits


async def test_a_line_that_does_not_fit_is_published_as_far_as_it_does_and_counted() -> None:
    broker = InProcessBroker()
    sink = MultiRunBrokerSink(broker, event_max_bytes=70_000)
    screen = broker.subscribe("screen")
    paced = PacedSink(sink)
    refused: list[int] = []
    intake = LineIntake(paced.emit, lambda number, why: refused.append(number))
    given = [
        {"text": "good"}, {"text": "x" * 300_000}, {"agent_id": 7}, {"turn": "x"},
        {"turn": "y", "text": "x" * 300_000}, {"coerced": {"turn": "was z"}},
        {"coerced": {"turn": "was z"}, "text": "x" * 300_000},
    ]  # fmt: skip
    raw = b"\n".join(json.dumps({"run_id": "a", "kind": "log"} | each).encode() for each in given)

    await asyncio.to_thread(intake.take, cut(raw))
    await sink.flush()
    events = [each.event for each in screen.read_nowait() if isinstance(each, Envelope)]

    marks = [sorted(each.extra.get("coerced", {})) for each in events]
    assert marks == [[], ["text"], [], ["turn"], ["text", "turn"], ["turn"], ["text", "turn"]]
    assert (intake.published, refused, sink.stats().coerced) == (7, [], 4)
    assert [each.code for each in broker.warnings.newest()] == ["values_coerced"]
