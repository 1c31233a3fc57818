"""Numbers keep their digits."""

from __future__ import annotations

import pytest

from arena_tui.folds.numbers import number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (123_456_789.0, "123,456,789"),
        (123_456_789, "123,456,789"),
        (-1.0, "-1"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.25, "0.25"),
        (1 / 3, "0.333333"),
        (0.000123456, "0.000123456"),
        (1234567.8, "1,234,568"),
        (123456.78, "123,457"),
        (12.5, "12.5"),
        (1e30, "1e+30"),
        (1e-9, "1e-09"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_a_number_of_ordinary_size_has_no_exponent(value: float, text: str) -> None:
    assert number(value) == text
