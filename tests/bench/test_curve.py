from __future__ import annotations

from xml.etree import ElementTree

import pytest

from arena_tui.bench.curve import draw_curves

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    return [str(each.text) for each in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_picture_is_well_formed_and_names_title_curves_and_axes() -> None:
    picture = draw_curves("a & b <c>", "MB", {"x": [(0, 10), (60, 115)], "y": [(0, 1), (60, 1)]})

    assert texts(picture) == [
        "a & b <c>",
        "0", "20", "40", "60", "80", "100", "120 MB",
        "0 s", "10 s", "20 s", "30 s", "40 s", "50 s", "60 s",
        "x", "y",
    ]  # fmt: skip


def test_curve_goes_from_the_left_edge_to_the_right_and_stays_inside() -> None:
    picture = draw_curves("t", "MB", {"x": [(0, 0), (1_800, 60), (3_600, 120)]})

    line = ElementTree.fromstring(picture).find(f"{SVG}polyline")
    assert line is not None
    assert line.get("points") == "64.0,352.0 420.0,204.0 776.0,56.0"


@pytest.mark.parametrize(
    ("seconds", "last"), [(0.9, "0.8 s"), (180, "150 s"), (3_600, "60 min"), (86_400, "20 h")]
)
def test_time_is_told_in_the_unit_that_suits_it(seconds: float, last: str) -> None:
    assert last in texts(draw_curves("t", "MB", {"x": [(0, 1), (seconds, 1)]}))


def test_a_single_sample_of_nothing_is_drawn_too() -> None:
    assert "0 s" in texts(draw_curves("t", "MB", {"x": [(0, 0)]}))
