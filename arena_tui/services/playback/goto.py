"""What a person writes to go somewhere in a run. Goes nowhere itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal

from msgspec import Struct

from arena_tui.errors import UsageError

UNDERSTOOD: Final = "120 event   t17 turn   50 % of it   12:04 time"

_NUMBER: Final = re.compile(
    r"(?P<turn>t|turn\s)?\s*(?P<number>[0-9][0-9,]{0,18}(\.[0-9]+)?)\s*(?P<percent>%)?", re.ASCII
)
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


def refuse() -> UsageError:
    """What to say to words that mean nothing."""
    return UsageError("go to 120 (event), t17 or turn 17, 50 %, 12:04 or 12:04:30")
