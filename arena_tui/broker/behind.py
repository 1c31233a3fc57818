"""For how long the oldest unread event has been there, by when it arrived. Knows no events."""

from __future__ import annotations

from collections import deque
from typing import Final

_SAMPLES_MAX: Final = 512


class Behind:
    """Told from time to time how much there was to read, and how much of it is unread.

    An event counts as arrived when it was first told of: the more often that is, the more exact.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[int, float]] = deque()

    def age_s(self, published: int, unread: int, now: float) -> float:
        """Seconds since the oldest unread event was first told of; 0.0 if nothing is unread."""
        samples = self._samples
        if published > (samples[-1][0] if samples else 0):
            samples.append((published, now))
        while samples and samples[0][0] <= published - unread:
            samples.popleft()
        if len(samples) > _SAMPLES_MAX:
            self._samples = samples = deque(list(samples)[::2])
        return max(0.0, now - samples[0][1]) if unread and samples else 0.0
