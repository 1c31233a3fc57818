"""How a figure of each agent goes over the turns."""

from __future__ import annotations

import math

import pytest

from arena_tui.events import ActionResult, Event, LlmResponse, LogEvent, Metric
from arena_tui.folds.series import METRICS_MAX, Series, Turns, series_of
from tests.envelopes import envelope


def fold(events: list[Event], slices: int = 100) -> Series | None:
    return series_of([envelope("r", 7, seq, each) for seq, each in enumerate(events, 1)], slices)


def lines(events: list[Event], slices: int = 100) -> dict[str, tuple[float | None, ...]]:
    series = fold(events, slices)
    assert series is not None
    return dict(series.lines)


def result(agent: str, turn: int, reward: float | None) -> ActionResult:
    return ActionResult(agent_id=agent, turn=turn, reward=reward)


def test_a_reward_is_all_that_was_given_until_then() -> None:
    events: list[Event] = [result("x", 1, 1.0), result("o", 2, 0.0), result("x", 3, 0.5),
                           result("x", 3, 0.5), result("o", 4, None)]  # fmt: skip

    assert lines(events) == {"x": (1.0, 1.0, 2.0, 2.0), "o": (None, 0.0, 0.0, 0.0)}


def test_a_metric_is_its_newest_value_and_the_one_given_most_often_is_taken() -> None:
    events: list[Event] = [
        Metric(turn=1, name="once", value=1.0), Metric(turn=1, name="material", value=3.0),
        Metric(turn=2, name="material", value=2.0), Metric(turn=2, name="material", value=5.0),
    ]  # fmt: skip
    series = fold(events)

    assert series is not None
    assert (series.name, dict(series.lines)) == ("material", {"": (3.0, 5.0)})


def test_tokens_are_those_of_one_answer_on_average() -> None:
    events: list[Event] = [
        LlmResponse(agent_id="x", turn=1, input_tokens=10, output_tokens=2),
        LlmResponse(agent_id="x", turn=1, input_tokens=20),
        LlmResponse(agent_id="x", turn=2, output_tokens=4),
    ]  # fmt: skip

    assert lines(events) == {"x": (16.0, 4.0)}


@pytest.mark.parametrize(
    ("events", "name"),
    [
        ([result("x", 1, 0.0), result("x", 2, 1.0), Metric(turn=1, name="m", value=1.0),
          Metric(turn=2, name="m", value=2.0)], "reward"),
        ([result("x", 1, 0.0), result("x", 2, 0.0), Metric(turn=1, name="m", value=1.0),
          Metric(turn=2, name="m", value=2.0)], "m"),
        ([LlmResponse(agent_id="x", turn=turn, input_tokens=turn, cost_usd=turn)
          for turn in (1, 2)], "tokens"),
        ([LlmResponse(agent_id="x", turn=turn, cost_usd=turn) for turn in (1, 2)], "cost"),
        ([result("x", 1, 0.0), result("x", 2, 0.0)], None),
        ([LogEvent(turn=1), LogEvent()], None),
        ([], None),
        ([result("x", 1, math.inf), result("x", 2, 1.0)], None),
    ],
)  # fmt: skip
def test_the_figure_is_the_first_that_changes(events: list[Event], name: str | None) -> None:
    series = fold(events)

    assert (None if series is None else series.name) == name


def test_no_more_metrics_are_looked_at_than_a_store_would_give() -> None:
    often: list[Event] = [Metric(turn=turn, name=f"flat {index}", value=0.0)
                          for index in range(METRICS_MAX) for turn in (1, 2, 3)]  # fmt: skip
    seldom: list[Event] = [Metric(turn=turn, name="m", value=float(turn)) for turn in (1, 2)]

    assert fold(often + seldom) is None


def test_a_long_run_has_no_more_slices_than_asked_for() -> None:
    events: list[Event] = [result("x", turn, 1.0) for turn in range(1, 1_001)]

    assert lines(events, 4) == {"x": (250.0, 500.0, 750.0, 1_000.0)}


def test_a_turn_outside_lies_in_the_nearest_slice() -> None:
    turns = Turns(first=3, last=12, slices=5)

    assert [turns.slice_of(turn) for turn in (0, 3, 4, 5, 12, 99)] == [0, 0, 0, 1, 4, 4]


def test_the_range_holds_zero() -> None:
    series = Series(name="m", turns=Turns(first=1, last=2, slices=2), lines={"x": (3.0, 5.0)})

    assert (series.low, series.high) == (0.0, 5.0)
