"""Which turns of two runs belong together."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from arena_tui.folds.aligning import Alignment


class Rows:
    """Rows by number (None: no turn) and seconds since the first."""

    def __init__(self, rows: Sequence[tuple[int | None, int]]) -> None:
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def number(self, row: int) -> int | None:
        return self.rows[row][0]

    def at_us(self, row: int) -> int:
        return 7_000_000 + self.rows[row][1] * 1_000_000


def numbered(*numbers: int | None) -> Rows:
    return Rows([(number, second) for second, number in enumerate(numbers)])


def at(*seconds: int) -> Rows:
    return Rows([(turn, second) for turn, second in enumerate(seconds)])


def aligned(first: Rows, second: Rows, by: str = "turn") -> list[tuple[int | None, int | None]]:
    alignment = Alignment("time" if by == "time" else "turn")
    alignment.extend(first, second, whole=True)
    return [tuple(alignment[index]) for index in range(len(alignment))]  # type: ignore[misc]


def test_turns_of_one_number_are_beside_each_other() -> None:
    first, second = numbered(None, 1, 2, 3, None), numbered(None, 1, 2, None)

    assert aligned(first, second) == [(0, 0), (1, 1), (2, 2), (None, 3), (3, None), (4, None)]


def test_a_fork_stands_beside_the_turns_it_has() -> None:
    assert aligned(numbered(None, 1, 2, 3, 4), numbered(None, 3, 4)) == [
        (0, 0), (1, None), (2, None), (3, 1), (4, 2)
    ]  # fmt: skip


def test_players_of_one_round_stand_beside_each_other_in_their_order() -> None:
    assert aligned(numbered(1, 1, 2, 2), numbered(1, 1, 1, 2)) == [
        (0, 0), (1, 1), (None, 2), (2, 3), (3, None)
    ]  # fmt: skip


def test_both_ends_stand_beside_each_other_after_the_same_turn() -> None:
    assert aligned(numbered(None, 1, None), numbered(None, 1, None)) == [(0, 0), (1, 1), (2, 2)]


def test_by_time_a_turn_stands_beside_the_nearest() -> None:
    assert aligned(at(0, 10, 20), at(0, 9, 14, 21), "time") == [
        (0, 0), (1, 1), (None, 2), (2, 3)
    ]  # fmt: skip


numbers = st.lists(st.none() | st.integers(0, 6), max_size=14)
runs = st.lists(st.tuples(st.none() | st.integers(0, 6), st.integers(0, 30)), max_size=14).map(
    lambda rows: Rows([
        (number, second)
        for (number, _), second in zip(rows, sorted(each for _, each in rows), strict=True)
    ])
)  # fmt: skip


@given(runs, runs, st.sampled_from(["turn", "time"]))
def test_every_turn_of_both_stands_somewhere_once_and_in_order(
    first: Rows, second: Rows, by: str
) -> None:
    found = aligned(first, second, by)

    for side, run in enumerate((first, second)):
        rows = [row[side] for row in found if row[side] is not None]
        assert rows == list(range(len(run)))
    assert (None, None) not in found


@given(runs, runs, st.sampled_from(["turn", "time"]), st.data())
def test_what_becomes_known_bit_by_bit_stands_as_if_known_at_once(
    first: Rows, second: Rows, by: str, data: st.DataObject
) -> None:
    alignment = Alignment("time" if by == "time" else "turn")
    known = [0, 0]
    while known != [len(first), len(second)]:
        known = [
            data.draw(st.integers(known[0], len(first))),
            data.draw(st.integers(known[1], len(second))),
        ]
        parts = [Rows(run.rows[:count]) for run, count in zip((first, second), known, strict=True)]
        alignment.extend(*parts, whole=data.draw(st.booleans()))
    alignment.extend(first, second, whole=True)

    assert [tuple(alignment[index]) for index in range(len(alignment))] == aligned(
        first, second, by
    )
    for side, run in enumerate((first, second)):
        for row in range(len(run)):
            index = alignment.index_of(side, row)
            assert index is not None
            assert alignment[index][side] == row


@given(numbers.map(lambda each: numbered(*each)), numbers.map(lambda each: numbered(*each)))
def test_turns_beside_each_other_have_the_same_number(first: Rows, second: Rows) -> None:
    alignment = Alignment()
    alignment.extend(first, second, whole=True)
    rows = [alignment[index] for index in range(len(alignment))]
    pairs = [(each.first, each.second) for each in rows]

    both = [
        (first.number(one), second.number(other))
        for one, other in pairs
        if one is not None and other is not None
    ]
    assert all(one == other for one, other in both)
    assert alignment.shared == sum(one is not None for one, _ in both)
