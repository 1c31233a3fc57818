"""A number as text with its digits, in screens, tables and lines alike."""

from __future__ import annotations

import math

_SIGNIFICANT = 6
_ORDINARY = 1e-6, 1e15
"""Sizes that are written out; others have an exponent."""


def number(value: float) -> str:
    """`123,456,789`, `0.25`, `-1`: whole numbers in full, others with six significant digits."""
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if not math.isfinite(value) or (size and not _ORDINARY[0] <= size < _ORDINARY[1]):
        return f"{value:g}"
    if value.is_integer():
        return f"{int(value):,}"
    digits = max(0, _SIGNIFICANT - 1 - math.floor(math.log10(size)))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text
