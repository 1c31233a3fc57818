"""Entries as the server sends them: events, and foreign ones."""

from __future__ import annotations

import pytest

from arena_tui.broker.protocol import NO_CURSOR, Cursor, RunMeta
from arena_tui.broker.redis.codec import (
    InvalidEntryError,
    RawEntry,
    decode_contiguous,
    decode_entry,
    decode_meta,
    encode_meta,
    fill_gap,
    parse_ended,
    parse_id,
    raw_bytes,
)
from arena_tui.codec import encode_event
from arena_tui.errors import EventError
from arena_tui.events import AgentInfo, Delivery, Envelope, Gap, GapReason, LogEvent


def entry(epoch: int, seq: int, text: str = "said") -> RawEntry:
    return b"%d-%d" % (epoch, seq), [b"e", encode_event(LogEvent(text=text))]


def test_entries_that_follow_without_a_hole_are_read_at_once() -> None:
    events = decode_contiguous([entry(7, 5, "a"), entry(7, 6, "b"), entry(7, 7, "c")], Cursor(7, 4))

    assert events is not None
    assert [event.text for event, _ in events if isinstance(event, LogEvent)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "entries",
    [
        [entry(7, 6), entry(7, 7)],
        [entry(7, 5), entry(7, 7)],
        [entry(7, 5), entry(8, 1)],
        [entry(8, 5), entry(8, 6)],
        [entry(7, 5), (b"7-6", [b"x", b"1"])],
        [entry(7, 5), (b"7-6", [b"e", b"no event"])],
        [(b"7-5", [b"x", b"1"]), entry(7, 6)],
    ],
    ids=["late", "hole", "renewed", "other epoch", "foreign last", "no JSON", "foreign first"],
)
def test_anything_else_among_them_is_left_to_a_closer_look(entries: list[RawEntry]) -> None:
    assert decode_contiguous(entries, Cursor(7, 4)) is None


def gap(first: int, last: int, reason: GapReason = "trimmed", raw: bytes | None = None) -> Gap:
    return Gap("r", 7, first, last, reason, raw)


def found(entries: list[RawEntry], asked: Gap) -> list[int | Gap]:
    """The gap filled with the entries: seqs of events, and gaps."""
    filled: list[Delivery] = fill_gap(entries, asked)
    assert all((each.run_id, each.epoch) == ("r", 7) for each in filled)
    return [each.seq if isinstance(each, Envelope) else each for each in filled]


@pytest.mark.parametrize(
    ("raw", "cursor"),
    [
        (b"1763-12", Cursor(1_763, 12)),
        ("1763-12", Cursor(1_763, 12)),
        (b"18446744073709551615-0", Cursor(2**64 - 1, 0)),
        *((raw, NO_CURSOR) for raw in (b"", b"-", b"5", b"5-", b"-5", b"a-1", b"1--1", b"1-1 ")),
    ],
)
def test_an_id_is_a_cursor_and_nonsense_is_none(raw: bytes | str, cursor: Cursor) -> None:
    assert parse_id(raw) == cursor


def test_an_entry_is_an_event_with_its_place_and_its_json() -> None:
    payload = encode_event(event := LogEvent(text="hi"))

    assert decode_entry("a", (b"7-3", [b"e", payload])) == Envelope("a", 7, 3, event, payload)


def test_ended_streams_are_cursors_and_nonsense_is_left_out() -> None:
    assert parse_ended(b"5-90 yesterday 7-3") == (Cursor(5, 90), Cursor(7, 3))
    assert parse_ended(b"") == ()


@pytest.mark.parametrize(
    ("raw", "has_seq"),
    [
        ((b"7-3", [b"foo", b"bar"]), False),
        ((b"7-0", [b"e", b'{"kind":"log"}']), False),
        ((b"7-3", []), False),
        ((b"7-3", [b"e"]), False),
        ((b"7-3", [b"e", b"{no JSON"]), True),
        ((b"7-3", [b"e", b'{"text":"no kind"}']), True),
        ((b"7-3", [b"e", b"[" * 5_000]), True),
    ],
)
def test_only_what_stands_where_an_event_would_takes_its_seq(raw: RawEntry, has_seq: bool) -> None:
    with pytest.raises(InvalidEntryError) as raised:
        decode_entry("a", raw)

    assert raised.value.has_seq is has_seq


def test_what_is_set_aside_can_be_told_from_the_same_elsewhere() -> None:
    assert raw_bytes((b"7-3", [b"foo", b"b\xff"])) == b"7-3 foo b\xff"


def test_a_gap_is_filled_with_what_is_still_there() -> None:
    entries = [entry(7, seq) for seq in (4, 5, 8)]

    assert found(entries, gap(2, 9)) == [gap(2, 3), 4, 5, gap(6, 7), 8]
    assert found([], gap(2, 9)) == []


def test_what_is_not_of_the_gap_fills_none_of_it() -> None:
    foreign: RawEntry = (b"8-3", [b"e", b"{}"])

    assert found([entry(7, 1), entry(7, 2), foreign], gap(2, 9)) == [
        2, gap(3, 2, "quarantined", b"8-3 e {}"),
    ]  # fmt: skip


def test_what_is_no_event_is_a_gap_with_its_bytes() -> None:
    broken: RawEntry = (b"7-4", [b"e", b"{"])
    foreign: RawEntry = (b"7-6", [b"foo", b"bar"])

    filled = found([entry(7, 2), broken, foreign, entry(7, 7)], gap(2, 9))

    assert filled == [
        2, gap(3, 3), gap(4, 4, "quarantined", b"7-4 e {"),
        gap(5, 4, "quarantined", b"7-6 foo bar"), gap(5, 6), 7,
    ]  # fmt: skip


def test_what_is_known_of_a_run_survives_the_way() -> None:
    meta = RunMeta(run_id="r", game="chess", label="l", agents=(AgentInfo(id="a"),))

    assert decode_meta(encode_meta(meta), "r") == meta


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"run_id":5}', b"\xff"])
def test_a_run_of_which_nothing_is_known_has_an_id(raw: bytes) -> None:
    assert decode_meta(raw, "r") == RunMeta(run_id="r")


def test_a_run_of_an_unusable_id_is_refused() -> None:
    with pytest.raises(EventError, match="not usable"):
        decode_meta(b"{}", "two words")
