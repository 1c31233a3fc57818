"""Pictures of what looks into the past, at three sizes, from the fixed scenario."""

from __future__ import annotations

from typing import Any

import pytest

from tests.snapshots.test_snapshots import SIZES, steps
from tests.tui.scenario import Scenario

TO_RUN = [["2"], ["home", "down", "enter"]]
QUERY = "select game, turns, errors, cost_usd from runs order by game"
SCREENS: dict[str, list[list[str]]] = {
    "zoomed": [*TO_RUN, ["g", "9", "enter"], ["z"]],
    "fork": [*TO_RUN, ["g", "9", "enter"], ["f"]],
    "ask": [*TO_RUN, ["g", "9", "enter"], ["w"]],
    "note": [*TO_RUN, ["g", "9", "enter"], ["M"], [*"odd move"]],
    "hits": [*TO_RUN, ["slash", *"raise", "enter"], ["h"]],
    "some_events": [*TO_RUN, ["vertical_line"], [*"kind:llm", "enter"], ["v"]],
    "all_hits": [["2"], ["F"], [*"move", "enter"]],
    "compare": [["2"], ["home", "space"], ["c"]],
    "openings": [["2"], ["C"]],
    "export": [["2"], ["home", "x"]],
    "rewound": [["space"], ["comma"], [], []],
    "sql": [["4"], [*(("space" if each == " " else each) for each in QUERY), "enter"]],
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_the_past_looks_as_it_did(snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    assert snap_compare(Scenario(), run_before=steps(SCREENS[name]), terminal_size=size)
