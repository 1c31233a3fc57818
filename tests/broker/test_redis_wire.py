from __future__ import annotations

import pytest

from arena_tui.broker.protocol import Cursor
from arena_tui.broker.redis_wire import RawEntry, read_next
from arena_tui.events import LogEvent, encode_event


def entry(epoch: int, seq: int, text: str = "said") -> RawEntry:
    return b"%d-%d" % (epoch, seq), [b"e", encode_event(LogEvent(text=text))]


def test_entries_that_follow_without_a_hole_are_read_at_once() -> None:
    events = read_next([entry(7, 5, "a"), entry(7, 6, "b"), entry(7, 7, "c")], Cursor(7, 4))

    assert events is not None
    assert [event.text for event in events if isinstance(event, LogEvent)] == ["a", "b", "c"]


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
    ids=["late", "hole", "anew", "other epoch", "strange at the end", "no JSON", "strange"],
)
def test_anything_else_among_them_is_left_to_a_closer_look(entries: list[RawEntry]) -> None:
    assert read_next(entries, Cursor(7, 4)) is None
