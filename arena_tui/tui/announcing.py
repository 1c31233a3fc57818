"""What the screen announces of a frame, once. Draws nothing."""

from __future__ import annotations

from typing import Final

from arena_tui.consumers.feed import Frame

_PAUSE_S: Final = 5.0
"""Between two announcements: many runs may overflow one after the other."""


class Overflows:
    """Announces overflows as they begin, those of several runs together."""

    def __init__(self) -> None:
        self._announced = 0
        self._quiet_until = float("-inf")

    def news(self, frame: Frame, now: float) -> str | None:
        """What to say of those that have begun since it said anything; None for nothing."""
        if frame.broker is None or now < self._quiet_until:
            return None
        begun = frame.broker.warned.get("overflow", 0)
        if (new := begun - self._announced) <= 0:
            return None
        self._announced, self._quiet_until = begun, now + _PAUSE_S
        if new > 1:
            return f"{new:,} overflows: events are being lost, see the log"
        return next(str(each) for each in reversed(frame.broker.warnings)
                    if each.code == "overflow")  # fmt: skip
