"""Title line and truth bar as literal text."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from arena_tui.consumers.feed import Truth
from arena_tui.folds.accounts import Account
from arena_tui.tui.render.bars import paint_truth, steady
from arena_tui.tui.render.palette import Palette

LINK = "no connection to redis 127.0.0.1:6379 for 12 s"
EVENTS = Account(published=90_312, stored=90_201, in_flight=111)


def bar(
    width: int, note: str | None = None, pace: tuple[float, float] | None = (10.0, 3.0),
    late_ms: float = 3.0, since: str = "", in_full: bool = False, **fields: object,
) -> str:  # fmt: skip
    """The bar's text without the blanks at its end; it is exactly so wide."""
    truth = Truth(**{"account": EVENTS, "store": "ok", **fields})  # type: ignore[arg-type]
    strip = paint_truth(truth, pace, late_ms, note, Palette(), width, since, in_full)
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
    ("fields", "text"),
    [
        ({}, " ● 90,312 events, all stored"),
        ({"account": Account(published=1, stored=1)}, " ● 1 event, all stored"),
        ({"account": Account()}, " ● no events yet"),
        ({"store": "off"}, " ● 90,312 events, not stored"),
        ({"store": "off", "link": LINK}, f" ● 90,312 events, not stored  {LINK}"),
        ({"store": "starting"}, " ● 90,312 events  opening the store …"),
        ({"store": None, "account": Account()}, ""),
    ],
)
def test_while_all_is_well_the_bar_says_so_and_only_what_it_knows(
    fields: dict[str, object], text: str
) -> None:
    assert bar(90, **fields).removesuffix("  0 ev/s").rstrip() == text


EQUATION = " published 90,312 = stored 90,201 + in flight 111 + lost 0"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"lag_s": 1.0}, " ● 90,312 events, all stored"),
        ({"lag_s": 1.1}, f"{EQUATION}   lag 1.1 s  0 ev/s"),
        ({"queued": 60, "behind": 41}, f"{EQUATION}  queued 101  0 ev/s"),
        ({"queued": 60, "behind": 40}, " ● 90,312 events, all stored"),
        ({"queued": 1_200, "per_second": (1_204,)}, " ● 90,312 events, all stored"),
        ({"account": replace(EVENTS, in_flight=110, lost=1)},
         " published 90,312 = stored 90,201 + in flight 110 + lost 1"),
        ({"store": "stopped"}, EQUATION),
    ],
)  # fmt: skip
def test_the_bar_shows_its_figures_when_events_are_lost_queued_or_late(
    fields: dict[str, object], text: str
) -> None:
    assert bar(80, **fields).startswith(text)


def test_all_figures_are_shown_when_asked_for() -> None:
    said = bar(120, in_full=True, lag_s=0.1, per_second=(1, 2), queued=3)

    assert said == f"{EQUATION}{' ' * 18}queued 3  lag 0.1 s  2 ev/s ▅█  10 fps 3 ms"


def test_the_frame_rate_is_shown_when_it_has_dropped_to_less_than_half() -> None:
    assert bar(80, pace=(4.0, 210.0)).endswith("  0 ev/s   4 fps 210 ms")
    assert "fps" not in bar(80, pace=(5.0, 90.0)) + bar(80, pace=(0.0, 0.0))


def test_the_loop_says_how_late_it_is_when_that_is_to_be_felt() -> None:
    assert "late" not in bar(120, late_ms=50)
    assert bar(80, late_ms=72).endswith("  0 ev/s  loop 72 ms late")


def test_where_bytes_are_dear_nothing_changes_with_every_frame() -> None:
    assert bar(120, pace=None, per_second=(1, 2)).endswith("  2 ev/s")


def test_figures_stand_still_within_a_second_while_all_is_well() -> None:
    shown = Truth(account=EVENTS, store="ok", second=7)
    more = replace(shown, account=replace(EVENTS, published=90_400, in_flight=199))
    late = replace(more, lag_s=1.1)

    assert steady(shown, more) is shown
    assert steady(shown, replace(more, second=8)).account.published == 90_400
    assert steady(shown, late) is late
    assert steady(late, more) is more


def test_a_loss_of_unknown_length_stands_beside_the_known_one() -> None:
    assert bar(100, account=replace(EVENTS, lost=12, lost_unknown=1)).startswith(
        " published 90,312 = stored 90,201 + in flight 111 + lost 12, and an unknown number"
    )
    assert "lost 0, and an unknown number" in bar(100, account=replace(EVENTS, lost_unknown=2))


@pytest.mark.parametrize(
    ("width", "note", "text"),
    [
        (70, None, EQUATION),
        (71, None, f" since 12:03:{EQUATION}"),
        (88, "it is waited for", f"{EQUATION}  it is waited for"),
        (89, "it is waited for", f" since 12:03:{EQUATION}  it is waited for"),
    ],
)
def test_the_figures_say_since_when_they_count_where_there_is_room(
    width: int, note: str | None, text: str
) -> None:
    assert bar(width, note, since="12:03", in_full=True).startswith(text)


def test_who_is_told_that_all_is_stored_need_not_know_since_when() -> None:
    assert "since" not in bar(120, since="12:03")


@pytest.mark.parametrize("width", [1, 20, 57, 60, 80, 200])
def test_what_is_wrong_never_breaks_the_bar(width: int) -> None:
    for fields in ({}, {"store": "error", "store_error": "漢字\x1b[31m" * 40}):
        assert "\x1b" not in bar(width, link="漢字\x1b" * 40, **fields)


def test_a_note_names_a_run_by_its_short_id_and_is_cut_with_a_sign() -> None:
    note = "run 01M8JK39NYZSMY8CM3VJZGASE9: an event could not be kept as given (data.x: object)"

    assert "  run ase9: an event" in bar(160, note=note)
    assert bar(80, note=note).endswith("…")
