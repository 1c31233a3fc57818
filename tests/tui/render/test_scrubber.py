"""The scrubber as literal text."""

from __future__ import annotations

from datetime import UTC, timedelta

from msgspec.structs import replace

from arena_tui.events import Delivery, ErrorEvent, Gap, LogEvent
from arena_tui.folds.density import Density, Mark, density_of
from arena_tui.services.playback.playhead import Position
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.scrubber import Timeline, paint_scrubber
from tests.envelopes import envelope
from tests.tui.scenario import NOW

WIDTH = 34
"""Of 12 cells."""


def density() -> Density:
    """Three events in 100 seconds, two lost after the first, an unknown number after the second."""
    at = [NOW + timedelta(seconds=second) for second in (0, 50, 100)]
    run: list[Delivery] = [
        envelope("r", 6, 1, LogEvent(ts=at[0])),
        Gap("r", 6, 2, 3, "trimmed"),
        envelope("r", 6, 4, LogEvent(ts=at[1])),
        Gap("r", 6, 5, 4, "unknown"),
        envelope("r", 6, 5, LogEvent(ts=at[2])),
    ]
    return density_of(run, 24)


def busy(slices: int = 24) -> Density:
    """Ever more events each second, the last of them an error."""
    run: list[Delivery] = [
        envelope("r", 6, n + 1, (ErrorEvent if n == 99 else LogEvent)(ts=NOW + timedelta(
            seconds=100 * (n / 99) ** 0.5)))
        for n in range(100)
    ]  # fmt: skip
    return density_of(run, slices)


def painted(timeline: Timeline, height: int = 1) -> list[str]:
    return [each.text for each in paint_scrubber(timeline, Palette(), WIDTH, height, UTC)]


def test_gaps_are_drawn_and_no_other_mark_hides_one() -> None:
    bookmark = Mark(place=5, kind="bookmark", slice=10)
    timeline = Timeline(density=density(), position=Position(at=5, last=5))
    marked = replace(density(), marks=(*density().marks, bookmark))

    assert painted(timeline) == [" 12:03:14 ▕┆┆┆┆┆┆     ┃▏ 12:04:54 "]
    assert painted(replace(timeline, density=marked)) == painted(timeline)


def test_a_cell_has_two_columns_of_dots() -> None:
    timeline = Timeline(density=busy(), position=Position(at=40, last=100))

    assert painted(timeline) == [" 12:03:14 ▕⡀⣀⣤⣤⣤⣤⣦┃⣶⣶⣾!▏ 12:04:54 "]


def test_on_two_lines_marks_stand_below_what_they_mark() -> None:
    marked = replace(busy(), marks=(
        *busy().marks, Mark(place=9, kind="bookmark", slice=6), Mark(place=1, kind="error", slice=0)
    ))  # fmt: skip
    timeline = Timeline(density=marked, position=Position(at=40, last=100, live=True),
                        turns=[1, 20, 60], silences=[20, 30], hits=[60, 61, 80])  # fmt: skip

    assert painted(timeline, 2) == [
        " 12:03:14 ▕⡀⣀⣤⣤⣤⣤⣦┃⣶⣶⣾⣾▏ now      ",
        "           !  ◆ ▴▴  **!           "[:WIDTH],
    ]


def test_the_time_and_turn_under_the_pointer_stand_beside_it() -> None:
    timeline = Timeline(density=busy(), position=Position(at=100, last=100), pointed=1,
                        pointed_turn=3)  # fmt: skip
    right = replace(timeline, pointed=11, pointed_turn=None)

    assert painted(timeline) == [" 12:03:14 ▕ 12:03:26 tu▏ 12:04:54 "]
    assert painted(right) == [" 12:03:14 ▕⡀ 12:04:49 ┃▏ 12:04:54 "]


def test_a_part_says_how_often_it_fits_and_leaves_out_a_position_elsewhere() -> None:
    elsewhere = Position(at=3, last=100, ts=NOW - timedelta(seconds=1), live=True)
    timeline = Timeline(density=busy(), position=elsewhere, zoom=16.0)

    assert painted(timeline, 2) == [
        " 12:03:14 ▕⡀⣀⣤⣤⣤⣤⣦⣶⣶⣶⣾⣾▏ 12:04:54 ",
        "  zoom 16x            !           ",
    ]


def test_without_events_that_is_what_it_says() -> None:
    assert painted(Timeline(), 2) == [" no events yet".ljust(WIDTH)] * 2


def test_marks_outside_a_part_are_left_out() -> None:
    timeline = Timeline(density=busy(), position=Position(at=40, last=100), zoom=4.0,
                        turns=[0, 101], silences=[999], hits=[-1])  # fmt: skip

    assert painted(timeline, 2)[1] == "   zoom 4x            !           "


def test_hits_are_marked_in_their_cells_and_those_beside_a_part_are_not() -> None:
    whole = Timeline(
        density=replace(busy(), marks=()), position=Position(at=40, last=100),
        hits=(1, 26, 51, 76, 5_000),
    )  # fmt: skip
    part = replace(whole, zoom=2.0, hits=(1, 5_000))

    assert painted(whole, 2)[1].rstrip() == f"{'':11}*     * * **"
    assert painted(part, 2)[1].rstrip() == "   zoom 2x *"
