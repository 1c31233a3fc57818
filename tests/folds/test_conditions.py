"""The filter language: what a text asks for, also while it is being written."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.errors import UsageError
from arena_tui.folds.conditions import (
    EXAMPLE,
    Anywhere,
    Compared,
    Condition,
    Contained,
    read_conditions,
)


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("", []),
        (EXAMPLE, [Contained("game", "chess"), Contained("agent", "mcts"),
                   Compared("err", ">", 0.0), Compared("cost", ">", 0.1), Anywhere("rate limit")]),
        ("Agents:X ERRORS<=2", [Contained("agent", "X"), Compared("err", "<=", 2.0)]),
        ("err>", [Anywhere("err>")]),
        ('"rate li', [Anywhere("rate li")]),
        ("colour:red", [Anywhere("colour:red")]),
    ],
)  # fmt: skip
def test_a_text_becomes_conditions(text: str, conditions: list[Condition]) -> None:
    assert read_conditions(text) == conditions


@pytest.mark.parametrize(
    ("sign", "values"), [("<", [1]), ("<=", [1, 2]), (">", [3]), (">=", [2, 3]), ("=", [2])]
)
def test_numbers_compare_and_what_is_unknown_never_holds(sign: str, values: list[int]) -> None:
    condition = Compared("turns", sign, 2.0)

    assert [value for value in (1, 2, 3, None) if condition.holds(value)] == values


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert len(read_conditions(text)) <= len(text)


def test_more_conditions_than_anybody_types_are_refused() -> None:
    assert len(read_conditions("x " * 50)) == 50
    with pytest.raises(UsageError, match="51 conditions: give at most 50"):
        read_conditions("x " * 51)


def test_a_trouble_that_there_is_not_is_named_with_those_there_are() -> None:
    assert read_conditions("trouble:lo") == [Contained("trouble", "lo")]
    with pytest.raises(
        UsageError, match=r"no trouble 'lop': use one of stuck, silent, crashed, .*any"
    ):
        read_conditions("trouble:lop")
