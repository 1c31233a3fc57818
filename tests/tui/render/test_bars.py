"""Title line and truth bar as literal text."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from arena_tui.consumers.feed import Truth
from arena_tui.folds.accounts import Account
from arena_tui.tui.render.bars import paint_truth
from arena_tui.tui.render.palette import Palette

LINK = "no connection to redis 127.0.0.1:6379 for 12 s"
EVENTS = Account(published=90_312, stored=90_201, in_flight=111)


def bar(
    width: int, note: str | None = None, pace: tuple[float, float] | None = (10.0, 3.0),
    late_ms: float = 3.0, **fields: object,
) -> str:  # fmt: skip
    """The bar's text without the blanks at its end; it is exactly so wide."""
    truth = Truth(**{"account": EVENTS, "store": "ok", **fields})  # type: ignore[arg-type]
    strip = paint_truth(truth, pace, late_ms, note, Palette(), width)
    assert sum(cell_len(segment.text) for segment in strip) == width
    return strip.text.rstrip()


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (80, " published 90,312 = stored 90,201 + in flight 111 + lost 0  no connection to re…"),
        (120, " published 90,312 = stored 90,201 + in flight 111 + lost 0"
              "  no connection to redis 127.0.0.1:6379 for 12 s"),
    ],
)  # fmt: skip
def test_a_link_that_is_down_stands_beside_the_equation(width: int, text: str) -> None:
    assert bar(width, link=LINK) == text
    assert bar(width, note="a note", link=LINK) == text


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (80, " published 90,312 = stored 90,201 + in flight 111 + lost 0  store fa…  no conne…"),
        (120, " published 90,312 = stored 90,201 + in flight 111 + lost 0"
              "  store failing: disk full  no connection to redis 127.0.0.1:…"),
        (150, " published 90,312 = stored 90,201 + in flight 111 + lost 0"
              "  store failing: disk full  no connection to redis 127.0.0.1:6379 for 12 s"),
    ],
)  # fmt: skip
def test_a_failing_store_and_a_link_that_is_down_share_the_room(width: int, text: str) -> None:
    assert bar(width, store="error", store_error="disk full", link=LINK) == text


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (80, " published 90,312  not stored  no connection to redis 127.0.0.1:6379 for 12 s"),
        (120, " published 90,312  not stored"
              "  no connection to redis 127.0.0.1:6379 for 12 s"),
    ],
)  # fmt: skip
def test_without_a_store_the_bar_says_what_it_has_seen(width: int, text: str) -> None:
    assert bar(width, store="off", link=LINK) == text


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (80, " published 90,312 = stored 90,201 + in flight 111 + lost 0          10 fps 3 ms"),
        (120, " published 90,312 = stored 90,201 + in flight 111 + lost 0"
              "                            lag 0.1 s  2 ev/s ▅█  10 fps 3 ms"),
    ],
)  # fmt: skip
def test_while_all_is_well_the_figures_stand_at_the_right(width: int, text: str) -> None:
    assert bar(width, lag_s=0.1, per_second=(1, 2)) == text


def test_the_loop_says_how_late_it_is_when_that_is_to_be_felt() -> None:
    assert "late" not in bar(120, late_ms=50)
    assert bar(80, late_ms=72).endswith("  loop 72 ms late")
    assert bar(120, late_ms=72).endswith("  0 ev/s   10 fps 3 ms loop 72 ms late")


def test_where_bytes_are_dear_nothing_changes_with_every_frame() -> None:
    told = bar(120, pace=None, lag_s=0.1, per_second=(1, 2))

    assert told.endswith("  lag 0.1 s  2 ev/s")


def test_a_loss_of_unknown_length_stands_beside_the_known_one() -> None:
    assert bar(100, account=replace(EVENTS, lost=12, lost_unknown=1)).startswith(
        " published 90,312 = stored 90,201 + in flight 111 + lost 12, and an unknown number"
    )
    assert "lost 0, and an unknown number" in bar(100, account=replace(EVENTS, lost_unknown=2))


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (70, " published 90,312 = stored 90,201 + in flight 111 + lost 0"),
        (71, " since 12:03: published 90,312 = stored 90,201 + in flight 111 + lost 0"),
    ],
)
def test_the_bar_says_since_when_it_counts_where_there_is_room(width: int, text: str) -> None:
    strip = paint_truth(
        Truth(account=EVENTS, store="ok"), (10.0, 3.0), 3.0, None, Palette(), width, since="12:03"
    )

    assert strip.text.startswith(text)


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (80, " published 90,312 = stored 90,201 + in flight 111 + lost 0  it is waited for"),
        (88, " published 90,312 = stored 90,201 + in flight 111 + lost 0  it is waited for"),
        (89, " since 12:03: published 90,312 = stored 90,201 + in flight 111 + lost 0"
             "  it is waited for"),
    ],
)  # fmt: skip
def test_since_when_it_counts_makes_room_for_a_note(width: int, text: str) -> None:
    truth = Truth(account=EVENTS, store="ok")

    strip = paint_truth(
        truth, (10.0, 3.0), 3.0, "it is waited for", Palette(), width, since="12:03"
    )

    assert strip.text.rstrip() == text


@pytest.mark.parametrize("width", [1, 20, 57, 60, 80, 200])
def test_what_is_wrong_never_breaks_the_bar(width: int) -> None:
    for fields in ({}, {"store": "error", "store_error": "漢字\x1b[31m" * 40}):
        assert "\x1b" not in bar(width, link="漢字\x1b" * 40, **fields)


def test_a_note_names_a_run_by_its_short_id_and_is_cut_with_a_sign() -> None:
    note = "run 01M8JK39NYZSMY8CM3VJZGASE9: an event could not be kept as given (data.x: object)"

    assert "  run ase9: an event" in bar(160, note=note)
    assert bar(100, note=note).endswith("…")
