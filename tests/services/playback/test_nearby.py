"""The cache around a position of a run."""

from __future__ import annotations

from arena_tui.events import Delivery, Gap
from arena_tui.folds.places import Places
from arena_tui.services.playback.nearby import Nearby


def gaps(first: int, last: int, length: int = 1) -> list[Delivery]:
    return [Gap("a", 7, seq, seq + length - 1, "trimmed") for seq in range(first, last + 1, length)]


def test_what_was_kept_is_at_hand_and_the_rest_is_not() -> None:
    nearby = Nearby(Places({7: 0}).range_of)
    nearby.keep(gaps(10, 20), at=15)

    assert nearby.holds(10, 20)
    assert not nearby.holds(9, 20)
    assert (nearby.get(9), nearby.get(21)) == (None, None)
    assert nearby.between(12, 14) == gaps(12, 14)
    assert nearby.between(19, 21) is None


def test_a_gap_stands_at_each_of_its_seqs_and_begins_once() -> None:
    nearby = Nearby(Places({7: 0}).range_of)
    (gap,) = gaps(5, 9, length=5)
    nearby.keep([gap, *gaps(10, 11)], at=5)

    assert [nearby.get(seq) for seq in range(5, 10)] == [gap] * 5
    assert nearby.between(5, 10) == [gap, *gaps(10, 10)]
    assert nearby.between(7, 10) == gaps(10, 10)


def test_a_gap_of_unknown_length_stands_where_it_begins() -> None:
    nearby = Nearby(Places({7: 0}).range_of)
    nearby.keep([gap := Gap("a", 7, 4, 3, "reset")], at=4)

    assert nearby.get(4) is gap
    assert nearby.get(5) is None


def test_of_a_huge_gap_only_what_is_near_is_held() -> None:
    nearby = Nearby(Places({7: 0}).range_of)
    nearby.keep([Gap("a", 7, 1, 10**12, "trimmed")], at=10**9)

    assert nearby.holds(10**9 - 200, 10**9 + 200)
    assert nearby.get(1) is None


def test_what_is_far_from_the_position_is_let_go_in_the_end() -> None:
    nearby = Nearby(Places({7: 0}).range_of)
    for at in range(1, 100_000, 1_000):
        nearby.keep(gaps(at, at + 999), at=at)

    held = sum(nearby.get(seq) is not None for seq in range(1, 101_000))

    assert nearby.get(1) is None
    assert nearby.holds(at, at + 999)
    assert held <= 20_000
