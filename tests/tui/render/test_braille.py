"""Values as columns of braille dots."""

from __future__ import annotations

import pytest

from arena_tui.tui.render.braille import braille


@pytest.mark.parametrize(
    ("values", "dots"),
    [
        ([0, 1, 2, 3], "⣠⣾"),
        ([0, None, None, 3], "⡀⢸"),
        ([3], "⡇"),
        ([], ""),
        ([-9, 99], "⣸"),
    ],
)
def test_two_values_share_a_cell_and_the_greatest_has_four_dots(
    values: list[float | None], dots: str
) -> None:
    assert braille(values, 0, 3) == dots


def test_values_that_are_all_alike_have_one_dot_each() -> None:
    assert braille([0.0, 0.0], 0.0, 0.0) == "⣀"
