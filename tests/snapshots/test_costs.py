"""Pictures of the costs at three sizes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.snapshots.test_snapshots import SIZES, steps
from tests.tui.scenario import Scenario
from tests.tui.test_costs_screen import PRICES, answering


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_costs_look_as_they_did(snap_compare: Any, size: tuple[int, int]) -> None:
    app = Scenario(answering(), prices=PRICES)

    assert snap_compare(app, run_before=steps([["dollar_sign"]]), terminal_size=size)
