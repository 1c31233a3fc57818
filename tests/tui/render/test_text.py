"""Numbers, times and bars as short text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from arena_tui.tui.render.text import bar, clock_time, cost, duration, short_count, spark, stamp


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (812, "812"), (9_999, "9,999"), (18_230, "18.2k"), (123_456, "123k"),
     (3_400_000, "3.4M"), (2_100_000_000, "2.1G")],
)  # fmt: skip
def test_counts_stay_short(value: float | None, text: str) -> None:
    assert short_count(value) == text


def test_an_unknown_cost_is_not_free() -> None:
    assert [cost(None), cost(0.0), cost(0.0213), cost(12.4)] == ["–", "$0.00", "$0.021", "$12.40"]


def test_durations_read_like_a_clock_once_they_are_long() -> None:
    assert [duration(each) for each in (None, 0.84, 41, 187, 8_045)] == [
        "–", "0.8 s", "41 s", "3:07", "2:14:05",
    ]  # fmt: skip


def test_times_are_the_viewers() -> None:
    at = datetime(2026, 3, 14, 23, 30, 1, 250_000, tzinfo=UTC)

    assert clock_time(at, timezone(timedelta(hours=2)), tenths=True) == "01:30:01.2"


def test_each_date_has_its_own_offset() -> None:
    berlin = ZoneInfo("Europe/Berlin")

    stamps = [stamp(datetime(2026, month, 14, 10, tzinfo=UTC), berlin) for month in (1, 7)]

    assert stamps == ["2026-01-14 11:00:00", "2026-07-14 12:00:00"]


def test_the_ends_of_the_calendar_can_be_shown() -> None:
    first, last = (at.replace(tzinfo=UTC) for at in (datetime.min, datetime.max))

    assert clock_time(first, timezone(timedelta(hours=-2))) == "00:00:00"
    assert clock_time(last, timezone(timedelta(hours=2))) == "23:59:59"
    assert stamp(last, timezone(timedelta(hours=2))) == "9999-12-31 23:59:59"


def test_sparklines_scale_to_their_largest_value() -> None:
    assert spark([0, 1, 2, 4, 8], 5) == "▁▂▃▅█"
    assert spark([0, 0], 4) == "  ▁▁"
    assert spark(range(100), 3) == "███"


def test_a_gauge_shows_that_it_is_not_quite_empty() -> None:
    assert bar(0.0, 5) == ("", "░░░░░")
    assert bar(0.01, 5) == ("█", "░░░░")
    assert bar(1.3, 5) == ("█████", "")
