"""What a person writes to go somewhere in a run. Goes nowhere itself."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal

from msgspec import Struct

from arena_tui.errors import UsageError

UNDERSTOOD: Final = "120 event   t17 turn   50 %   12:04 time   -30s back"

_NUMBER: Final = re.compile(
    r"(?P<turn>t|turn\s)?\s*(?P<number>[0-9][0-9,]{0,18}(\.[0-9]+)?)\s*(?P<percent>%)?", re.ASCII
)
_SHIFT: Final = re.compile(
    r"(?P<sign>[-+])\s*(?P<number>[0-9]{1,9}(\.[0-9]{1,6})?)\s*(?P<unit>s|m|h|d)", re.ASCII
)
_UNIT_S: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(\.[0-9]{1,6})?)?")
_DAY: Final = timedelta(days=1)


class Target(Struct, frozen=True):
    """A place, a turn, or a share of the run in percent."""

    kind: Literal["event", "turn", "percent"]
    value: float


def parse_target(words: str) -> Target | None:
    """`120`, `t17`, `turn 17`, `50 %`; None if it is none of these."""
    found = _NUMBER.fullmatch(words.strip().lower())
    if found is None or (found["turn"] and found["percent"]):
        return None
    value = float(found["number"].replace(",", ""))
    return Target("turn" if found["turn"] else "percent" if found["percent"] else "event", value)


def parse_shift(words: str) -> timedelta | None:
    """`-30s`, `+5m`, `-1.5h`: so long before or after where one stands; None if it is none."""
    found = _SHIFT.fullmatch(words.strip().lower())
    if found is None:
        return None
    seconds = float(found["number"]) * _UNIT_S[found["unit"]]
    try:
        return timedelta(seconds=-seconds if found["sign"] == "-" else seconds)
    except OverflowError:
        return None


def parse_clock(words: str, began_at: datetime, zone: tzinfo | None) -> datetime | None:
    """The first such time of day in that zone since a run began, UTC; None if it is no time."""
    found = _CLOCK.fullmatch(words.strip())
    if found is None:
        return None
    try:
        return _first_after(began_at.astimezone(zone), found)
    except (OverflowError, ValueError):  # the calendar ends there
        return None


def _first_after(began: datetime, found: re.Match[str]) -> datetime:
    """The first time of day that `_CLOCK` has found from then on, UTC."""
    hour, minute, second = (int(part or 0) for part in found.group(1, 2, 3))
    at = began.replace(hour=hour, minute=minute, second=second,
                       microsecond=round(float(found[4] or 0) * 1_000_000))  # fmt: skip
    is_to_the_minute = found[3] is None
    began = (
        began.replace(second=0, microsecond=0) if is_to_the_minute else began.replace(microsecond=0)
    )
    return (at if at >= began else at + _DAY).astimezone(UTC)


def parse_time(
    words: str, here: datetime | None, began_at: datetime | None, zone: tzinfo | None
) -> datetime:
    """The time that `parse_shift` or `parse_clock` understands, UTC.

    Args:
        here: The time where one stands; began_at: when the run began.

    Raises:
        UsageError: It is neither, or nobody knows when that was.
    """
    shift, at = parse_shift(words), None
    if shift is not None and here is not None:
        with suppress(OverflowError):
            at = here + shift
    elif began_at is not None:
        at = parse_clock(words, began_at, zone)
    if at is None:
        raise UsageError("go to 120 (event), t17 or turn 17, 50 %, 12:04 or 12:04:30, -30s or +5m")
    return at
