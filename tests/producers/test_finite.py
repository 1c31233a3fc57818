"""Numbers that JSON has not are found, wherever they are."""

from __future__ import annotations

import pytest

from arena_tui.errors import EventError
from arena_tui.events import Action, Event, LogEvent, Metric, OtherEvent, RunEnd
from arena_tui.producers.finite import check_finite


@pytest.mark.parametrize(
    ("event", "named"),
    [
        (Metric(value=float("nan")), "value"),
        (Action(action={"to": [{"x": float("-inf")}, None]}), "action"),
        (LogEvent(extra={"x": (float("inf"),)}), "extra"),
        (RunEnd(outcome={"a": float("nan")}), "outcome"),
        (OtherEvent(name="x", extra={"a": float("nan")}), "extra"),
    ],
)
def test_a_number_that_is_not_finite_is_found_wherever_it_is(event: Event, named: str) -> None:
    with pytest.raises(EventError, match=rf"not finite - at `\$\.{named}`"):
        check_finite(event)


def test_a_number_that_is_finite_may_be_anywhere() -> None:
    check_finite(Action(action={"a": [0.5, None, {"b": (1, 1e308)}]}))
    check_finite(LogEvent(text="nan"))
