"""Numbers, times, bars and sparklines as short text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

from arena_tui.events import short_id
from arena_tui.folds.costs import Cost

FELT_S: Final = 0.05
"""A turn that takes less says nothing by its seconds."""

_BLOCKS = " ▁▂▃▄▅▆▇█"
_RUN_ID = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b")
"""As they are made here; on a screen the last four characters tell runs apart."""


def count(value: int | None) -> str:
    """`12,001`; `–` when unknown."""
    return "–" if value is None else f"{value:,}"


def short_count(value: float | None) -> str:
    """`812`, `18.2k`, `3.4M`; `–` when unknown."""
    if value is None:
        return "–"
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scaled = value / (1e3 if unit == "k" else limit)
            return f"{scaled:.1f}{unit}" if scaled < 100 else f"{scaled:.0f}{unit}"
    return f"{value:,.0f}"


def cost(usd: float | None) -> str:
    """`$0.021`, `$12.40`; `–` when unknown, which is not free."""
    if usd is None:
        return "–"
    if 0 < usd < 0.001:
        return f"${usd:.4f}" if usd >= 0.0001 else "<$0.0001"
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${usd:.3f}"


def cost_text(amount: Cost) -> str:
    """`$0.021`; `~$0.021` if some of it is estimated, `≥$0.021` if some of it is unknown."""
    least = "≥" if amount.incomplete and amount.usd is not None else ""
    return f"{least}{'' if amount.estimated_usd is None else '~'}{cost(amount.usd)}"


def duration(seconds: float | None) -> str:
    """`0.8 s`, `41 s`, `3:07`, `2:14:05`."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clock_time(at: datetime, zone: tzinfo | None = UTC, tenths: bool = False) -> str:
    """`12:03:14`, or `12:03:14.2`, in a time zone; None is that of this machine."""
    local = _local(at, zone)
    text = local.strftime("%H:%M:%S")
    return f"{text}.{local.microsecond // 100_000}" if tenths else text


def day(at: datetime, zone: tzinfo | None = UTC) -> str:
    """`28 Nov`."""
    local = _local(at, zone)
    return f"{local.day} {local:%b}"


def time_or_day(at: datetime, other: datetime, zone: tzinfo | None = UTC) -> str:
    """`12:03:14`; `28 Nov` if the other is on another day."""
    is_same_day = _local(at, zone).date() == _local(other, zone).date()
    return clock_time(at, zone) if is_same_day else day(at, zone)


def stamp(at: datetime | None, zone: tzinfo | None = UTC) -> str:
    """`2026-11-22 12:03:14`."""
    return "–" if at is None else _local(at, zone).strftime("%Y-%m-%d %H:%M:%S")


def with_short_ids(text: str) -> str:
    """The text with the last four characters of run ids, as they are made here."""
    return _RUN_ID.sub(lambda found: short_id(found[0]), text)


def spark(values: Sequence[float], width: int) -> str:
    """The newest `width` values as blocks, scaled to the largest of them."""
    shown = values[-width:] if width > 0 else []
    top = max(shown, default=0)
    if top <= 0:
        return ("▁" * len(shown)).rjust(width)
    scale = (len(_BLOCKS) - 2) / top
    return "".join(_BLOCKS[1 + round(value * scale)] for value in shown).rjust(width)


def bar(share: float, width: int) -> tuple[str, str]:
    """The full and the empty part of a gauge `width` cells wide, `share` of it full."""
    full = max(0, min(width, round(share * width)))
    if share > 0 and full == 0:
        full = 1
    return "█" * full, "░" * (width - full)


def leaving_question(games: int, scripts: int) -> str | None:
    """What to ask before leaving ends these; None for nothing."""
    told = [
        f"1 {noun} is" if count == 1 else f"{count} {noun}s are"
        for count, noun in ((games, "game"), (scripts, "script")) if count
    ]  # fmt: skip
    if not told:
        return None
    how = "being played" if games else "running"
    return f"{' and '.join(told)} still {how} here. End and leave? What was played is stored."


def _local(at: datetime, zone: tzinfo | None) -> datetime:
    """`at` with the offset its date has in that zone; unchanged where the calendar ends."""
    try:
        return at.astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return at
