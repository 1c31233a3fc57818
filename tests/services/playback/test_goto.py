"""What one may write to go somewhere in a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from arena_tui.errors import UsageError
from arena_tui.services.playback.goto import (
    Target,
    parse_clock,
    parse_shift,
    parse_target,
    parse_time,
)

BEGAN = datetime(2026, 3, 14, 23, 58, 20, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("120", Target("event", 120)), ("1,204", Target("event", 1_204)),
        ("t5", Target("turn", 5)), ("turn 5", Target("turn", 5)), ("T 5", Target("turn", 5)),
        ("50 %", Target("percent", 50)), ("12.5%", Target("percent", 12.5)),
        ("t5%", None), ("turn", None), ("12:04", None), ("-1", None), ("٣", None),
    ],
)  # fmt: skip
def test_events_turns_and_shares_are_understood(words: str, target: Target | None) -> None:
    assert parse_target(words) == target


@pytest.mark.parametrize(
    ("words", "after_s"),
    [("23:58:21", 0.5), ("23:59", 39.5), ("0:01:30.5", 190), ("00:01", 159.5), ("23:58", -20.5)],
)
def test_a_time_of_day_is_the_first_since_the_run_began(words: str, after_s: float) -> None:
    assert parse_clock(words, BEGAN, UTC) == BEGAN + timedelta(seconds=after_s)


def test_a_time_of_day_is_that_of_the_zone_shown() -> None:
    east = timezone(timedelta(hours=2))

    assert parse_clock("2:00", BEGAN, east) == datetime(2026, 3, 15, tzinfo=UTC)


@pytest.mark.parametrize("words", ["24:00", "12:60", "12", "12:04:5", "noon"])
def test_what_is_no_time_of_day_is_none(words: str) -> None:
    assert parse_clock(words, BEGAN, UTC) is None


@pytest.mark.parametrize("began", [datetime.min, datetime.max])
def test_where_the_calendar_ends_there_is_no_time_of_day(began: datetime) -> None:
    west, east = timezone(timedelta(hours=-2)), timezone(timedelta(hours=2))

    found = [parse_clock("0:00", began.replace(tzinfo=UTC), zone) for zone in (west, east)]

    assert None in found


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("-30s", -30), ("+5m", 300), ("- 1.5 h", -5_400), ("+2D", 172_800), ("+0s", 0)],
)
def test_a_shift_is_so_long_before_or_after(words: str, seconds: float) -> None:
    assert parse_shift(words) == timedelta(seconds=seconds)
    assert parse_time(words, BEGAN, None, UTC) == BEGAN + timedelta(seconds=seconds)


@pytest.mark.parametrize("words", ["30s", "-30", "--3s", "-3w", "-s", "+99999999999d"])
def test_what_is_no_shift_is_none(words: str) -> None:
    assert parse_shift(words) is None


@pytest.mark.parametrize("words", ["+999999999d", "noon", "", "-30s"])
def test_what_leads_to_no_time_is_refused_with_what_is_understood(words: str) -> None:
    here = None if words == "-30s" else BEGAN

    with pytest.raises(UsageError, match="t17 or turn 17"):
        parse_time(words, here, here, UTC)
