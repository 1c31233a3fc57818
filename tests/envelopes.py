"""Envelopes as a broker would make them."""

from __future__ import annotations

from arena_tui.codec import encode_event
from arena_tui.events import Envelope, Event


def envelope(run_id: str, epoch: int, seq: int, event: Event) -> Envelope:
    """The event as accepted."""
    return Envelope(run_id, epoch, seq, event, encode_event(event))
