"""What Textual reads from the environment as it is imported."""

from __future__ import annotations

import os


def prepare(low_bandwidth: bool) -> None:
    """Set it as the dashboard needs it, unless the user has; before Textual is imported."""
    # Textual repaints on a timer that can miss a tick: a faster one halves the latency of a key.
    os.environ.setdefault("TEXTUAL_FPS", "240")
    if low_bandwidth:
        os.environ.setdefault("TEXTUAL_COLOR_SYSTEM", "256")
