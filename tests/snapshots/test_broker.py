"""Pictures of the Broker screen at three sizes: calm, under pressure, in overflow."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.snapshots.test_snapshots import PICTURES, SIZES, steps, text_of
from tests.tui.broker_scenario import BrokerScenario

BACKLOGS = {"calm": 0, "pressure": 8_500, "overflow": 20_000}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", BACKLOGS)
def test_the_broker_looks_as_it_did(snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    app = BrokerScenario(BACKLOGS[name])

    assert snap_compare(app, run_before=steps([["3"]]), terminal_size=size)


@pytest.mark.parametrize("theme", ["arena-light", "ansi-dark"])
def test_the_broker_looks_right_in_other_themes(snap_compare: Any, theme: str) -> None:
    app = BrokerScenario(BACKLOGS["overflow"])
    app.theme = theme

    assert snap_compare(app, run_before=steps([["3"]]), terminal_size=(120, 40))


async def test_the_picture_of_the_broker_in_the_readme_is_of_this_version() -> None:
    app = BrokerScenario(BACKLOGS["overflow"])
    async with app.run_test(size=(120, 36)) as pilot:
        await steps([["3"]])(pilot)
        picture = app.export_screenshot(title="arena-tui", simplify=True)

    path = PICTURES / "broker.svg"
    if os.environ.get("ARENA_PICTURES") == "1":
        path.write_text(picture)

    assert text_of(path.read_text()) == text_of(picture)
