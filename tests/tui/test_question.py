"""What is written or pasted into a line of input."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Input

from arena_tui.tui.widgets.bars import TitleBar
from tests.tui.scenario import Scenario
from tests.tui.test_screens import running, settled


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ("chess\ngo\n\ngo again\n", "took the first line: 2 more lines left out"),
        ("chess\r\ngo", "took the first line: 1 more line left out"),
        ("chess\n", None),
    ],
)
async def test_what_is_left_out_of_a_paste_is_said(pasted: str, said: str | None) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("slash")
        app.screen.query_one(Input).post_message(events.Paste(pasted))
        screen = await settled(app, pilot)

        assert app.screen.query_one(Input).value == "chess"
        assert ("left out" in screen) is (said is not None)
        assert said is None or said in " ".join(screen.split())


async def test_a_refused_filter_stays_to_be_mended_and_is_not_shown_as_in_force() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("slash", *"chess", "enter", "slash")
        app.screen.query_one(Input).value = "nobody>5"
        await pilot.press("enter")
        screen = await settled(app, pilot)
        field = app.screen.query_one(Input)

        assert app.screen.query_one(TitleBar).badge == "filter: chess"
        assert field.has_focus
        assert field.value == "nobody>5"
        assert "nobody" in screen
