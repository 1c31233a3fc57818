"""Lines of braille dots: two values a cell, in four heights. Knows not what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

_LEFT: Final = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT: Final = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
"""Dots of a column filled from below, as Unicode numbers them."""
_BLANK: Final = 0x2800


def braille(values: Sequence[float | None], low: float, high: float) -> str:
    """The values between `low` and `high` as columns; the least has one dot, None has none."""
    heights = [_height(value, low, high) for value in values]
    pairs = zip_longest(heights[::2], heights[1::2], fillvalue=0)
    return "".join(chr(_BLANK + _LEFT[left] + _RIGHT[right]) for left, right in pairs)


def _height(value: float | None, low: float, high: float) -> int:
    if value is None:
        return 0
    share = (value - low) / (high - low) if high > low else 0.0
    return 1 + round(3 * max(0.0, min(1.0, share)))
