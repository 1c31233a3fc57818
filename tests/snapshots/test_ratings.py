"""Pictures of the ratings at three sizes, and in other themes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.snapshots.test_snapshots import SIZES, steps
from tests.tui.scenario import Scenario
from tests.tui.test_ratings_screen import series


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_ratings_look_as_they_did(snap_compare: Any, size: tuple[int, int]) -> None:
    app = Scenario(playables=series())

    assert snap_compare(app, run_before=steps([["5"], ["right"], ["right"]]), terminal_size=size)


@pytest.mark.parametrize("theme", ["arena-light", "ansi-dark"])
def test_ratings_look_right_in_other_themes(snap_compare: Any, theme: str) -> None:
    app = Scenario(playables=series(), theme=theme)

    assert snap_compare(app, run_before=steps([["5"]]), terminal_size=(120, 40))
