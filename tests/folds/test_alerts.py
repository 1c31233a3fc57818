"""Runs that get into trouble, told in few words."""

from __future__ import annotations

from arena_tui.folds.alerts import Alert, summed_up
from arena_tui.folds.trouble import Trouble
from arena_tui.settings import TroubleKind


def alerts(kind: TroubleKind, count: int) -> list[Alert]:
    return [
        Alert(run_id=f"0000{number}", game="chess", trouble=Trouble(kind, "why"))
        for number in range(count)
    ]


def test_many_runs_with_the_same_trouble_are_one_line_and_few_are_one_each() -> None:
    told = [*alerts("stuck", 12), *alerts("looping", 1), *alerts("slow", 2)]

    assert summed_up(told) == [
        "12 runs: stuck", "chess · 0000 looping: why", "chess · 0000 slow: why",
        "chess · 0001 slow: why",
    ]  # fmt: skip
