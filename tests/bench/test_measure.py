from __future__ import annotations

from pathlib import Path

import pytest

from arena_tui.bench.measure import (
    OWN,
    Figure,
    Goal,
    Plan,
    alternate,
    at_least,
    at_most,
    compare,
    percentile,
)


def test_contenders_take_turns_and_each_begins_once(tmp_path: Path) -> None:
    calls: list[str] = []
    plan = Plan(folder=tmp_path, rounds=3)

    results = alternate(
        {name: lambda name=name: calls.append(name) or len(calls) for name in "abc"},  # type: ignore[misc]
        plan,
        "turns",
    )

    assert "".join(calls) == "abc" + "bca" + "cab"
    assert results == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_ratio_is_taken_within_rounds_so_that_a_slow_round_counts_for_both() -> None:
    samples = {OWN: [10.0, 20.0, 90.0], "peer": [1.0, 2.0, 30.0]}

    (figure,) = compare("broker", "publish", "ev/s", samples, {"peer": at_least(10)})

    assert (figure.value, figure.peer_value, figure.ratio) == (20.0, 2.0, 10.0)
    assert (figure.goal, figure.met, figure.rounds) == ("≥ 10 ×", True, 3)


@pytest.mark.parametrize(("value", "met"), [(40.0, True), (40.1, False)])
def test_goal_on_the_value_disregards_the_peer(value: float, met: bool) -> None:
    (figure,) = compare("ui", "key", "ms", {OWN: [value], "peer": [1.0]}, {"peer": at_most(40)})

    assert (figure.goal, figure.met) == ("≤ 40 ms", met)


def test_without_a_goal_nothing_is_met_or_missed() -> None:
    (figure,) = compare("ui", "key", "ms", {OWN: [3.0], "peer": [0.0]})

    assert figure.goal is None
    assert figure.met is None


def test_on_a_busy_machine_there_is_no_verdict_but_on_what_speed_does_not_change() -> None:
    def judged(goal: Goal) -> Figure:
        (figure,) = compare("ui", "key", "ms", {OWN: [3.0], "peer": [1.0]}, {"peer": goal})
        return figure.judged("others took 34 % of the machine")

    timed, exact = judged(at_most(40)), judged(at_most(40, timed=False))

    assert (timed.goal, timed.met) == ("≤ 40 ms", None)
    assert timed.busy == "others took 34 % of the machine"
    assert (exact.met, exact.busy) == (True, None)


@pytest.mark.parametrize(
    ("goal", "busy"),
    [
        (at_most(40), "rounds differ by 3.0 ×"),
        (at_most(40, "ratio"), None),  # the peer was as slow in the same rounds
    ],
)
def test_rounds_that_differ_too_much_give_no_verdict(goal: Goal, busy: str | None) -> None:
    samples = {OWN: [10.0, 20.0, 30.0], "peer": [5.0, 10.0, 15.0]}

    (figure,) = compare("ui", "key", "ms", samples, {"peer": goal})

    assert figure.judged(None).busy == busy
    assert figure.judged(None).met is (None if busy else True)


def test_percentile_of_many_and_of_one() -> None:
    assert percentile([float(value) for value in range(101)], 99) == 99.0
    assert percentile([7.0], 99) == 7.0
