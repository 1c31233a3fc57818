"""Counters of one sink, as a value."""

from __future__ import annotations

from msgspec import Struct

from arena_tui.broker.refused import Refused


class SinkStats(Struct, frozen=True, kw_only=True):
    """Counters of one sink.

    Attributes:
        queued: Events emitted and not yet published.
        published: Events handed to the broker, and not refused.
        queued_peak: Most ever queued when the writer looked.
        blocked_s: Seconds that producers have waited for room, those waiting now included.
        refused: Events that can never be published: their run had ended, or the broker failed.
        coerced: Events that lost something because their values did not fit.
        failures: How often pacing or a heartbeat failed; both go on.
    """

    queued: int
    published: int
    queued_peak: int
    blocked_s: float
    refused: Refused
    coerced: int
    failures: int
