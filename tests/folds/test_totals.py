"""One run's summary, folded from its events."""

from __future__ import annotations

from datetime import timedelta

from arena_tui.events import LogEvent, RunStart
from arena_tui.folds.totals import RunTotals
from tests.envelopes import envelope
from tests.tui.scenario import NOW


def test_a_clock_that_was_set_back_makes_no_duration_negative() -> None:
    totals = RunTotals(run_id="r")
    totals.add(envelope("r", 7, 1, RunStart(ts=NOW)))
    totals.add(envelope("r", 7, 2, LogEvent(ts=NOW - timedelta(hours=1))))

    assert totals.duration_s == 0.0
