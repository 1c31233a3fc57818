"""One number for a position in a run of several epochs."""

from __future__ import annotations

from arena_tui.broker.protocol import Cursor
from arena_tui.events import Gap
from arena_tui.folds.places import Places


def test_a_place_and_its_epoch_and_seq_are_the_same_position() -> None:
    places = Places({9: 2, 7: 3, 11: 4})

    cursors = [places.cursor(place) for place in range(1, places.last + 1)]

    assert cursors == [
        (7, 1), (7, 2), (7, 3), (9, 1), (9, 2), (11, 1), (11, 2), (11, 3), (11, 4),
    ]  # fmt: skip
    assert [places.of(cursor) for cursor in cursors] == list(range(1, 10))
    assert places.cursor(10) == (11, 5)


def test_an_epoch_that_ends_in_a_loss_of_unknown_length_has_a_place_for_it() -> None:
    places = Places({7: 3})

    places.reach(Gap("a", 7, 4, 3, "unknown"))
    places.reach(Gap("a", 9, 1, 5, "trimmed"))

    assert places.last == 9
    assert places.range_of(Gap("a", 7, 4, 3, "unknown")) == range(4, 5)
    assert places.of(Cursor(9, 1)) == 5


def test_spans_cover_every_place_once_and_never_cross_an_epoch() -> None:
    places = Places({7: 5, 9: 2})

    assert list(places.spans(2, 6)) == [(7, 2, 5), (9, 1, 1)]
    assert list(places.spans(1, 99, size=3)) == [(7, 1, 3), (7, 4, 5), (9, 1, 2)]
    assert list(Places().spans(1, 99)) == []
