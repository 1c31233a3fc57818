"""What the server answers about runs."""

from __future__ import annotations

from arena_tui.broker.mirror.findings import Seen
from arena_tui.broker.protocol import Cursor
from arena_tui.broker.redis.lookup import seen_in


def test_a_row_is_read_with_or_without_its_events() -> None:
    row = [8, 3, b"open", 1_500, b"7-9"]

    assert seen_in(row) == Seen(Cursor(8, 3), b"open", 1.5, (Cursor(7, 9),))
    assert not seen_in([*row, b"{}", b""]).has_events
    assert seen_in([*row, b"{}", b"8-1"]).has_events
