"""When a delivery happened, by the clock of its producer, as folds take times. Folds nothing."""

from __future__ import annotations

from arena_tui.events import Delivery, Envelope


def own_time(delivery: Delivery) -> float:
    """Time of an event in seconds since 1970; 0 of a gap, which is none to go by."""
    return delivery.event.ts.timestamp() if isinstance(delivery, Envelope) else 0.0
