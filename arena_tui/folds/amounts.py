"""Numbers and times as people write them in a filter: `1k`, `$0.10`, `5m`, `2d`, `2026-07-01`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final, NamedTuple

_NUMBER: Final = r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,15})?(?:\.[0-9]{1,15})?"
_COUNT: Final = re.compile(rf"({_NUMBER})([kmg]?)", re.IGNORECASE)
_SPAN: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(s|min|m|h|d|w)?", re.IGNORECASE)
_CLOCK: Final = re.compile(r"([0-9]{1,3}):([0-5][0-9])(?::([0-5][0-9]))?")
_SCALE: Final = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_SECONDS: Final = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


class Amount(NamedTuple):
    """A moment or a day, in seconds since 1970: from `low` until before `high`."""

    low: float
    high: float


def read_count(text: str) -> float | None:
    """`20`, `1,000`, `1.5k`, `2M`; None if it is no number."""
    found = _COUNT.fullmatch(text.strip())
    if found is None or not any(char.isdigit() for char in found[1]):
        return None
    return float(found[1].replace(",", "")) * _SCALE[found[2].lower()]


def read_usd(text: str) -> float | None:
    """`0.1`, `$0.1`; None if it is no amount."""
    return read_count(text.strip().removeprefix("$"))


def read_duration(text: str) -> float | None:
    """Seconds of `90`, `90s`, `5m`, `2h`, `1d` or `3:07`; None if it is no duration."""
    if found := _CLOCK.fullmatch(text.strip()):
        parts = [int(part) for part in found.groups() if part is not None]
        return float(sum(part * 60**place for place, part in enumerate(reversed(parts))))
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        return None
    return float(found[1]) * _SECONDS[(found[2] or "s").lower()]


def read_moment(text: str, now: datetime) -> Amount | None:
    """When `2d` or `3h` ago was, `today`, a date, a date with a time, or a time of today, in the
    time zone of this machine; None if it is no time. A date without a time is a whole day."""
    text = text.strip().lower()
    try:
        return _moment(text, now)
    except (ValueError, OverflowError, OSError):
        return None


def _moment(text: str, now: datetime) -> Amount | None:
    today = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    if text in ("today", "yesterday"):
        return _day(today - timedelta(days=text == "yesterday"))
    if (found := _SPAN.fullmatch(text)) and found[2]:
        at = now.timestamp() - float(found[1]) * _SECONDS[found[2]]
        return Amount(at, at)
    if _CLOCK.fullmatch(text):
        hour, _, rest = text.partition(":")
        text = f"{today:%Y-%m-%d}T{hour:0>2}:{rest}"
    at_local = datetime.fromisoformat(text.upper())
    if len(text) <= len("2026-07-01"):
        return _day(at_local)
    at = at_local.timestamp()
    return Amount(at, at)


def _day(midnight: datetime) -> Amount:
    return Amount(midnight.timestamp(), (midnight + timedelta(days=1)).timestamp())
